"""Which format a JSON file has, from its content."""

import functools
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sppdet.datasets.files import Tree, parse_json
from sppdet.errors import SppdetError

MANY = 50
"""A folder with more JSON files has one per image; its first files tell what all are."""


def kind_of(file: Path) -> str | None:
    """ "coco", "labelme", "via", "createml", "labelstudio" or "supervisely"; None for others."""
    try:
        facts = file.stat()
        return _kind_of(file, facts.st_size, facts.st_mtime_ns)
    except OSError:
        return None


@functools.lru_cache(maxsize=1024)
def _kind_of(file: Path, size: int, changed: int) -> str | None:
    try:
        return kind(parse_json(file))
    except SppdetError:
        return None


def kind(content: Any) -> str | None:
    """The format of the content of a JSON file, or None."""
    if isinstance(content, Mapping):
        if isinstance(content.get("images"), list) and "annotations" in content:
            return "coco"
        if isinstance(content.get("shapes"), list):
            return "labelme"
        if isinstance(content.get("objects"), list) and isinstance(content.get("size"), Mapping):
            return "supervisely"
        entries = content.get("_via_img_metadata", content)
        if isinstance(entries, Mapping) and entries:
            first = next(iter(entries.values()))
            if isinstance(first, Mapping) and {"filename", "regions"} <= first.keys():
                return "via"
    if isinstance(content, list) and content and isinstance(content[0], Mapping):
        return _kind_of_list(content)
    return None


def _kind_of_list(entries: list[Any]) -> str | None:
    keys = set(entries[0])
    if "data" in keys and keys & {"annotations", "completions", "predictions"}:
        return "labelstudio"
    if keys & {"image", "imagefilename"} and keys & {"annotations", "annotation"}:
        own = entries[0].get("annotations", entries[0].get("annotation"))
        if isinstance(own, list):
            return "createml"
    for entry in entries[:MANY]:
        for value in entry.values() if isinstance(entry, Mapping) else ():
            first = value[0] if isinstance(value, list) and value else None
            if isinstance(first, Mapping) and "original_width" in first:
                return "labelstudio"
    return None


def files_of_kind(tree: Tree, wanted: str) -> list[Path]:
    """The JSON files of a format; of folders with many files all, if the first are."""
    by_folder: defaultdict[Path, list[Path]] = defaultdict(list)
    for file in tree.having(".json"):
        by_folder[file.parent].append(file)
    found: list[Path] = []
    for files in by_folder.values():
        if len(files) <= MANY:
            found += [file for file in files if kind_of(file) == wanted]
        elif any(kind_of(file) == wanted for file in files[:3]):
            found += files
    return found
