"""COCO JSON: ``images``, ``annotations`` and ``categories`` in one file."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sppdet.datasets.base import Dataset, Problem, RawObject, Record
from sppdet.errors import SppdetError
from sppdet.images import image_size


def find_json(path: Path) -> dict[str, Path]:
    """The annotation files in a folder by split name; the only one may have the name "".

    Files are looked for in the folder and in its ``annotations`` folder, by their usual names
    (``instances*.json``, ``*.coco.json``); failing these, the only ``.json`` file of the folder.
    """
    if path.is_file():
        return {"": path} if path.suffix.lower() == ".json" else {}
    found: list[Path] = []
    for folder in (path, path / "annotations"):
        if folder.is_dir():
            found += sorted({*folder.glob("instances*.json"), *folder.glob("*.coco.json")})
    if not found:
        rest = sorted(path.glob("*.json"))
        found = rest if len(rest) == 1 and _looks_right(rest[0]) else []
    if len(found) == 1 and not _split_of(found[0]):
        return {"": found[0]}
    return {_split_of(file) or file.stem: file for file in found}


def _split_of(file: Path) -> str:
    name = file.name.removesuffix(".json").removesuffix(".coco").strip("_")
    if name in ("instances", "annotations"):
        return ""
    return name.removeprefix("instances").removesuffix("annotations").strip("_-.")


def _looks_right(file: Path) -> bool:
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, OSError):
        return False
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def read_json(file: Path) -> dict[str, Any]:
    """The content of a COCO annotation file.

    Raises:
        SppdetError: it is not JSON, or not in the COCO format.
    """
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, OSError) as error:
        raise SppdetError(f"{file}: is not readable JSON ({error})") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise SppdetError(f'{file}: is not a COCO annotation file (it has no list "{key}")')
    return content


def open_coco(path: Path, file: Path, split: str | None, classes: Sequence[str] | None) -> Dataset:
    """Read a COCO annotation file. The classes are its categories in the order of their ids.

    Raises:
        SppdetError: the file is not in the COCO format, or has no category of a class asked for.
    """
    content = read_json(file)
    problems: list[Problem] = []
    try:
        names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        pictures = {entry["id"]: entry for entry in content["images"]}
        locate = _Locator(file, split, [entry["file_name"] for entry in content["images"]])
    except (KeyError, TypeError) as error:
        raise SppdetError(f"{file}: a category or an image lacks {error}") from None
    objects: dict[Any, list[RawObject]] = {key: [] for key in pictures}
    for entry in content["annotations"]:
        try:
            owner, name = objects[entry["image_id"]], names[entry["category_id"]]
            x, y, width, height = (float(value) for value in entry["bbox"])
        except (KeyError, TypeError, ValueError) as error:
            text = f"annotation {_id(entry)}: {type(error).__name__} {error}, left out"
            problems.append(Problem("bad object", file, text))
            continue
        crowd = bool(entry.get("iscrowd", 0))
        owner.append(RawObject(name, (x, y, x + width, y + height), crowd=crowd))
    ids = {name: key for key, name in sorted(names.items(), reverse=True)}
    ordered = [names[key] for key in sorted(names)] if classes is None else classes
    missing = [name for name in ordered if name not in ids]
    if missing:
        raise SppdetError(f"{file}: has no category {', '.join(missing)}")
    records = [
        _record(entry, locate, file, objects[key], problems) for key, entry in pictures.items()
    ]
    unique = tuple(dict.fromkeys(ordered))
    return Dataset(path, "coco", split, records, unique, problems, list(pictures), ids, file)


def _record(
    entry: dict[str, Any],
    locate: "_Locator",
    file: Path,
    objects: list[RawObject],
    problems: list[Problem],
) -> Record:
    image = locate(entry["file_name"])
    size = None
    if not image.is_file():
        problems.append(Problem("missing image", image, f"is listed in {file}, but does not exist"))
    with contextlib.suppress(KeyError, TypeError, ValueError):
        size = (int(entry["width"]), int(entry["height"]))
    if size is None or min(size) <= 0:
        try:
            size = image_size(image)
        except SppdetError:
            size = None
    return Record(image, file, size, objects)


def _id(entry: Any) -> Any:
    return entry.get("id", "without id") if isinstance(entry, dict) else "without id"


class _Locator:
    """Finds images: beside the JSON file, in ``images``, or in a folder named as the split."""

    def __init__(self, file: Path, split: str | None, names: list[str]) -> None:
        split = split or _split_of(file)
        bases = [file.parent] + ([file.parent.parent] if file.parent.name == "annotations" else [])
        folders = [base / inner for base in bases for inner in ("images", ".", split) if inner]
        folders += [base / "images" / split for base in bases if split]
        self.folders = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
        for folder in self.folders:
            if names and (folder / names[0]).is_file():
                self.folders.remove(folder)
                self.folders.insert(0, folder)
                break

    def __call__(self, name: str) -> Path:
        for folder in self.folders:
            if (folder / name).is_file():
                return folder / name
        return self.folders[0] / name
