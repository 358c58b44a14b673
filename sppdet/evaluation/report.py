"""A page that shows where a detector is good and where its mean AP is lost; also JSON and CSV."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sppdet.datasets.base import Dataset
from sppdet.datasets.coco_json import read_json
from sppdet.datasets.image_names import relative_names
from sppdet.evaluation import page
from sppdet.evaluation.errors import KINDS, VOC_GROUPS, analyse, groups_of, operating_point
from sppdet.evaluation.gallery import correct_examples, worst_misses, worst_mistakes
from sppdet.evaluation.intervals import Interval
from sppdet.evaluation.tables import class_table, confusion_table, image_table
from sppdet.evaluation.thresholded import Thresholded, at_thresholds
from sppdet.evaluation.voc import ClassResult, VocResult
from sppdet.runtime.files import write_text
from sppdet.runtime.outputs import write_recorded

FILES = ("index.html", "report.json", "classes.csv", "curves.csv", "images.csv")
"""What :func:`write_report` writes."""


def write_report(
    folder: Path,
    dataset: Dataset,
    result: VocResult,
    content: dict[str, Any],
    intervals: dict[str, Interval] | None = None,
    subject: str = "",
    thresholds: Mapping[str, float] | None = None,
) -> Path:
    """Write :data:`FILES`.

    Args:
        folder: where to; it is made if need be.
        dataset: the ground truth, and the images for the pictures.
        result: the evaluation.
        content: figures for the JSON (``VocResult.to_json``, "coco", "comparison", ...).
        intervals: of :func:`.intervals.bootstrap`.
        subject: what was evaluated, for the heading.
        thresholds: the detector's, by class name; None where they are unknown, then those of the
            best F1 take their place.

    Returns:
        The path of the page.

    Raises:
        SppdetError: a file cannot be written.
    """
    groups: Sequence[Sequence[str]] = VOC_GROUPS
    if dataset.annotation_file is not None:
        groups = groups_of(read_json(dataset.annotation_file)["categories"])
    errors = analyse(result, groups)
    intervals = intervals or {}
    points = {entry.name: operating_point(entry) for entry in result.classes}
    shown = at_thresholds(result, len(dataset.images), thresholds)
    images = relative_names(dataset.images)
    everything = {
        **content,
        "images": len(dataset.images),
        "operating_points": points,
        "at_thresholds": shown.to_json([entry.name for entry in result.classes]),
        "error_kinds": {"top_detections": errors.top, "map_area_gained_without": errors.gains},
        "curves": {entry.name: _curve(entry) for entry in result.classes if entry.truths},
    }
    rows = [
        {**_row(entry, points[entry.name], errors.top[entry.name]), **_at(shown, label)}
        for label, entry in enumerate(result.classes)
    ]
    write_text(folder / "report.json", json.dumps(everything, indent=1) + "\n")
    write_recorded(folder / "classes.csv", _csv(rows))
    curves = [
        {"class": name, **dict(zip(("score", "precision", "recall"), point, strict=True))}
        for name, curve in everything["curves"].items()
        for point in zip(curve["score"], curve["precision"], curve["recall"], strict=True)
    ]
    write_recorded(folder / "curves.csv", _csv(curves))
    counted = ("objects", "correct", "wrong", "missed")
    listed = [
        {"image": name, **dict(zip(counted, counts, strict=True))}
        for name, counts in zip(images, shown.by_image.tolist(), strict=True)
    ]
    write_recorded(folder / "images.csv", _csv(listed))
    title = subject or "Detection report"
    sections = [
        page.heading(dataset, result, shown, content, intervals, title),
        class_table(result, shown, intervals, points),
        page.error_section(result, errors.top, errors.gains),
        confusion_table(result, shown),
        page.cards(result, points),
        page.gallery(
            "Worst false positives", worst_mistakes(dataset, result, errors), page.MISTAKES
        ),
        page.gallery("Largest misses", worst_misses(dataset, result), page.MISSES),
        page.gallery("Correct detections", correct_examples(dataset, result, shown), page.CORRECT),
        image_table(images, shown),
    ]
    write_text(folder / "index.html", page.whole_page(title, sections))
    return folder / "index.html"


def _at(shown: Thresholded, label: int) -> dict[str, float | None]:
    """The columns of a class for its threshold."""
    return {
        "threshold": shown.thresholds[label],
        "recall_at_threshold": shown.recall(label),
        "precision_at_threshold": shown.precision(label),
    }


def _row(entry: ClassResult, point: dict[str, float] | None, top: dict[str, int]) -> dict[str, Any]:
    return {
        "class": entry.name,
        "truths": entry.truths,
        "detections": len(entry.scores),
        "ap_11": entry.ap_11,
        "ap_area": entry.ap_area,
        "recall": entry.recall,
        **{
            f"best_f1_{key}": (point or {}).get(key)
            for key in ("score", "precision", "recall", "f1")
        },
        **{f"top_{kind.replace(' ', '_')}": top[kind] for kind in KINDS},
    }


def _curve(entry: ClassResult) -> dict[str, list[float]]:
    """The points of a curve after each true positive, and the last one."""
    keep = entry.hits | (np.arange(len(entry.hits)) == len(entry.hits) - 1)
    return {
        "score": entry.scores[keep].tolist(),
        "precision": entry.precision[keep].tolist(),
        "recall": entry.recall_curve[keep].tolist(),
    }


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    stream = io.StringIO()
    if rows:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return stream.getvalue()
