"""Names of images: the path of each relative to the folder that holds them all."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath, PurePosixPath

from sppdet.errors import SppdetError


def relative_names(images: Sequence[Path]) -> list[str]:
    """The path of each image relative to the deepest folder that holds all, with ``/`` between.

    Examples:
        >>> relative_names([Path("photos/a/1.jpg"), Path("photos/b/1.jpg")])
        ['a/1.jpg', 'b/1.jpg']
    """
    paths = [PurePath(os.path.abspath(image)) for image in images]
    try:
        root = os.path.commonpath([path.parent for path in paths])
    except ValueError:  # no image, or several drives
        return [path.relative_to(path.anchor).as_posix() for path in paths]
    return [path.relative_to(root).as_posix() for path in paths]


def image_keys(images: Sequence[Path]) -> list[str]:
    """The relative names, without suffixes where no two images are the same then.

    Examples:
        >>> image_keys([Path("a/1.jpg"), Path("a/2.jpg")])
        ['1', '2']
        >>> image_keys([Path("a/1.jpg"), Path("a/1.png")])
        ['1.jpg', '1.png']
    """
    names = relative_names(images)
    short = [_without_suffix(name) for name in names]
    return short if len(set(short)) == len(set(names)) else names


class ImageFinder:
    """Finds the images of a data set by the names that results have for them.

    A name is a file name or a path, with or without the suffix. It means the image whose path ends
    with it, or the image whose relative name ends it (results of another machine).
    """

    def __init__(self, images: Sequence[Path]) -> None:
        self._names = relative_names(images)
        self._paths = [PurePath(os.path.abspath(image)).parts for image in images]
        self._by_last: dict[str, list[int]] = {}
        self._by_number: dict[int, list[int]] = {}
        for index in sorted(
            {name: k for k, name in reversed(list(enumerate(self._names)))}.values()
        ):
            last = self._paths[index][-1]
            stem = _without_suffix(last)
            for key in {last, stem}:
                self._by_last.setdefault(key, []).append(index)
            if stem.isdecimal():
                self._by_number.setdefault(int(stem), []).append(index)

    def find(self, name: str) -> int | None:
        """The number of the image called ``name``; None where there is none.

        A name of digits alone also means the file with this number, whatever its zeros are: 7 means
        000007.jpg.

        Raises:
            SppdetError: several images may be meant.
        """
        found = self._matching(name)
        if not found and "\\" in name:
            found = self._matching(name.replace("\\", "/"))
        if not found and name.isdecimal():
            found = self._by_number.get(int(name), [])
        if len(found) > 1:
            first, second = (self._names[index] for index in found[:2])
            raise SppdetError(
                f"image {name} may be {first} or {second}; name the images by their paths relative "
                "to the data set"
            )
        return found[0] if found else None

    def find_each(self, names: Iterable[str]) -> dict[str, int]:
        """The images that ``names`` mean, each meant by one name: by that with most of its path.

        Names that mean no image are left out.

        Raises:
            SppdetError: a name may mean several images, or an image has two such names.
        """
        best: dict[int, tuple[int, list[str]]] = {}
        for name in names:
            index = self.find(name)
            if index is None:
                continue
            words = [word for word in name.replace("\\", "/").split("/") if word not in ("", ".")]
            common = self._common(words, index) if words else 0
            most, own = best.get(index, (-1, []))
            if common > most:
                best[index] = common, [name]
            elif common == most:
                own.append(name)
        for index, (_, own) in best.items():
            if len(own) > 1:
                raise SppdetError(
                    f"{own[0]} and {own[1]} may both be the image {self._names[index]}; name the "
                    "images by their paths relative to the data set"
                )
        return {own[0]: index for index, (_, own) in best.items()}

    def _matching(self, name: str) -> list[int]:
        words = [word for word in name.split("/") if word not in ("", ".")]
        if not words:
            return []
        near = [(self._common(words, index), index) for index in self._by_last.get(words[-1], ())]
        found = [index for common, index in near if common == len(words)]
        exact = [i for i in found if "/".join(words) in (self._names[i], self._key(i))]
        if len(exact) == 1:
            return exact
        if not found:
            whole = [(c, i) for c, i in near if c >= len(self._names[i].split("/"))]
            longest = max((common for common, _ in whole), default=0)
            found = [index for common, index in whole if common == longest]
        return found

    def _key(self, index: int) -> str:
        return _without_suffix(self._names[index])

    def _common(self, words: Sequence[str], index: int) -> int:
        """How many parts at the end of a name are those of the image's path."""
        path = self._paths[index]
        count = 1  # the last one, with or without its suffix
        while count < min(len(words), len(path)) and words[-1 - count] == path[-1 - count]:
            count += 1
        return count


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(name).with_suffix("")) if name else name
