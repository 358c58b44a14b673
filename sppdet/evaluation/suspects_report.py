"""The list of suspects as a page with pictures, as CSV and as JSON."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sppdet.datasets.base import Dataset
from sppdet.datasets.image_names import relative_names
from sppdet.evaluation.gallery import RIGHT, TRUTH, Frame, Picture, crop
from sppdet.evaluation.page import gallery, whole_page
from sppdet.evaluation.suspects import (
    BAD_FIT,
    KINDS,
    MISSING,
    SPURIOUS,
    WRONG_CLASS,
    Place,
    Suspect,
)
from sppdet.runtime.files import write_text
from sppdet.runtime.names import as_html
from sppdet.runtime.outputs import write_recorded
from sppdet.runtime.words import counted, verb

FILES = ("index.html", "suspects.json", "suspects.csv")
"""What :func:`write_suspects` writes."""

PLURALS = {
    MISSING: ("missing box", "missing boxes"),
    WRONG_CLASS: ("wrong class", "wrong classes"),
    BAD_FIT: ("bad fit", "bad fits"),
    SPURIOUS: ("spurious label", "spurious labels"),
}

EXPLANATION = (
    '<b class="green">Green</b> are the labels, the one in doubt with a black edge; '
    '<b class="magenta">magenta</b> is what detectors found that had not learned from the image. '
    "<b>Missing box</b>: an object is found where no label is. <b>Wrong class</b>: the label's box "
    "is found as another class. <b>Bad fit</b>: the class is found, at another box. "
    "<b>Spurious label</b>: nothing is found there. A doubt does not prove an error: the list also "
    "contains hard objects and mistakes of the detectors."
)


def write_suspects(
    folder: Path, dataset: Dataset, suspects: Sequence[Suspect], pictures: int
) -> Path:
    """Write :data:`FILES`.

    Args:
        folder: where to; it is made if need be.
        dataset: the labels, and the images for the pictures.
        suspects: most doubtful first.
        pictures: how many of them the page shows, the first ones.

    Returns:
        The path of the page.

    Raises:
        SppdetError: a file cannot be written.
    """
    names = relative_names(dataset.images)
    entries = [_entry(names[one.image], one, dataset.classes) for one in suspects]
    content = {
        "path": str(dataset.path),
        "split": dataset.split,
        "images": len(dataset.images),
        "labels": count_labels(dataset),
        "kinds": count_kinds(suspects),
        "suspects": entries,
    }
    write_text(folder / "suspects.json", json.dumps(content, indent=1) + "\n")
    write_recorded(folder / "suspects.csv", _csv(entries))
    shown = list(_pictures(dataset, suspects[:pictures], names))
    title = "Suspect labels"
    rest = len(suspects) - len(suspects[:pictures])
    more = f"<p>{rest} more {verb(rest)} in suspects.csv and suspects.json.</p>" if rest else ""
    place = as_html(f"{dataset.path}{', ' + dataset.split if dataset.split else ''}")
    sections = [
        f'<h1>{title}</h1><div class="sub">{place}: {as_html(summary(dataset, suspects))}</div>',
        gallery("Most doubtful first", shown, EXPLANATION) + more,
    ]
    write_text(folder / "index.html", whole_page(title, sections))
    return folder / "index.html"


def summary(dataset: Dataset, suspects: Sequence[Suspect]) -> str:
    """How many labels there are, and how many suspects of each kind."""
    counts = count_kinds(suspects)
    parts = [f"{count} {PLURALS[kind][count != 1]}" for kind, count in counts.items()]
    labels, images = count_labels(dataset), len(dataset.images)
    return (
        f"{counted(labels, 'label')} in {counted(images, 'image')}, "
        f"{counted(len(suspects), 'suspect')} ({', '.join(parts)})"
    )


def count_labels(dataset: Dataset) -> int:
    """The labels of all images."""
    return sum(len(one) for one in dataset.all_annotations())


def count_kinds(suspects: Sequence[Suspect]) -> dict[str, int]:
    """How many suspects there are of each kind."""
    counts = Counter(one.kind for one in suspects)
    return {kind: counts[kind] for kind in KINDS}


def _entry(name: str, one: Suspect, classes: Sequence[str]) -> dict[str, Any]:
    """A suspect as JSON: rounded, and with names."""
    label = found = None
    if one.label is not None:
        label = {"class": classes[one.label.label], "number": one.number, "box": _box(one.label)}
    if one.found is not None:
        name_found, likely = classes[one.found.label], round(one.probability, 4)
        found = {"class": name_found, "probability": likely, "box": _box(one.found)}
    return {
        "image": name,
        "kind": one.kind,
        "doubt": round(one.doubt, 4),
        "label": label,
        "found": found,
    }


def _box(place: Place) -> list[float]:
    return [round(float(value), 1) for value in place.box]


def _csv(entries: Sequence[dict[str, Any]]) -> str:
    """One line for each suspect. A cell is empty if there is no label or no detection."""
    sides, stream = ("x1", "y1", "x2", "y2"), io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    heads = [f"{part}_{side}" for part in ("label", "found") for side in sides]
    first = ["rank", "image", "kind", "doubt", "label", "number"]
    writer.writerow([*first, *heads[:4], "found", "probability", *heads[4:]])
    for rank, one in enumerate(entries, 1):
        row = [rank, one["image"], one["kind"], one["doubt"]]
        for part, key in ((one["label"], "number"), (one["found"], "probability")):
            row += [""] * 6 if part is None else [part["class"], part[key], *part["box"]]
        writer.writerow(row)
    return stream.getvalue()


def _pictures(
    dataset: Dataset, suspects: Sequence[Suspect], names: Sequence[str]
) -> Iterator[Picture]:
    """A crop each; a suspect whose image cannot be read has none."""
    for rank, one in enumerate(suspects, 1):
        frames = [
            Frame(box, TRUTH, 4 if row == one.number else 2, "black" if row == one.number else None)
            for row, box in enumerate(dataset.annotations(one.image).boxes)
        ]
        places = [place for place in (one.label, one.found) if place is not None]
        boxes = np.stack([place.box for place in places])
        around = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
        said = []
        if one.label is not None:
            said.append(f"labelled {dataset.classes[one.label.label]}")
        if one.found is not None:
            frames.append(Frame(one.found.box, RIGHT))
            said.append(f"found {dataset.classes[one.found.label]} {one.probability:.2f}")
        jpeg = crop(dataset.images[one.image], around, frames)
        if jpeg is not None:
            detail = f"{', '.join(said)}; {names[one.image]}, doubt {one.doubt:.2f}"
            yield Picture(f"{rank}. {one.kind}", detail, jpeg)
