"""Open Images CSV: ``ImageID``, ``LabelName`` and corners in fractions of the image's size.

The names of the classes are in ``class-descriptions*.csv``. A box of a group is a crowd. People
mostly have a part of the images; the images that are not there are counted.
"""

from collections.abc import Sequence
from pathlib import Path

from sppdet.datasets.base import Dataset, Problem, RawObject
from sppdet.datasets.csv_boxes import rows
from sppdet.datasets.files import Tree
from sppdet.datasets.listed import Listed, Part, parts_of, read_listed
from sppdet.errors import SppdetError

NEEDED = {"ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax"}


def parts(tree: Tree) -> dict[str, Part]:
    """The files of boxes by part."""
    return parts_of(tree, [file for file in tree.having(".csv") if set(_headings(file)) >= NEEDED])


def read(
    tree: Tree,
    chosen: Sequence[Part],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read files of boxes; the classes are those that occur, sorted."""
    names: dict[str, str] = {}
    for file in tree.files:
        if file.name.startswith("class-descriptions") and file.suffix == ".csv":
            names |= {row[0]: row[1] for row in rows(file) if len(row) == 2}

    def read_one(file: Path, problems: list[Problem]) -> list[Listed]:
        return read_file(file, problems, names)

    return read_listed(tree, "openimages", chosen, split, classes, read_one)


def read_file(file: Path, problems: list[Problem], names: dict[str, str]) -> list[Listed]:
    """The images of a file of boxes, with the names of the classes by their codes.

    Raises:
        SppdetError: it cannot be read.
    """
    headings, *table = rows(file)
    found: dict[str, Listed] = {}
    for number, row in enumerate(table, 2):
        cells = dict(zip(headings, row, strict=False))
        try:
            entry = found.setdefault(cells["ImageID"], Listed(cells["ImageID"], unit=1.0))
            code = cells["LabelName"]
            x1, y1, x2, y2 = (float(cells[name]) for name in ("XMin", "YMin", "XMax", "YMax"))
            crowd = cells.get("IsGroupOf", "0").strip() == "1"
            entry.objects.append(RawObject(names.get(code, code), (x1, y1, x2, y2), crowd=crowd))
        except (KeyError, ValueError) as error:
            problems.append(Problem("bad object", file, f"row {number}: {error!r}, left out"))
    return list(found.values())


def _headings(file: Path) -> list[str]:
    try:
        return next(iter(rows(file)), [])
    except SppdetError:
        return []
