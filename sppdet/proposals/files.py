"""Proposals in files: npz, JSON, CSV and MATLAB's mat, written and read; nothing is pickled.

======  ========================================================================================
suffix  content
======  ========================================================================================
.npz    ``images`` (N,) names, ``counts`` (N,) int64, ``boxes`` (sum of counts, 4) float32 image
        after image, ``order`` and ``base``; or one array (n, 4) per image under its name
.json   ``{"order", "base", "boxes": {"photo.jpg": [[x1, y1, x2, y2], ...], ...}}``, or the inner
        object alone
.csv    columns ``image, x1, y1, x2, y2`` in any order, one row per box
.mat    ``boxes``, a cell array of (n, 4) doubles, and ``images``, a cell array of names, as the
        code of the R-CNN papers reads them, with ``order`` and ``base``
======  ========================================================================================

Boxes stand best first. ``order`` says what the four columns are, ``base`` from which number pixels
are counted: with 0 the lower and right corners are excluded, as everywhere in sppdet; with 1, as in
MATLAB, they are included. Files that state neither have the order ``xyxy`` from 0, except mat
files: those of sppdet state ``y1 x1 y2 x2`` from 1, and of others both must be said.
"""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import FARTHEST, Boxes
from sppdet.datasets.files import parse_json
from sppdet.datasets.image_names import ImageFinder
from sppdet.errors import SppdetError
from sppdet.images import image_size
from sppdet.proposals.other_kinds import WANTED, other_kind, refuse_other_kind
from sppdet.runtime.outputs import recorded_path

SUFFIXES = (".npz", ".json", ".csv", ".mat")

ORDERS = {"xyxy": (0, 1, 2, 3), "yxyx": (1, 0, 3, 2)}
"""Orders of the columns, with the columns of x1, y1, x2 and y2."""

TOLERANCE = 1.0
"""Pixels by which a box may leave its image, because programs round."""

_COLUMNS = ("x1", "y1", "x2", "y2")


def write_proposals(path: Path, proposals: Mapping[str, Boxes]) -> None:
    """Write boxes, (N, 4) each, by the name of their image; the suffix chooses the format.

    JSON and CSV have two decimals.

    Raises:
        SppdetError: the suffix is unknown, or the file cannot be written.
    """
    writers: dict[str, Callable[[Mapping[str, Boxes]], bytes]] = {
        ".npz": _npz,
        ".json": _json,
        ".csv": _csv,
        ".mat": _mat,
    }
    write = writers.get(path.suffix.lower())
    if write is None:
        raise SppdetError(f"{path}: proposals are written as one of {', '.join(SUFFIXES)}")
    with recorded_path(path) as temporary:
        temporary.write_bytes(write(proposals))


def read_proposals(
    path: Path,
    images: Sequence[Path],
    order: str | None = None,
    base: int | None = None,
    allow_empty: bool = False,
) -> list[Boxes]:
    """The boxes of each image, (N, 4) xyxy from 0, half-open, in the images' order.

    Images are found in the file by path, file name or name without suffix, as long as it means one
    of them only; of several names for an image that with most of its path counts. Further images of
    the file are passed over. Boxes are compared with the sizes of the images, so that a wrong order
    or base is noticed.

    Args:
        path: the file.
        images: image files.
        order: one of :data:`ORDERS`; by default what the file states, or the usual one.
        base: 0 or 1; by default what the file states.
        allow_empty: whether an image may have no boxes.

    Raises:
        SppdetError: the file cannot be read, is not a file of proposals, states another order or
            base, has no boxes for an image, or has boxes that lie outside their image.
    """
    content, stated_order, stated_base = _read(path)
    usual = (None, None) if path.suffix.lower() == ".mat" else ("xyxy", 0)
    order = _agreed(path, "order", order, stated_order, usual[0], tuple(ORDERS))
    base = _agreed(path, "base", base, stated_base, usual[1], (0, 1))
    try:
        found = {index: name for name, index in ImageFinder(images).find_each(content).items()}
    except SppdetError as error:
        raise SppdetError(f"{path}: {error}") from None
    if len(found) < len(images):
        refuse_other_kind(path, content)
    result = []
    for index, image in enumerate(images):
        if index not in found:
            raise SppdetError(f"{path}: has no boxes for {image.name}; make it with these images")
        name = found[index]
        checked = _checked(path, name, content[name], order, base, image)
        if not len(checked) and not allow_empty:
            raise SppdetError(f"{path}: the list of boxes of {name} is empty")
        result.append(checked)
    return result


def _agreed(
    path: Path, what: str, given: Any, stated: Any, usual: Any, allowed: tuple[Any, ...]
) -> Any:
    """The order or the base: given, stated or usual; what is given must be what is stated."""
    choices = " or ".join(map(str, allowed))
    if given is stated is usual is None:
        raise SppdetError(f"{path}: does not state the {what} of its boxes; --box-{what} {choices}")
    for value in (given, stated):
        if value is not None and value not in allowed:
            raise SppdetError(f"{path}: the {what} of its boxes is {value!r}; it must be {choices}")
    if given is not None and stated is not None and given != stated:
        raise SppdetError(f"{path}: states the {what} {stated}, but --box-{what} says {given}")
    return next(value for value in (given, stated, usual) if value is not None)


def _checked(path: Path, name: str, boxes: Any, order: str, base: int, image: Path) -> Boxes:
    """The boxes of one image as xyxy from 0, half-open, inside their image."""
    try:
        array = np.asarray(boxes, np.float64).reshape(-1, 4)
        if np.asarray(boxes, np.float64).shape not in (array.shape, (0,), (0, 0)):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise SppdetError(f"{path}: a box of {name} is not a list of four numbers") from None
    array = array[:, ORDERS[order]] - np.array([base, base, 0, 0])
    sides = array[:, 2:] - array[:, :2]
    near = bool((np.abs(array) <= FARTHEST).all())  # not so for NaN
    if not near or not (sides > 0).all():
        raise SppdetError(
            f"{path}: the boxes of {name} are not {' '.join(_COLUMNS)} with x1 < x2 and y1 < y2 in "
            f"the order {order} from {base}; see --box-order and --box-base"
        )
    try:
        width, height = image_size(image)
    except SppdetError:  # whoever reads the image says what is wrong with it
        return array.astype(np.float32)
    # Where pixels count from 1, a 0 cannot come from rounding: the base is wrong.
    outside = (array <= (-1 if base else -TOLERANCE - 1e-9)).any(axis=1)
    outside |= (array[:, 2] > width + TOLERANCE) | (array[:, 3] > height + TOLERANCE)
    if outside.any():
        box = ", ".join(f"{value:g}" for value in array[int(outside.argmax())])
        raise SppdetError(
            f"{path}: the box {box} of {name} leaves its image of {width} x {height} pixels; see "
            "--box-order and --box-base"
        )
    limits = np.array([width, height, width, height], np.float64)
    clipped = np.clip(array, 0, limits).astype(np.float32)
    kept: Boxes = clipped[((clipped[:, 2:] - clipped[:, :2]) > 0).all(axis=1)]
    return kept


# ---------------------------------------------------------------- reading

_Content = tuple[dict[str, Any], str | None, int | None]
"""Boxes by image, and the order and the base that a file states."""


_DAMAGED = (
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    EOFError,
    RecursionError,
    zipfile.BadZipFile,
    csv.Error,
)


def _read(path: Path) -> _Content:
    readers = {".npz": _read_npz, ".json": _read_json, ".csv": _read_csv, ".mat": _read_mat}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise SppdetError(f"{path}: proposals are read from one of {', '.join(SUFFIXES)}")
    try:
        return read(path)
    except OSError as error:
        raise SppdetError(f"{path}: cannot be read ({error.strerror or error})") from None
    except _DAMAGED as error:
        raise SppdetError(f"{path}: is not a file of proposals ({error}); {WANTED}") from None
    except NotImplementedError:
        raise SppdetError(f"{path}: is a mat file of version 7.3; save it with -v7") from None


def _read_npz(path: Path) -> _Content:
    with np.load(path, allow_pickle=False) as arrays:
        if not {"images", "counts", "boxes"} <= set(arrays.files):
            return {name: arrays[name] for name in arrays.files}, None, None
        ends = np.cumsum(arrays["counts"])[:-1]
        parts = np.split(arrays["boxes"], ends) if len(arrays["counts"]) else []
        boxes = dict(zip(map(str, arrays["images"]), parts, strict=True))
        return boxes, str(arrays["order"]), int(arrays["base"])


def _read_json(path: Path) -> _Content:
    content = parse_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"it is {other_kind(content)}")
    if isinstance(content.get("boxes"), dict):
        return content["boxes"], content.get("order"), content.get("base")
    return content, None, None


def _read_csv(path: Path) -> _Content:
    boxes: dict[str, list[list[float]]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file)
        if not {"image", *_COLUMNS} <= set(table.fieldnames or ()):
            raise ValueError(f"its columns are not image, {', '.join(_COLUMNS)}")
        for row in table:
            own = boxes.setdefault(row["image"], [])
            if row["x1"]:
                own.append([float(row[name]) for name in _COLUMNS])
    return boxes, "xyxy", None


def _read_mat(path: Path) -> _Content:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path)
    except MatReadError as error:
        raise ValueError(str(error)) from None
    if not {"boxes", "images"} <= content.keys():
        raise ValueError("it has no boxes and images")
    boxes, images = content["boxes"].ravel(), content["images"].ravel()
    names = [str(np.asarray(name).ravel()[0]) for name in images]
    stated = {key: content[key].ravel()[0] for key in ("order", "base") if key in content}
    order, base = stated.get("order"), stated.get("base")
    if order is not None:
        order = {"x1 y1 x2 y2": "xyxy", "y1 x1 y2 x2": "yxyx"}.get(str(order), str(order))
    return dict(zip(names, boxes, strict=True)), order, None if base is None else int(base)


# ---------------------------------------------------------------- writing


def _npz(proposals: Mapping[str, Boxes]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        images=np.array(list(proposals), dtype=np.str_),
        counts=np.array([len(boxes) for boxes in proposals.values()], np.int64),
        boxes=np.concatenate([np.zeros((0, 4), np.float32), *proposals.values()]),
        order=np.array("xyxy"),
        base=np.array(0),
    )
    return stream.getvalue()


def _json(proposals: Mapping[str, Boxes]) -> bytes:
    boxes = {name: _rounded(one) for name, one in proposals.items()}
    return (json.dumps({"order": "xyxy", "base": 0, "boxes": boxes}) + "\n").encode()


def _csv(proposals: Mapping[str, Boxes]) -> bytes:
    table = io.StringIO(newline="")
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("image", *_COLUMNS))
    for name, boxes in proposals.items():
        rows.writerows([name, *box] for box in _rounded(boxes))
        if not len(boxes):
            rows.writerow([name, "", "", "", ""])
    return table.getvalue().encode()


def _mat(proposals: Mapping[str, Boxes]) -> bytes:
    from scipy.io import savemat

    boxes: NDArray[np.object_] = np.empty((1, len(proposals)), object)
    images: NDArray[np.object_] = np.empty((len(proposals), 1), object)
    for index, (name, own) in enumerate(proposals.items()):
        images[index, 0] = name
        boxes[0, index] = (own.astype(np.float64) + np.array([1, 1, 0, 0]))[:, ORDERS["yxyx"]]
    stream = io.BytesIO()
    values = {"boxes": boxes, "images": images, "order": "y1 x1 y2 x2", "base": 1.0}
    savemat(stream, values, do_compression=True)  # type: ignore[arg-type]  # it takes streams
    return stream.getvalue()


def _rounded(boxes: Boxes) -> list[list[float]]:
    return [[round(float(value), 2) for value in box] for box in boxes]
