"""Fonts that can draw a text: DejaVu Sans, which comes with matplotlib, or one of the system's.

DejaVu Sans has the Latin, Greek, Cyrillic and Arabic scripts, but not Chinese, Japanese and Korean.
An installation for detection alone has no matplotlib; there Pillow's own font draws ASCII, and
other texts are not drawn.
"""

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

LIKELY = re.compile(
    r"noto.*cjk|sourcehan|wqy|fallback|pingfang|hiragino|heiti|songti|msyh|simhei|simsun|meiryo|"
    r"yugoth|msgothic|malgun|gothicneo|nanum|arialuni|arial unicode|unifont|^noto",
    re.IGNORECASE,
)
"""Names of the files of fonts with many scripts; they are looked into first."""

MOST_FILES = 500
"""Fonts of the system that are looked into for one text."""


def font(text: str, size: int) -> "ImageFont.FreeTypeFont | None":
    """A font of ``size`` pixels that has every character of ``text``; None where none is there."""
    path = font_file(text)
    if path is not None:
        return _loaded(path, size)
    return _built_in(size) if _is_plain(text) else None


def can_draw(text: str) -> bool:
    """Whether :func:`font` has a font for the text."""
    return font_file(text) is not None or _is_plain(text)


def font_file(text: str) -> Path | None:
    """The file of the first font that has every character of ``text``, or None."""
    return _file_with(frozenset(character for character in text if not character.isspace()))


@lru_cache(maxsize=4096)
def _file_with(characters: frozenset[str]) -> Path | None:
    first = _dejavu()
    if first is None:
        return None
    if all(character.isascii() for character in characters):
        return first
    codes = np.array(sorted(map(ord, characters)))
    if np.isin(codes, _codes_of(first)).all():
        return first
    others = (path for path in _system_fonts() if np.isin(codes, _codes_of(path)).all())
    return next(others, None)


def _is_plain(text: str) -> bool:
    """Whether Pillow's own font is there for the text: ASCII, without matplotlib."""
    return text.isascii() and _dejavu() is None


def _dejavu() -> Path | None:
    """Found without importing matplotlib, which takes longer than drawing."""
    found = find_spec("matplotlib")
    if found is None or found.submodule_search_locations is None:
        return None
    return Path(found.submodule_search_locations[0], "mpl-data", "fonts", "ttf", "DejaVuSans.ttf")


@lru_cache(maxsize=1)
def _system_fonts() -> tuple[Path, ...]:
    from matplotlib.font_manager import findSystemFonts

    paths = sorted(map(Path, findSystemFonts()))
    likely = [path for path in paths if LIKELY.search(path.stem)]
    others = [path for path in paths if not LIKELY.search(path.stem)]
    return tuple((likely + others)[:MOST_FILES])


@lru_cache(maxsize=MOST_FILES + 1)
def _codes_of(path: Path) -> NDArray[np.int64]:
    """The code points of a font; none where it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return np.array(list(FT2Font(str(path)).get_charmap()), np.int64)
    except (OSError, RuntimeError):
        return np.zeros(0, np.int64)


@lru_cache(maxsize=64)
def _built_in(size: int) -> "ImageFont.FreeTypeFont":
    return ImageFont.load_default(size)  # type: ignore[return-value]


@lru_cache(maxsize=64)
def _loaded(path: Path, size: int) -> "ImageFont.FreeTypeFont":
    return ImageFont.truetype(str(path), size)
