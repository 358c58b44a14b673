"""Lines of YOLO label files: ``class cx cy w h`` in fractions of the image's size.

A line may have more numbers: a confidence, a polygon or the four corners of a turned box, whose
upright hull is the box, or key points, which are dropped.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sppdet.datasets.base import Problem, RawObject
from sppdet.datasets.files import read_text
from sppdet.runtime.words import counted

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
LINE = re.compile(rf"\s*\d+(?:\.0*)?(?:\s+{NUMBER}){{4,}}\s*")


def looks_like_yolo(file: Path) -> bool | None:
    """Whether the first line of a file is one of YOLO labels; None for an empty file."""
    for line in read_text(file).splitlines():
        if line.strip():
            return LINE.fullmatch(line) is not None
    return None


def read_labels(
    file: Path,
    size: tuple[int, int],
    names: dict[int, str],
    points: tuple[int, int] | None,
    problems: list[Problem],
) -> Iterator[RawObject]:
    """The objects of a label file.

    Args:
        file: the label file.
        size: (width, height) of the image in pixels.
        names: the class names by number.
        points: number of key points per object and numbers per point (``kpt_shape``), if known.
        problems: lines that cannot be read are added.

    Raises:
        SppdetError: the file cannot be read.
    """
    for number, line in enumerate(read_text(file).splitlines(), 1):
        try:
            found = object_of_line(line, size, names, points)
        except UnknownClass as error:
            problems.append(Problem("unknown class", file, f"line {number}: {error}, left out"))
        except (ValueError, OverflowError) as error:
            problems.append(Problem("bad object", file, f"line {number}: {error}, left out"))
        else:
            if found is not None:
                yield found


class UnknownClass(ValueError):
    """A number that the class file does not name."""


def object_of_line(
    line: str, size: tuple[int, int], names: dict[int, str], points: tuple[int, int] | None
) -> RawObject | None:
    """The object of one line, or None for an empty line; the arguments are as above.

    Raises:
        ValueError, OverflowError: it cannot be read; :class:`UnknownClass` for its class.
    """
    words = line.split()
    if not words:
        return None
    label = float(words[0])
    values = [float(word) for word in words[1:]]
    if label != int(label):
        raise ValueError(f"class {words[0]} is not a whole number")
    box = _box(values, points, *size)
    name = names.get(int(label))
    if name is None:
        raise UnknownClass(f"class {int(label)} has no name")
    return RawObject(name, box)


def _box(
    values: list[float], points: tuple[int, int] | None, width: int, height: int
) -> tuple[float, float, float, float]:
    count = len(values)
    if count in (4, 5) or (count > 5 and is_pose(values, points)):  # 5: with a confidence
        x, y, w, h = values[:4]
        left, top, right, bottom = x - w / 2, y - h / 2, x + w / 2, y + h / 2
    elif count >= 6:
        corners = values[: count - count % 2]  # an odd number: with a confidence
        left, right = min(corners[0::2]), max(corners[0::2])
        top, bottom = min(corners[1::2]), max(corners[1::2])
    else:
        raise ValueError(f"{counted(count, 'number')}, not 4 (or a polygon)")
    return left * width, top * height, right * width, bottom * height


def is_pose(values: list[float], points: tuple[int, int] | None) -> bool:
    """Whether numbers are a box with key points, and not a polygon.

    With ``points`` the count decides. Otherwise each third number after the box must be 0, 1 or 2,
    the visibility of a point, and each point that is not 0, 0 must lie near the box.
    """
    if points is not None:
        return len(values) == 4 + points[0] * points[1]
    rest = values[4:]
    if len(rest) % 3 or any(value not in (0.0, 1.0, 2.0) for value in rest[2::3]):
        return False
    x, y, w, h = values[:4]
    shown = [(a, b) for a, b in zip(rest[0::3], rest[1::3], strict=True) if a or b]
    return all(abs(a - x) <= 0.75 * w and abs(b - y) <= 0.75 * h for a, b in shown)
