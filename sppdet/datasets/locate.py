"""Finds the images that an annotation file names, however it names them."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sppdet.datasets.files import Tree
from sppdet.datasets.names import IMAGE_FOLDERS, same
from sppdet.images import SUFFIXES

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.I)
DRIVE = re.compile(r"[a-zA-Z]:")


class Locator:
    """The images of a data set by name.

    A name may have folders, backslashes, a drive or an address, be encoded as in a URL, or lack its
    suffix. Of several images with this name it is the one whose folders agree best with it, then
    the one that is nearest to the annotation file.
    """

    def __init__(self, images: Sequence[Path]) -> None:
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        self._folded: defaultdict[str, list[Path]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[Path]] = defaultdict(list)
        for image in images:
            name = same(image.name)
            self._by_name[name].append(image)
            self._folded[name.casefold()].append(image)
            self._by_stem[same(image.stem)].append(image)

    def find(self, name: str, near: Path) -> tuple[Path | None, int]:
        """The image, or None where there is none or several fit equally; and how well it fits.

        Args:
            name: as the annotation file has it.
            near: the folder of the annotation file.
        """
        for text in dict.fromkeys((name, unquote(name))):
            parts = _parts(text)
            if not parts:
                continue
            last = parts[-1]
            suffix = Path(last).suffix.casefold()
            stem = last[: -len(suffix)] if suffix in SUFFIXES else last
            candidates = (
                self._by_name.get(last)
                or self._folded.get(last.casefold())
                or self._by_stem.get(stem)
            )
            if candidates:
                return _best(candidates, parts, near)
        return None, 0

    def find_all(self, names: Iterable[str], near: Path) -> dict[str, Path | None]:
        """The image of each name. An image belongs to the name that fits best, and to no other."""
        found = {name: self.find(name, near) for name in dict.fromkeys(names)}
        owner: dict[Path, str] = {}
        for name, (image, fit) in found.items():
            if image is not None and (image not in owner or fit > found[owner[image]][1]):
                owner[image] = name
        return {
            name: image if image is not None and owner[image] == name else None
            for name, (image, _) in found.items()
        }


def _parts(name: str) -> list[str]:
    if ADDRESS.match(name):
        try:
            name = urlsplit(name).path
        except ValueError:
            return []
    name = DRIVE.sub("", name.strip().replace("\\", "/"), count=1)
    return [same(part) for part in name.split("/") if part not in ("", ".", "..")]


def _best(candidates: list[Path], parts: list[str], near: Path) -> tuple[Path | None, int]:
    def fit(image: Path) -> tuple[int, int, bool]:
        folders = [same(part) for part in image.parts[:-1]]
        agreeing = 0
        for own, wanted in zip(reversed(folders), reversed(parts[:-1]), strict=False):
            if own != wanted:
                break
            agreeing += 1
        common = sum(a == b for a, b in zip(image.parts, near.parts, strict=False))
        exact = 2 * agreeing + (same(image.name) == parts[-1])
        return exact, common, folders[-1:] != [] and folders[-1].casefold() in IMAGE_FOLDERS

    ranked = sorted(((fit(image), image) for image in candidates), reverse=True)
    if len(ranked) > 1 and ranked[0][0] == ranked[1][0]:
        return None, 0
    return ranked[0][1], ranked[0][0][0]


def missing_place(tree: Tree, near: Path, name: str) -> Path:
    """Where an image that was not found would be, for messages and lists."""
    return near / "/".join(_parts(name)) if _parts(name) else tree.root / "an image without a name"
