"""Which annotation file belongs to which image, where each image has a file of its own.

Both have the same name without suffix. They lie side by side, or the folders of the one are those
of the other, except for names that tell what a folder contains: ``images/train/7.jpg`` belongs to
``labels/train/7.txt``, to ``train/labels/7.txt`` and to ``annotations/xmls/train/7.xml``.
"""

import functools
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sppdet.datasets.base import Problem
from sppdet.datasets.files import Tree, read_text
from sppdet.datasets.names import IMAGE_FOLDERS, LABEL_FOLDERS, SPLIT, meant, same
from sppdet.images import SUFFIXES


@dataclass
class Pairs:
    """Attributes:
    found: each image with its annotation file, or None; in the order of the images.
    lonely: annotation files without an image.
    """

    found: list[tuple[Path, Path | None]]
    lonely: list[Path] = field(default_factory=list)


def place(tree: Tree, file: Path) -> tuple[str, ...]:
    """The folders of a file below the root, without those that only tell what they contain."""
    return tuple(same(name) for name in tree.folders(file) if meant(name) is None)


def stem(file: Path) -> str:
    """The name of an annotation file without suffixes: ``7.jpg.json`` belongs to ``7.jpg``."""
    first = Path(file.stem)
    return same(first.stem if first.suffix.casefold() in SUFFIXES else file.stem)


def pair(tree: Tree, labels: Sequence[Path], problems: list[Problem]) -> Pairs:
    """Lay annotation files beside the images of a tree.

    Images of the same name and place in one folder (``7.jpg``, ``7.png``) are reported; the
    annotation goes to the one that comes first in :data:`sppdet.images.SUFFIXES`, and the others
    are left out: they are mostly the same photograph, and would be background.
    """
    if not labels:
        return Pairs([(image, None) for image in tree.images])
    by_place, folded = _index(tree)
    owner: dict[Path, Path] = {}
    twins: dict[Path, tuple[Path, str]] = {}
    lonely = []
    for label in labels:
        name, where = stem(label), place(tree, label)
        images = by_place.get((where, name), [])
        if not images:
            key = (tuple(map(str.casefold, where)), name.casefold())
            images = folded[key] if len(folded.get(key, ())) == 1 else []
        if not images:
            images = _only_below(tree, name, where)
        if not images:
            lonely.append(label)
            continue
        image = min(images, key=functools.partial(_rank, tree, label))
        alike = [other for other in images if other.parent == image.parent and other != image]
        if alike:
            text = f"has the name of {alike[0].name} beside it; {tree.shown(label)} is used for it"
            twins.update((other, (image, text)) for other in alike)
        if image in owner:
            text = f"belongs to {tree.shown(image)}, as {tree.shown(owner[image])} does; left out"
            problems.append(Problem("two annotations", label, text))
        owner.setdefault(image, label)
    for other in sorted(twins.keys() - owner.keys()):
        image, text = twins[other]
        problems.append(Problem("same name", image, f"{text}, and {other.name} is left out"))
    _tell_misspelt(tree, [*owner, *owner.values()])
    images = [
        image
        for image in tree.images
        if image in owner or not (image in twins or _among_labels(tree, image))
    ]
    return Pairs([(image, owner.get(image)) for image in images], lonely)


def _only_below(tree: Tree, name: str, where: tuple[str, ...]) -> list[Path]:
    """The image of this name in the parts of a place, where the labels of all parts are in one
    folder; empty where there are several.

    ``annotations/7.xml`` belongs to ``images/train/7.jpg``.
    """
    if not tree.by_name:
        for image in tree.images:
            tree.by_name[same(image.stem)].append(image)
    below = [
        image
        for image in tree.by_name.get(name, ())
        if (own := place(tree, image))[: len(where)] == where
        and len(own) == len(where) + 1
        and SPLIT.fullmatch(own[-1])
    ]
    return below if len({place(tree, image) for image in below}) == 1 else []


Index = defaultdict[tuple[tuple[str, ...], str], list[Path]]


def _index(tree: Tree) -> tuple[Index, Index]:
    """The images by place and name, also in lower case; made once for a tree."""
    if not tree.index:
        by_place: Index = defaultdict(list)
        folded: Index = defaultdict(list)
        for image in tree.images:
            where, name = place(tree, image), same(image.stem)
            by_place[where, name].append(image)
            folded[tuple(map(str.casefold, where)), name.casefold()].append(image)
        tree.index = (by_place, folded)
    return tree.index  # type: ignore[no-any-return]


def by_part(
    tree: Tree, found: Sequence[tuple[Path, Path | None]]
) -> dict[str, list[tuple[Path, Path | None]]]:
    """Images with their annotation files by the name of their part, see :func:`splits_of`."""
    labels = dict(found)
    split = splits_of(tree, list(labels))
    return {name: [(image, labels[image]) for image in images] for name, images in split.items()}


def splits_of(tree: Tree, images: Sequence[Path]) -> dict[str, list[Path]]:
    """The images by the name of their part: the first folder below those that hold everything.

    Images that lie directly in the data set's folder, or in ``images``, have no parts: the name "".
    """
    places = {image: place(tree, image) for image in images}
    wanted = list(places.values())
    level = len(place(tree, tree.scope / "an image"))
    while (
        wanted
        and all(len(where) > level + 1 for where in wanted)
        and len({where[level] for where in wanted}) == 1
        and not SPLIT.fullmatch(wanted[0][level])
    ):
        level += 1
    if any(len(where) <= level for where in wanted):
        return {"": list(images)}
    parts: defaultdict[str, list[Path]] = defaultdict(list)
    for image, where in places.items():
        parts[where[level]].append(image)
    if len(parts) == 1 and not SPLIT.fullmatch(next(iter(parts))):
        return {"": list(images)}
    return dict(parts)


def _rank(tree: Tree, label: Path, image: Path) -> tuple[bool, bool, bool, int, Path]:
    """Photographs do not lie among labels, then they lie beside their label; .jpg comes first."""
    in_images = any(name.casefold() in IMAGE_FOLDERS for name in tree.folders(image))
    beside = image.parent == label.parent
    among = _among_labels(tree, image)
    return among, not beside, not in_images, SUFFIXES.index(image.suffix.casefold()), image


def _among_labels(tree: Tree, image: Path) -> bool:
    return any(name.casefold() in LABEL_FOLDERS for name in tree.folders(image))


def _tell_misspelt(tree: Tree, files: Sequence[Path]) -> None:
    for name in sorted({name for file in files for name in tree.folders(file)}):
        role = meant(name)
        if role is not None and role != name.casefold():
            tree.notes.append(f"the folder {name} is taken as {role}")


def text_parts(tree: Tree, line: re.Pattern[str]) -> dict[str, list[tuple[Path, Path | None]]]:
    """Images with their text files by part; empty unless a file's first line matches ``line``."""
    found = pair(tree, tree.having(".txt"), []).found
    if not any(label is not None and _begins(label, line) for _, label in found):
        return {}
    return by_part(tree, found)


def _begins(file: Path, line: re.Pattern[str]) -> bool:
    lines = [one for one in read_text(file).splitlines() if one.strip()]
    return bool(lines) and line.fullmatch(lines[0]) is not None
