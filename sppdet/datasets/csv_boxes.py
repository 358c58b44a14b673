"""CSV: a row for each object, with or without a line of headings.

Corners are pixels from 0, the right and lower one excluded, or fractions where no number of the
file is above 1. A row whose numbers and class are empty is an image without objects. Without
headings the columns are those of RetinaNet (``path,x1,y1,x2,y2,class``), of Make Sense
(``class,x,y,width,height,file,image width,image height``) or of AutoML Vision
(``set,path,class,x1,y1,,,x2,y2,,``).
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sppdet.datasets.base import Dataset, Problem, RawObject
from sppdet.datasets.files import Tree, read_text
from sppdet.datasets.listed import Listed, Part, parts_of, read_listed
from sppdet.datasets.per_image import stated_size
from sppdet.errors import SppdetError
from sppdet.images import SUFFIXES
from sppdet.runtime.words import counted

COLUMNS = {
    "image": "filename file fname image imagename imagepath imageid imagefile imagefilename"
    " filepath path img imgname imgpath imgid frame",
    "class": "class label classname labelname category categoryname object objectclass classes"
    " labels name type species tag target cls classid categoryid labelid objectid classindex",
    "x1": "xmin x1 left bboxx1 bboxxmin minx x0 xtl boxxmin roix1",
    "y1": "ymin y1 top bboxy1 bboxymin miny y0 ytl boxymin roiy1",
    "x2": "xmax x2 right bboxx2 bboxxmax maxx xbr boxxmax roix2",
    "y2": "ymax y2 bottom bboxy2 bboxymax maxy ybr boxymax roiy2",
    "x": "x bboxx boxx bboxleft left xmin",
    "y": "y bboxy boxy bboxtop top ymin",
    "cx": "cx xcenter centerx xcentre",
    "cy": "cy ycenter centery ycentre",
    "w": "w bboxwidth boxwidth bboxw bw width",
    "h": "h bboxheight boxheight bboxh bh height",
    "box": "bbox box boundingbox",
    "width": "width imagewidth imgwidth imwidth imgw",
    "height": "height imageheight imgheight imheight imgh",
    "subset": "split set subset",
}
"""What a column is by its heading, in lower case without signs; the first heading that fits."""

SEPARATOR = re.compile(r"\s*sep=.[ \t]*\r?\n", re.I)
"""A first line with which Excel says what separates the cells."""

SIGNS = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True)
class Layout:
    """Attributes:
    columns: the number of each column of :data:`COLUMNS` that there is.
    style: "corners", "corner and size", "centre and size", or "box" for four numbers in a column.
    headings: whether the first row is a line of headings.
    """

    columns: dict[str, int]
    style: str
    headings: bool


def parts(tree: Tree) -> dict[str, Part]:
    """The CSV files of boxes by part."""
    files = [file for file in tree.having(".csv", ".tsv") if _layout_of(file) is not None]
    return parts_of(tree, files, read_file) if files else {}


def read(
    tree: Tree,
    chosen: Sequence[Part],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read CSV files of boxes; the classes are those that occur, sorted."""
    dataset = read_listed(tree, "csv", chosen, split, classes, read_file)
    for file in dict.fromkeys(part.file for part in chosen):
        layout = _layout_of(file)
        if layout is not None and "class" not in layout.columns:
            text = f"{tree.shown(file)} has no column for the class: every object is an «object»"
            dataset.notes.append(text)
    return dataset


def nearly(tree: Tree) -> str | None:
    """Which columns a CSV file lacks."""
    for file in tree.having(".csv", ".tsv"):
        first = next(iter(rows(file)), [])
        known = _columns(first)
        if len(known) >= 2:
            lacking = [
                name for name in ("image", "class", "x1", "y1", "x2", "y2") if name not in known
            ]
            return f"{tree.shown(file)} has no column for {', '.join(lacking)}"
    return None


def rows(file: Path) -> list[list[str]]:
    """The rows of a CSV file with commas, semicolons, tabs or bars; empty rows are left out.

    Raises:
        SppdetError: it cannot be read.
    """
    text = SEPARATOR.sub("", read_text(file), count=1)
    first = text.lstrip().split("\n", 1)[0]
    delimiter = max(",;\t|", key=first.count)
    try:
        table = csv.reader(
            io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True
        )
        return [row for row in table if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise SppdetError(f"{file}: is not readable CSV ({error})") from None


def read_file(file: Path, problems: list[Problem]) -> list[Listed]:
    """The images of a CSV file.

    Raises:
        SppdetError: it cannot be read, or its columns are unknown.
    """
    layout = _layout_of(file)
    if layout is None:
        raise SppdetError(f"{file}: is not a CSV file of boxes")
    table = rows(file)[layout.headings :]
    found: dict[str, Listed] = {}
    boxes = []
    for number, row in enumerate(table, 1 + layout.headings):
        cells = {name: row[k] for name, k in layout.columns.items() if k < len(row)}
        name = cells.get("image", "").strip()
        if not name:
            problems.append(Problem("bad object", file, f"row {number}: names no image, left out"))
            continue
        entry = found.setdefault(name, Listed(name))
        entry.size = entry.size or stated_size(cells.get("width"), cells.get("height"))
        entry.subset = entry.subset or _subset(cells.get("subset", ""))
        try:
            corners = list(_numbers(cells, layout))
            if not corners:
                continue
            label = cells.get("class", "object")
            if not label.strip():
                raise ValueError("no class")
            entry.objects.append(RawObject(label, _corners(corners, layout.style)))
            boxes += corners
        except (ValueError, TypeError) as error:
            problems.append(Problem("bad object", file, f"row {number}: {error}, left out"))
    if boxes and min(boxes) >= 0 and max(boxes) <= 1:
        for entry in found.values():
            entry.unit = 1.0
    return list(found.values())


def _subset(text: str) -> str:
    text = text.strip().lower()
    return "" if text in ("unassigned", "none", "nan") else text


def _numbers(cells: dict[str, str], layout: Layout) -> Iterator[float]:
    """The four numbers of a row; none where all are empty."""
    names = {
        "corners": ("x1", "y1", "x2", "y2"),
        "corner and size": ("x", "y", "w", "h"),
        "centre and size": ("cx", "cy", "w", "h"),
        "box": ("box",),
    }[layout.style]
    texts = [cells.get(name, "").strip() for name in names]
    if not any(texts) or all(text.lower() == "nan" for text in texts):
        return
    if layout.style == "box":
        texts = re.findall(r"[-+.\deE]+", texts[0])
    if len(texts) != 4 or not all(texts):
        raise ValueError(f"{counted(sum(map(bool, texts)), 'number')}, not 4")
    for text in texts:
        yield float(text.replace(",", "."))


def _corners(numbers: list[float], style: str) -> tuple[float, float, float, float]:
    a, b, c, d = numbers
    if style == "corners":
        return a, b, c, d
    if style == "centre and size":
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return a, b, a + c, b + d


def _layout_of(file: Path) -> Layout | None:
    try:
        table = rows(file)
    except SppdetError:
        return None
    if not table:
        return None
    known = _columns(table[0])
    for style, wanted in (
        ("corners", ("x1", "y1", "x2", "y2")),
        ("centre and size", ("cx", "cy", "w", "h")),
        ("corner and size", ("x", "y", "w", "h")),
        ("box", ("box",)),
    ):
        if "image" in known and all(name in known for name in wanted):
            if style in ("corner and size", "centre and size"):
                for size, side in (("width", "w"), ("height", "h")):
                    if known.get(size) == known[side]:
                        del known[size]
            return Layout(known, style, True)
    return _without_headings(table)


def _columns(headings: Sequence[str]) -> dict[str, int]:
    plain = [SIGNS.sub("", heading.casefold()) for heading in headings]
    found = {}
    for name, words in COLUMNS.items():
        for word in words.split():
            if word in plain:
                found[name] = plain.index(word)
                break
    return found


def _without_headings(table: list[list[str]]) -> Layout | None:
    def is_image(text: str) -> bool:
        return Path(text.strip().replace("\\", "/")).suffix.casefold() in SUFFIXES

    def is_number(text: str) -> bool:
        return re.fullmatch(r"\s*[-+]?\d*\.?\d*(e[-+]?\d+)?\s*", text, re.I) is not None

    row = table[0]
    if len(row) == 6 and is_image(row[0]) and all(map(is_number, row[1:5])):
        columns = dict(zip(("image", "x1", "y1", "x2", "y2", "class"), range(6), strict=True))
        return Layout(columns, "corners", False)
    if len(row) == 8 and is_image(row[5]) and all(map(is_number, (*row[1:5], *row[6:]))):
        names = ("class", "x", "y", "w", "h", "image", "width", "height")
        return Layout(dict(zip(names, range(8), strict=True)), "corner and size", False)
    if len(row) == 11 and is_image(row[1]) and all(map(is_number, (*row[3:5], *row[7:9]))):
        columns = {"subset": 0, "image": 1, "class": 2, "x1": 3, "y1": 4, "x2": 7, "y2": 8}
        return Layout(columns, "corners", False)
    return None
