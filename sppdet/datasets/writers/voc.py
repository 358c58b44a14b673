"""VOC: ``JPEGImages``, ``Annotations`` and ``ImageSets/Main``.

VOC counts pixels from 1 and includes both corners, which are whole numbers: corners are rounded,
except where a side would be shorter than two pixels.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from sppdet.boxes import Corners, to_voc
from sppdet.datasets.base import Dataset
from sppdet.datasets.writers.common import Picture, become, check_names, part_name, pictures, place
from sppdet.runtime.files import write_text

ALLOWED = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
"""What XML 1.0 can hold (section 2.2)."""


def write(parts: Mapping[str, Dataset], folder: Path, copy: bool) -> list[str]:
    """Write the parts of a data set; returns what changed, a line each.

    Raises:
        SppdetError: a class name cannot stand in XML, or a file cannot be written.
    """
    for dataset in parts.values():
        check_names(dataset.classes, ALLOWED, "VOC")
    notes: list[str] = []
    crowds = sum(int(one.crowd.sum()) for d in parts.values() for one in d.all_annotations())
    if crowds:
        notes.append(f"voc cannot say crowd: {become(crowds, 'difficult')}")
    listed = {split: pictures(dataset, notes) for split, dataset in parts.items()}
    stems = [picture.stem.casefold() for found in listed.values() for picture in found]
    apart = len(set(stems)) < len(stems)
    for split, found in listed.items():
        prefix = f"{part_name(split)}/" if apart else ""
        for picture in found:
            place(picture, folder / "JPEGImages" / (prefix + picture.name), copy)
            target = folder / "Annotations" / f"{prefix}{picture.stem}.xml"
            write_text(target, annotation(picture, parts[split].classes))
        names = "".join(f"{prefix}{picture.stem}\n" for picture in found)
        write_text(folder / "ImageSets" / "Main" / f"{part_name(split or 'all')}.txt", names)
    return notes


def annotation(picture: Picture, classes: tuple[str, ...]) -> str:
    """The XML of an image."""
    width, height = picture.size
    lines = [
        "<annotation>",
        f"  <filename>{escape(picture.name.rsplit('/', 1)[-1])}</filename>",
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        "  <segmented>0</segmented>",
    ]
    entry = picture.objects
    for box, label, difficult, crowd in zip(
        entry.boxes.tolist(), entry.labels, entry.difficult, entry.crowd, strict=True
    ):
        lines += object_lines(classes[label], box, bool(difficult or crowd))
    return "\n".join([*lines, "</annotation>"]) + "\n"


def object_lines(name: str, box: list[float], difficult: bool) -> list[str]:
    """The lines of an object: its class, and its box in pixels, xyxy, 0-based, half-open."""
    corners = zip(("xmin", "ymin", "xmax", "ymax"), voc_corners(box), strict=True)
    return [
        "  <object>",
        f"    {_name(name)}",
        "    <pose>Unspecified</pose>",
        "    <truncated>0</truncated>",
        f"    <difficult>{int(difficult)}</difficult>",
        "    <bndbox>" + "".join(f"<{tag}>{v:.9g}</{tag}>" for tag, v in corners) + "</bndbox>",
        "  </object>",
    ]


def voc_corners(box: list[float]) -> Corners:
    """xmin, ymin, xmax, ymax as VOC counts, in whole numbers where the box allows it."""
    x1, y1, x2, y2 = map(round, box)
    return to_voc((x1, y1, x2, y2) if min(x2 - x1, y2 - y1) >= 2 else box)


def _name(name: str) -> str:
    text = escape(name, {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})
    if name == name.strip():
        return f"<name>{text}</name>"
    return f'<name xml:space="preserve">{text}</name>'
