"""A name for the outputs of each input, so that no two of a run meet."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from sppdet.datasets.image_names import relative_names
from sppdet.inputs import Source
from sppdet.runtime.names import as_file_name

LONGEST = 200
"""Bytes of each part of a name without its suffix; most file systems allow 255 in all."""


def output_names(sources: Sequence[Source]) -> list[str]:
    """A path below the output folder per source, with ``/`` and without suffix.

    It is the source's path in the folder where it was found, without its suffix. Where names meet,
    the path from the folder that holds all of these files takes its place (``a/1`` and ``b/1``),
    then the same with the suffix (``a/1.jpg`` and ``a/1.png``), at last a number is added. Of an
    URL the second name is the URL, percent-encoded. Names that differ in their case only meet too,
    as on the file systems that ignore it. A part that is too long is cut, and gets a digest.
    """
    names = [_stem(source.relative) for source in sources]
    meeting = _meeting(names)
    paths = [
        source.path
        for source, name in zip(sources, names, strict=True)
        if source.path is not None and name.casefold() in meeting
    ]
    apart = dict(zip(paths, relative_names(paths), strict=True))
    whole = [
        apart.get(source.path, source.relative) if source.path else as_file_name(source.name)
        for source in sources
    ]
    for others in ([_stem(name) for name in whole], whole):
        meeting = _meeting(names)
        names = [
            other if name.casefold() in meeting else name
            for name, other in zip(names, others, strict=True)
        ]
    return _numbered(["/".join(_cut(part) for part in name.split("/")) for name in names])


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _meeting(names: Sequence[str]) -> set[str]:
    counts = Counter(name.casefold() for name in names)
    return {name for name, count in counts.items() if count > 1}


def _numbered(names: Sequence[str]) -> list[str]:
    taken: set[str] = set()
    result = []
    for base in names:
        name, number = base, 2
        while name.casefold() in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name.casefold())
        result.append(name)
    return result


def _cut(part: str) -> str:
    content = os.fsencode(part)
    if len(content) <= LONGEST:
        return part
    digest = hashlib.sha256(content).hexdigest()[:8]
    return f"{content[: LONGEST - 9].decode('utf-8', 'ignore')}~{digest}"
