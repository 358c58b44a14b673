"""MOTChallenge: ``SEQUENCE/img1/000001.jpg`` and ``SEQUENCE/gt/gt.txt``.

A line is ``frame,track,left,top,width,height,counts,class,visibility``; frames and pixels count
from 1. An object that does not count is read as difficult. The classes are those of MOT16, or those
of ``gt/labels.txt``, which CVAT writes.
"""

from collections.abc import Sequence
from pathlib import Path

from sppdet.datasets.base import Dataset, Problem, RawObject, Record
from sppdet.datasets.files import Tree, read_text
from sppdet.datasets.names import SPLIT
from sppdet.datasets.per_image import header_size
from sppdet.runtime.words import counted, verb

CLASSES = (
    "pedestrian",
    "person on vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non motorized vehicle",
    "static person",
    "distractor",
    "occluder",
    "occluder on the ground",
    "occluder full",
    "reflection",
    "crowd",
)
"""By number, from 1 (Milan et al. 2016, MOT16: A benchmark for multi-object tracking, table 3)."""


def parts(tree: Tree) -> dict[str, list[Path]]:
    """The ``gt.txt`` files: by part, where a folder of the sequences is called train or test."""
    found: dict[str, list[Path]] = {}
    for file in tree.having(".txt"):
        if file.name == "gt.txt" and file.parent.name == "gt" and _frames(tree, file):
            names = [name for name in tree.folders(file) if SPLIT.fullmatch(name)]
            found.setdefault(names[0] if names else "", []).append(file)
    if "" in found and len(found) > 1:
        found["other"] = found.pop("")
    return found


def read(
    tree: Tree,
    chosen: Sequence[list[Path]],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read sequences; the classes are those that occur, sorted. A frame without line has none."""
    problems: list[Problem] = []
    records = []
    for file in (file for files in chosen for file in files):
        objects = read_file(file, problems)
        frames = _frames(tree, file)
        for number, image in enumerate(frames, 1):
            key = int(image.stem) if image.stem.isdigit() else number
            size = header_size(image, problems)
            records.append(Record(image, file, size, objects.pop(key, [])))
        if objects:
            has = verb(len(objects), "has", "have")
            text = (
                f"{counted(len(objects), 'frame')} such as {min(objects)} {has} no image; left out"
            )
            problems.append(Problem("missing image", file, text))
    return Dataset(tree.path, "mot", split, records, classes, problems, notes=tree.notes)


def read_file(file: Path, problems: list[Problem]) -> dict[int, list[RawObject]]:
    """The objects of a sequence by frame."""
    names = dict(enumerate(CLASSES, 1))
    labels = file.with_name("labels.txt")
    if labels.is_file():
        names = dict(enumerate(map(str.strip, read_text(labels).splitlines()), 1))
    found: dict[int, list[RawObject]] = {}
    for number, line in enumerate(read_text(file).splitlines(), 1):
        words = line.split(",")
        if not line.strip():
            continue
        try:
            frame = int(float(words[0]))
            x, y, w, h = (float(word) for word in words[2:6])
            counts = float(words[6]) != 0 if len(words) > 6 else True
            label = int(float(words[7])) if 7 < len(words) < 10 else 1
            name = names[label] if label > 0 else names[1]
        except (ValueError, KeyError, IndexError, OverflowError) as error:
            problems.append(Problem("bad object", file, f"line {number}: {error!r}, left out"))
            continue
        box = (x - 1, y - 1, x - 1 + w, y - 1 + h)
        found.setdefault(frame, []).append(RawObject(name, box, difficult=not counts))
    return found


def _frames(tree: Tree, file: Path) -> list[Path]:
    return [image for image in tree.images if image.parent == file.parent.parent / "img1"]
