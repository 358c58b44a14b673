"""Says of a file that was given for proposals what it is instead."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sppdet.datasets.json_kinds import kind
from sppdet.errors import SppdetError

WANTED = (
    "give a file that sppdet propose writes, or boxes by image in its form, such as "
    '{"photo.jpg": [[x1, y1, x2, y2]]} in JSON'
)
"""The remedy."""


def refuse_other_kind(path: Path, content: Any) -> None:
    """Refuse what cannot be boxes by image.

    Raises:
        SppdetError: says what the file is, and what is wanted.
    """
    other = other_kind(content)
    if other is not None:
        raise SppdetError(f"{path}: is not a file of proposals but {other}; {WANTED}")


def other_kind(content: Any) -> str | None:
    """What content is, in words, that cannot be boxes by image; None where it can be.

    It cannot be where a value is neither a list nor an array, or where no value has boxes at all.
    """
    known = kind(content)
    if known is not None:
        from sppdet.datasets.formats import TABLE

        return f"{TABLE[known].what}, the labels of a data set"
    if isinstance(content, list):
        first = content[0] if content else None
        results = isinstance(first, Mapping) and {"bbox", "score"} <= first.keys()
        return "COCO results" if results else "a list"
    if not isinstance(content, Mapping):
        return f"no more than {content!r:.60}"
    if isinstance(content.get("detections"), list):
        return "detections of sppdet"
    if {"classes", "map_11"} <= content.keys():
        return "figures of sppdet evaluate"
    odd = [name for name, value in content.items() if not _is_list(value)]
    filled = {name: value for name, value in content.items() if _is_list(value) and len(value)}
    if filled and not any(_is_list(one[0]) and len(one[0]) == 4 for one in filled.values()):
        odd += filled
    return f"a file in which {odd[0]!r:.60} is not a list of boxes" if odd else None


def _is_list(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim > 0)
