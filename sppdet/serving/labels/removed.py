"""What was removed from label files, so that an object that is undone comes back as it was.

A label file says more about an object than the page shows: attributes, polygons, ids. The page
takes an object back by saving it again, so that what the file said is remembered here while the
server runs. A box that is moved loses its polygon, and what the file said of it where it was is
remembered too.
"""

import operator
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sppdet.serving.labels.base import Label, matched

MOST = 100
"""Removed objects that are remembered of a photograph, the last ones."""

NEIGHBOURS = 50
"""What stood before an object, of which one is found again after other changes."""

ROUNDING = 0.01
"""Pixels by which the corners of a box may differ that is saved again."""


@dataclass(frozen=True)
class Place:
    """Where something stood: its index, and the names of what stood before it, nearest last."""

    index: int
    before: tuple[Hashable, ...]

    @classmethod
    def at(cls, index: int, names: Sequence[Hashable]) -> "Place":
        """The place of one of these."""
        near = names[max(index - NEIGHBOURS, 0) : index]
        return cls(index, tuple(one for one in near if one != ""))

    def among(self, names: Sequence[Hashable]) -> int:
        """The index at which it belongs: behind the nearest one that is still there."""
        for name in reversed(self.before):
            if name in names:
                return names.index(name) + 1
        return min(self.index, len(names))


@dataclass(frozen=True)
class Removed:
    """An object that was removed or moved, what its file said about it, and where."""

    label: Label
    content: Any
    place: Place


@dataclass(frozen=True)
class Shell:
    """What was left of a photograph when its last object was removed, and where it stood."""

    content: Any
    place: Place | None = None


class Memory:
    """What was removed from the files of a folder, by photograph."""

    def __init__(self) -> None:
        self._removed: dict[Path, list[Removed]] = {}
        self._shells: dict[Path, Shell] = {}

    def change(self, image: Path) -> "Change":
        """A change of a photograph; the memory learns of it from :meth:`keep`."""
        return Change(self._removed.get(image, []), self._shells.get(image))

    def keep(self, image: Path, change: "Change") -> None:
        """Remember a change that was written."""
        back = {id(one) for one in change.back.values()}
        known = [one for one in self._removed.pop(image, []) if id(one) not in back]
        if removed := [*known, *change.removed][-MOST:]:
            self._removed[image] = removed
        self._shells.pop(image, None)
        if change.left is not None:
            self._shells[image] = change.left

    def removed(self) -> Iterator[Removed]:
        """All objects that are remembered."""
        for of_image in self._removed.values():
            yield from of_image

    def shells(self) -> Iterator[Shell]:
        """What is remembered of photographs without objects."""
        yield from self._shells.values()


class Change:
    """A change of one photograph.

    Attributes:
        shell: what to begin with where the files say nothing.
        back: the remembered object that a new one is, by the place of the new one.
        removed: filled by the label files with the objects that they lose, and with those whose box
            changes in so far as they lose something of them.
        left: set by them to what they lose with the last object.
        lost: filled by them with the shapes that moved boxes lose, see :meth:`loses`.
    """

    def __init__(self, known: Sequence[Removed], shell: Shell | None) -> None:
        self._known = known
        self.shell = shell
        self.back: dict[int, Removed] = {}
        self.removed: list[Removed] = []
        self.left: Shell | None = None
        self.lost: list[str] = []

    def loses(self, shape: str, one: Label) -> None:
        """The box of an object changes, and a shape that was drawn in it fits no more."""
        self.lost.append(f"the {shape} of {one.name}")

    def match(self, new: Sequence[Label], old: Sequence[Label]) -> list[int | None]:
        """:func:`matched`, without the new objects that were removed before: see ``back``.

        What the files say goes before what is remembered, and that before an object nearby.
        """
        self.back = self._returned(new, old) if self._known else {}
        rest = [place for place in range(len(new)) if place not in self.back]
        found: list[int | None] = [None] * len(new)
        for place, index in zip(rest, matched([new[one] for one in rest], old), strict=True):
            found[place] = index
        return found

    def in_order(self) -> list[tuple[int, Removed]]:
        """What comes back, in the order in which it stood."""
        return sorted(self.back.items(), key=lambda pair: pair[1].place.index)

    def _returned(self, new: Sequence[Label], old: Sequence[Label]) -> dict[int, Removed]:
        free, open_ones = list(old), list(range(len(new)))
        for same in (operator.eq, _same):
            for place in list(open_ones):
                present = next((one for one in free if same(one, new[place])), None)
                if present is not None:
                    free.remove(present)
                    open_ones.remove(place)
        known, back = list(reversed(self._known)), {}
        for place in open_ones:
            one = next((one for one in known if _same(one.label, new[place])), None)
            if one is not None:
                known.remove(one)
                back[place] = one
        return back


def _same(one: Label, other: Label) -> bool:
    near = all(abs(a - b) <= ROUNDING for a, b in zip(one.box, other.box, strict=True))
    return near and one.name == other.name
