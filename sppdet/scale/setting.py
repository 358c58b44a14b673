"""What decides the rows: the detector and the choice of detections."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sppdet import __version__


@dataclass(frozen=True)
class Setting:
    """All workers of a run have the same.

    Attributes:
        model: SHA-256 of the detector's file, in hexadecimal digits.
        classes: that the detector knows.
        thresholds: the least probability of a detection for each of them.
        wanted: the classes whose detections are kept; None keeps all.
        most: detections of an image.
        max_pixels: above which an image is refused; None means Pillow's limit.
        version: of sppdet.
    """

    model: str
    classes: tuple[str, ...]
    thresholds: Mapping[str, float]
    wanted: tuple[str, ...] | None = None
    most: int = 100
    max_pixels: int | None = None
    version: str = __version__

    def to_json(self) -> dict[str, Any]:
        """As values of JSON, which are equal for equal settings."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content

    @property
    def digest(self) -> str:
        """SHA-256 of :meth:`to_json`."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """How two settings (:meth:`Setting.to_json`) differ, in words; None where they are equal."""
    for key in {**one, **other}:
        if one.get(key) != other.get(key):
            return f"{_NAMES.get(key, key)} {_short(one.get(key))}, not {_short(other.get(key))}"
    return None


_NAMES = {"wanted": "--classes", "most": "--max", "max_pixels": "--max-pixels"}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:12] if len(text) == 64 else text[:80]
