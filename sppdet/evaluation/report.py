"""A page that shows where a detector is good and where its mean AP is lost; also JSON and CSV."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sppdet.datasets.base import Dataset
from sppdet.datasets.coco_json import read_json
from sppdet.evaluation import charts
from sppdet.evaluation.errors import KINDS, VOC_GROUPS, analyse, groups_of, operating_point
from sppdet.evaluation.gallery import Picture, worst_misses, worst_mistakes
from sppdet.evaluation.intervals import Interval
from sppdet.evaluation.voc import ClassResult, VocResult
from sppdet.runtime.files import write_text
from sppdet.runtime.names import as_html
from sppdet.runtime.outputs import MARK, write_recorded

COLOURS = ("#f59e0b", "#8b5cf6", "#ec4899", "#ef4444", "#6b7280", "#2563eb")

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#111827;max-width:1120px;margin:24px auto;
padding:0 20px}
h1{font-size:24px;margin:0 0 2px}h2{font-size:18px;margin:34px 0 8px}p{margin:6px 0;max-width:860px}
.sub{color:#6b7280;overflow-wrap:anywhere}.tiles{display:flex;gap:12px;flex-wrap:wrap;margin:16px 0}
.tile{background:#f3f4f6;border-radius:8px;padding:10px 18px}.tile b{display:block;font-size:24px}
.tile span{color:#4b5563;font-size:13px}table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:right;padding:4px 10px;border-bottom:1px solid #e5e7eb;white-space:nowrap}
th{color:#4b5563;font-weight:600}td:first-child,th:first-child{text-align:left}
tr.mean td{font-weight:700}.two{display:flex;gap:28px;flex-wrap:wrap}.cards{display:grid;gap:14px;
grid-template-columns:repeat(auto-fill,minmax(530px,1fr))}.card{border:1px solid #e5e7eb;
border-radius:8px;padding:8px 12px}.card h3{font-size:15px;margin:0 0 4px}
.card h3 span{font-weight:400;color:#6b7280}.pictures{display:flex;flex-wrap:wrap;gap:12px}
figure{margin:0;max-width:320px}
figure img{display:block;border-radius:4px;height:180px;max-width:100%}
figcaption{font-size:12px;color:#4b5563}
figcaption b{color:#111827;display:block}
.red{color:#dc2626}.green{color:#16a34a}.blue{color:#2563eb}
"""


FILES = ("index.html", "report.json", "classes.csv", "curves.csv")
"""What :func:`write_report` writes."""


def write_report(
    folder: Path,
    dataset: Dataset,
    result: VocResult,
    content: dict[str, Any],
    intervals: dict[str, Interval] | None = None,
    subject: str = "",
) -> Path:
    """Write ``index.html``, ``report.json``, ``classes.csv`` and ``curves.csv``.

    Args:
        folder: where to; it is made if need be.
        dataset: the ground truth, and the images for the pictures.
        result: the evaluation.
        content: figures for the JSON (``VocResult.to_json``, "coco", "comparison", ...).
        intervals: of :func:`.intervals.bootstrap`.
        subject: what was evaluated, for the heading.

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
    mistakes = worst_mistakes(dataset, result, errors)
    misses = worst_misses(dataset, result)
    everything = {
        **content,
        "images": len(dataset.images),
        "operating_points": points,
        "error_kinds": {"top_detections": errors.top, "map_area_gained_without": errors.gains},
        "curves": {entry.name: _curve(entry) for entry in result.classes if entry.truths},
    }
    rows = [_row(entry, points[entry.name], errors.top[entry.name]) for entry in result.classes]
    write_text(folder / "report.json", json.dumps(everything, indent=1) + "\n")
    write_recorded(folder / "classes.csv", _csv(rows))
    curves = [
        {"class": name, **dict(zip(("score", "precision", "recall"), point, strict=True))}
        for name, curve in everything["curves"].items()
        for point in zip(curve["score"], curve["precision"], curve["recall"], strict=True)
    ]
    write_recorded(folder / "curves.csv", _csv(curves))
    body = "\n".join(
        [
            _heading(dataset, result, content, intervals, subject),
            _table(result, intervals, points),
            _error_section(result, errors.top, errors.gains),
            _cards(result, points),
            _gallery("Worst false positives", mistakes, MISTAKES),
            _gallery("Largest misses", misses, MISSES),
        ]
    )
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="generator" '
        f'content="{MARK}"><meta name="viewport" '
        f'content="width=device-width"><title>{as_html(subject or "Detection report")}</title>'
        f"<style>{STYLE}</style></head><body>{body}</body></html>\n"
    )
    write_text(folder / "index.html", page)
    return folder / "index.html"


MISTAKES = (
    'The false positives with the highest scores: <b class="red">red</b> the detection, '
    '<b class="green">green</b> the annotated objects.'
)
MISSES = (
    'The largest objects that no detection found at any score: <b class="blue">blue</b> the '
    'missed object, <b class="green">green</b> the other annotated objects. "Best IoU" is the '
    "greatest IoU with a detection of the class."
)


def _heading(
    dataset: Dataset,
    result: VocResult,
    content: dict[str, Any],
    intervals: dict[str, Interval],
    subject: str,
) -> str:
    truths = sum(entry.truths for entry in result.classes)
    found = sum(int(entry.hits.sum()) for entry in result.classes)
    tiles = [
        (_percent(result.map_area), "mean AP, area", intervals.get("map_area")),
        (_percent(result.map_11), "mean AP, 11-point", intervals.get("map_11")),
        (_percent(found / truths if truths else None), "objects found at any score", None),
    ]
    if "coco" in content:
        tiles.append((_percent(content["coco"]["AP"]), "COCO AP, IoU 0.5 to 0.95", None))
    text = "".join(
        f'<div class="tile"><b>{value}</b><span>{label}{_range(interval)}</span></div>'
        for value, label, interval in tiles
    )
    place = as_html(f"{dataset.path}{', ' + dataset.split if dataset.split else ''}")
    compared = ""
    if "comparison" in content:
        area = content["comparison"]["map_area"]
        compared = (
            f"<p><b>Comparison.</b> Mean area AP of B (<code>--compare</code>) minus A: "
            f"{100 * area['difference']:+.1f} points (95 % interval {100 * area['low']:+.1f} to "
            f"{100 * area['high']:+.1f}): {as_html(area['verdict'])}.</p>"
        )
    return (
        f"<h1>{as_html(subject or 'Detection report')}</h1>"
        f'<div class="sub">{place}: {len(dataset.images)} images, {truths} objects, '
        f"{len(result.matching.outcome)} detections, IoU {result.iou:g}</div>"
        f'<div class="tiles">{text}</div>{compared}'
    )


def _table(
    result: VocResult, intervals: dict[str, Interval], points: dict[str, dict[str, float] | None]
) -> str:
    rows = []
    for entry in sorted(result.classes, key=lambda e: -(e.ap_area or 0.0) if e.truths else 1.0):
        if not entry.truths:
            continue
        point = points[entry.name] or {}
        cells = [
            as_html(entry.name),
            str(entry.truths),
            _percent(entry.ap_area) + _range(intervals.get(entry.name)),
            _percent(entry.ap_11),
            _percent(entry.recall),
            *(_percent(point.get(key)) for key in ("f1", "precision", "recall")),
            f"{point['score']:.3g}" if point else "-",
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    titles = ("class", "objects", "AP area", "AP 11-point", "recall", "best F1", "precision there")
    head = "".join(f"<th>{t}</th>" for t in (*titles, "recall there", "at score"))
    absent = sum(entry.truths == 0 for entry in result.classes)
    note = f"<p class='sub'>{absent} classes without objects are left out.</p>" if absent else ""
    mean = f"<td>{_percent(result.map_area)}</td><td>{_percent(result.map_11)}</td>"
    return (
        f"<h2>Classes</h2><table><tr>{head}</tr>{''.join(rows)}"
        f'<tr class="mean"><td>mean</td><td></td>{mean}<td colspan="5"></td></tr></table>{note}'
    )


def _error_section(
    result: VocResult, top: dict[str, dict[str, int]], gains: dict[str, float]
) -> str:
    totals = {kind: sum(counts[kind] for counts in top.values()) for kind in KINDS}
    truths = max(sum(entry.truths for entry in result.classes), 1)
    parts = [100 * totals[kind] / truths for kind in KINDS]
    shown = [name for name in (*KINDS, "missed") if name in gains]
    lost = [100 * gains[name] for name in shown]
    return (
        "<h2>Where mean AP is lost</h2><div class='two'><div><p>Mean area AP gained (points) if a "
        f"kind of error did not occur</p>{charts.bars(shown, lost, '', COLOURS)}</div><div><p>"
        "Kinds among the best N detections of each class, N being its number of objects</p>"
        f"{charts.bars(KINDS, parts, ' %', COLOURS)}</div></div>"
        "<p class='sub'>Localisation: IoU with an object of the class from 0.1 to "
        f"{result.iou:g}. Duplicate: a detection with a higher score has found the object. "
        "Similar and other class: IoU of at least 0.1 with an object of that class. "
        "Background: all other false positives. "
        "Missed: objects that no detection finds at any score. (Hoiem et al., 2012)</p>"
    )


def _cards(result: VocResult, points: dict[str, dict[str, float] | None]) -> str:
    cards = [
        f'<div class="card"><h3>{as_html(entry.name)} <span>AP {_percent(entry.ap_area)}, '
        f"{entry.truths} objects, {len(entry.scores)} detections</span></h3>"
        f"{charts.precision_recall(entry, points[entry.name])}{charts.score_histogram(entry)}</div>"
        for entry in result.classes
        if entry.truths
    ]
    return (
        "<h2>Curves and scores</h2><p>Left: precision and recall; the thick line is the curve that "
        'area AP measures. Right: detections per score, <b class="green">right</b> and '
        '<b class="red">wrong</b>; heights grow with the logarithm of the counts.</p>'
        f'<div class="cards">{"".join(cards)}</div>'
    )


def _gallery(title: str, pictures: Sequence[Picture], explanation: str) -> str:
    figures = "".join(
        f'<figure><img src="data:image/jpeg;base64,{p.jpeg}" alt="{as_html(p.title)}"><figcaption>'
        f"<b>{as_html(p.title)}</b>{as_html(p.detail)}</figcaption></figure>"
        for p in pictures
    )
    inner = f'<div class="pictures">{figures}</div>' if figures else "<p>There are none.</p>"
    return f"<h2>{title}</h2><p>{explanation}</p>{inner}"


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


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _range(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f' <span class="sub">({100 * interval.low:.0f} to {100 * interval.high:.0f})</span>'
