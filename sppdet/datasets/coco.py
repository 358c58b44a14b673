"""COCO JSON: ``images``, ``annotations`` and ``categories`` in one file per part."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sppdet.datasets.base import Dataset, Problem, RawObject, Record
from sppdet.datasets.coco_json import Id, order, read_json
from sppdet.datasets.files import Tree
from sppdet.datasets.json_kinds import files_of_kind
from sppdet.datasets.listed import images_near, missing_images, named_parts, split_of
from sppdet.datasets.locate import Locator, missing_place
from sppdet.datasets.per_image import header_size, stated_size, wrong_size
from sppdet.errors import SppdetError

USUAL = re.compile(r"instances.*\.json|.*\.coco\.json", re.I)
"""Names of COCO annotation files; others are recognised by their content."""


def parts(tree: Tree) -> dict[str, Path]:
    """The annotation files by the name of their part; the only one may have the name ""."""
    found = [file for file in tree.having(".json") if USUAL.fullmatch(file.name)]
    found = found or files_of_kind(tree, "coco")
    return named_parts(tree, found)


def read(
    tree: Tree,
    chosen: Sequence[Path],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read a COCO annotation file. The classes are its categories in the order of their ids.

    A category without annotations that is the super-category of others is left out. Some tools
    write such a row first.

    Raises:
        SppdetError: several files are chosen, the file is not in the COCO format, has no category
            of a class asked for, or none of its images exists.
    """
    if len(chosen) > 1:
        known = ", ".join(sorted(parts(tree)))
        raise SppdetError(f"{tree.path}: choose a split with --split: {known}")
    file = chosen[0]
    content = read_json(file)
    problems: list[Problem] = []
    names: dict[Id, str] = {entry["id"]: entry["name"] for entry in content["categories"]}
    pictures: dict[Id, Any] = {entry["id"]: entry for entry in content["images"]}
    objects: dict[Id, list[RawObject]] = {key: [] for key in pictures}
    used = set()
    for entry in content["annotations"]:
        try:
            owner = _known(objects, entry, "image_id", "images")
            name = _known(names, entry, "category_id", "categories")
            x, y, width, height = (float(value) for value in entry["bbox"])
        except _Unknown as error:
            text = f"annotation {_id(entry)}: {error}, left out"
            problems.append(Problem("bad object", file, text))
            continue
        except (KeyError, TypeError, ValueError, OverflowError):
            text = f"annotation {_id(entry)}: has no usable bbox or segmentation, left out"
            problems.append(Problem("bad object", file, text))
            continue
        used.add(entry["category_id"])
        owner.append(
            RawObject(
                name,
                (x, y, x + width, y + height),
                difficult=bool(entry.get("difficult", 0)),
                crowd=bool(entry.get("iscrowd", 0)),
            )
        )
    above = {
        str(entry.get("supercategory"))
        for entry in content["categories"]
        if entry.get("supercategory") != entry["name"]
    }
    group = {key for key, name in names.items() if key not in used and name in above}
    ids = {name: key for key, name in names.items()}
    ordered = [names[key] for key in sorted(names.keys() - group, key=order)]
    wanted = ordered if classes is None else list(classes)
    missing = [name for name in wanted if name not in ids]
    if missing:
        raise SppdetError(f"{file}: has no category {', '.join(missing)}")
    _join_twins(file, pictures, objects, problems)
    records = _records(tree, file, split, pictures, objects, problems)
    return Dataset(
        tree.path,
        "coco",
        split,
        records,
        tuple(dict.fromkeys(wanted)),
        problems,
        list(pictures),  # type: ignore[arg-type]
        ids,  # type: ignore[arg-type]
        file,
        tree.notes,
    )


class _Unknown(ValueError):
    """An annotation of an image or a category that the file does not list."""


def _known(table: dict[Id, Any], entry: Any, key: str, listed: str) -> Any:
    value = entry.get(key) if isinstance(entry, dict) else None
    if value is None:
        raise _Unknown(f"has no {key}")
    if value not in table:
        raise _Unknown(f'its {key} {value} is not in the list "{listed}"')
    return table[value]


def _join_twins(
    file: Path,
    pictures: dict[Id, Any],
    objects: dict[Id, list[RawObject]],
    problems: list[Problem],
) -> None:
    """Gives the objects of an image that has several ids to the first; the others are removed.

    Otherwise the objects of the one entry would be background of the other.
    """
    first: dict[str, Id] = {}
    for key, entry in list(pictures.items()):
        kept = first.setdefault(entry["file_name"], key)
        if kept != key:
            text = f"the images {kept} and {key} are both {entry['file_name']}; read as one image"
            problems.append(Problem("two annotations", file, text))
            objects[kept] += [one for one in objects.pop(key) if one not in objects[kept]]
            del pictures[key]


def _records(
    tree: Tree,
    file: Path,
    split: str | None,
    pictures: dict[Id, Any],
    objects: dict[Id, list[RawObject]],
    problems: list[Problem],
) -> list[Record]:
    names = [entry["file_name"] for entry in pictures.values()]
    images = images_near(tree, file, split or split_of(tree, file))
    found = Locator(images).find_all(names, file.parent)
    missing_images(tree, file, names, [name for name in names if found[name] is None])
    records = []
    for key, entry in pictures.items():
        image = found[entry["file_name"]]
        size = stated_size(entry.get("width"), entry.get("height"))
        if image is None:
            image = missing_place(tree, file.parent, entry["file_name"])
            text = f"is listed in {file}, but does not exist"
            problems.append(Problem("missing image", image, text))
        else:
            real = header_size(image, problems)
            if real is not None and size is not None and real != size:
                problems.append(wrong_size(file, size, real, image.name))
            size = real or size
        records.append(Record(image, file, size, objects[key]))
    return records


def _id(entry: Any) -> Any:
    return entry.get("id", "without id") if isinstance(entry, dict) else "without id"
