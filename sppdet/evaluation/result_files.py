"""The lines of each format of results, laid beside the images and classes of a data set."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sppdet.datasets.base import Dataset
from sppdet.datasets.files import parse_json, read_text
from sppdet.datasets.image_names import ImageFinder
from sppdet.datasets.writers.coco import category_ids
from sppdet.errors import SppdetError
from sppdet.evaluation.export import COMP_FILE
from sppdet.images import image_size
from sppdet.runtime.names import unescaped

BOX_STYLES = ("xyxy", "xywh", "cxcywh", "yolo")
"""Four numbers in a text file: two corners; corner and size; centre and size; and the last with the
score behind the box, as YOLO writes them."""

LARGEST = 1e12
"""Of the numbers in results: their sums and areas stay finite in single precision."""

RUN_AS_COCO = "detections.coco.json"
"""What ``sppdet detect --save coco`` writes beside the JSON of each image."""

Found = tuple[int, str, float, tuple[float, float, float, float]]
"""Image, class, score, box: xyxy, 0-based, half-open, pixels."""


class Reader:
    """Turns the lines of each format into :data:`Found`.

    Args:
        path: the results, for messages.
        dataset: what they are for.

    Attributes:
        left_out: reasons, and the number of detections that were left out for each.
        kept: for "coco" the number of each entry that was taken, and its image.
        seen: the images that the results mention, also without a detection.
    """

    def __init__(self, path: Path, dataset: Dataset) -> None:
        self._path = path
        self.dataset = dataset
        self.left_out: Counter[str] = Counter()
        self.kept: list[tuple[int, int]] = []
        self.seen: set[int] = set()
        self._finder = ImageFinder(dataset.images)
        self._names: dict[int, str] = {}
        self._by_id = {key: index for index, key in enumerate(dataset.image_ids or ())}
        self._numbered = any(name.isdecimal() for name in dataset.classes)
        self.by_category = {key: name for name, key in category_ids(dataset).items()}

    def image(self, name: Any, count: int = 1) -> int | None:
        """The image called ``name``: a COCO id, a file name, a stem, or a stem's number.

        Raises:
            SppdetError: several images may be meant.
        """
        index = self._by_id.get(name)
        if index is None and isinstance(name, str) and name.isdecimal():
            index = self._by_id.get(int(name))
        try:
            if index is None:
                index = self._finder.find(str(name))
            if index is None and "%" in str(name):
                index = self._finder.find(unescaped(name))
        except SppdetError as error:
            raise SppdetError(f"{self._path}: {error}") from None
        if index is None:
            self.left_out[f"image {name} is not in the data"] += count
        else:
            self.seen.add(index)
            before = self._names.setdefault(index, str(name))
            if before != str(name):
                raise SppdetError(
                    f"{self._path}: {before} and {name} may both be the image "
                    f"{self.dataset.images[index].name}; name the images by their paths relative "
                    "to the data set"
                )
        return index

    def known(self, name: str, numbered: bool = False) -> str | None:
        """The class ``name``, which may also be its number from 0 where no class is a number.

        With ``numbered``, digits are a number in any case.
        """
        if numbered and name.isdecimal() and int(name) < len(self.dataset.classes):
            return self.dataset.classes[int(name)]
        for candidate in (name, unescaped(name)):
            if candidate in self.dataset.classes:
                return candidate
        if not self._numbered and name.isdecimal() and int(name) < len(self.dataset.classes):
            return self.dataset.classes[int(name)]
        self.left_out[f"class {name} is not in the data"] += 1
        return None

    def coco(self, path: Path, records: list[dict[str, Any]]) -> Iterator[Found]:
        """The entries of a COCO results file."""
        for number, record in enumerate(records):
            try:
                x, y, w, h = (finite(value) for value in record["bbox"])
                score = finite(record["score"])
                name = self.by_category.get(record["category_id"])
                image = self.image(record["image_id"])
            except KeyError as error:
                raise SppdetError(
                    f"{path}: entry {number} is not a detection (it has no {error.args[0]})"
                ) from None
            except (TypeError, ValueError) as error:
                raise SppdetError(f"{path}: entry {number} is not a detection ({error})") from None
            if name is None:
                self.left_out[f"category {record['category_id']} is not in the data"] += 1
            elif image is not None:
                self.kept.append((number, image))
                yield image, name, score, (x, y, x + w, y + h)

    def comp(self, path: Path) -> Iterator[Found]:
        """The lines of VOC's files, one of each class."""
        for file in [path] if path.is_file() else sorted(path.glob("comp*.txt")):
            matched = COMP_FILE.fullmatch(file.name)
            if matched is None:
                continue
            for line, text in _lines(file):
                words = text.rsplit(None, 5)
                if len(words) != 6:
                    raise _no_detection(file, line, "image score xmin ymin xmax ymax")
                score, x1, y1, x2, y2 = _numbers(file, line, words[1:])
                image, name = self.image(words[0]), self.known(matched.group(1))
                if image is not None and name is not None:
                    yield image, name, score, (x1 - 1, y1 - 1, x2, y2)

    def sppdet(self, path: Path) -> Iterator[Found]:
        """The JSON files of detect; also in folders, where the images are in folders."""
        for file in sorted(path.rglob("*.json")):
            try:
                content = parse_json(file)
                if file.name == RUN_AS_COCO or isinstance(content["detections"], dict):
                    continue  # of the whole run: its detections in another form, its summary
                entries = content["detections"]
                image = self._image_of_detect(str(content.get("image", file.stem)), len(entries))
                for entry in entries:
                    x1, y1, x2, y2 = (finite(value) for value in entry["box"])
                    name = self.known(entry["label"])
                    if image is not None and name is not None:
                        yield image, name, finite(entry["score"]), (x1, y1, x2, y2)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise SppdetError(f"{file}: is not a result of detect ({error!r})") from None

    def _image_of_detect(self, name: str, count: int) -> int | None:
        index = self.image(name, count)
        if index is not None and Path(name).exists():
            own = self.dataset.images[index]
            if own.exists() and not own.samefile(name):  # an image of that name elsewhere
                self.seen.discard(index)
                self.left_out[f"image {name} is not in the data"] += count
                return None
        return index

    def texts(self, path: Path, style: str) -> Iterator[Found]:
        """A text file per image; also in folders, where the images are in folders."""
        if style not in BOX_STYLES:
            raise SppdetError(f"--boxes {style}: choose one of {', '.join(BOX_STYLES)}")
        table = []
        for file in sorted(path.rglob("*.txt")):
            name = file.relative_to(path).with_suffix("").as_posix()
            rows = []
            for line, text in _lines(file):
                words = text.rsplit(None, 5)
                if len(words) < 6:
                    raise _no_detection(file, line, "class score and four numbers")
                numbers = _numbers(file, line, words[-5:])
                if style == "yolo":
                    numbers = [numbers[-1], *numbers[:-1]]
                rows.append((file, line, words[0], numbers))
            image = self.image(name, len(rows))
            table += [(image, *row) for row in rows if image is not None]
        relative = bool(table) and max(max(map(abs, row[4][1:])) for row in table) <= 1.5
        sizes: dict[int, tuple[int, int]] = {}
        for image, file, line, label, (score, *box) in table:
            known = self.known(label, style == "yolo")
            if known is None:
                continue
            x1, y1, x2, y2 = corners(box, style)
            if x2 < x1 or y2 < y1:
                raise SppdetError(
                    f"{file}: line {line}: the box ends before it begins; are these {style}? "
                    f"choose with --boxes {'|'.join(BOX_STYLES)}"
                )
            if relative:
                if image not in sizes:
                    sizes[image] = image_size(self.dataset.images[image])
                width, height = sizes[image]
                x1, y1, x2, y2 = x1 * width, y1 * height, x2 * width, y2 * height
            yield image, known, score, (x1, y1, x2, y2)


def corners(box: list[float], style: str) -> tuple[float, float, float, float]:
    """A box of any of :data:`BOX_STYLES` as xyxy."""
    a, b, c, d = box
    if style == "xyxy":
        return a, b, c, d
    if style == "xywh":
        return a, b, a + c, b + d
    return a - c / 2, b - d / 2, a + c / 2, b + d / 2


def finite(value: Any) -> float:
    """``value`` as a number.

    Raises:
        ValueError: it is not a number, is not finite, or is beyond :data:`LARGEST`.
    """
    try:
        number = float(value)
    except OverflowError:  # a whole number of more than 308 digits
        number = np.inf
    if not abs(number) <= LARGEST:
        raise ValueError(f"{value!s:.40} is not a number up to {LARGEST:g}")
    return number


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if line.strip():
            yield number, line.strip()


def _numbers(file: Path, line: int, words: list[str]) -> list[float]:
    try:
        return [finite(word) for word in words]
    except ValueError:
        raise _no_detection(file, line, "numbers") from None


def _no_detection(file: Path, line: int, wanted: str) -> SppdetError:
    return SppdetError(f"{file}: line {line} is not a detection, expected {wanted}")
