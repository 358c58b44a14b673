"""The class names of YOLO data: ``classes.txt``, ``*.names``, or the ``names`` of a YAML file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sppdet.datasets.files import Tree, read_text, up
from sppdet.datasets.names import SPLIT
from sppdet.errors import SppdetError

YAML = (".yaml", ".yml")

CLASS_FILES = (
    "data.yaml",
    "data.yml",
    "dataset.yaml",
    "classes.txt",
    "obj.names",
    "_darknet.labels",
)
"""Class files by their names in lower case, in the order in which they are preferred."""

LARGEST = 4 << 20
"""Bytes of a class file; larger files are something else."""


@dataclass(frozen=True)
class Names:
    """Attributes:
    file: the class file.
    by_number: the names by class number; numbers without a name are absent.
    setup: the other entries of a YAML file: texts, lists and dictionaries of texts.
    """

    file: Path
    by_number: dict[int, str]
    setup: dict[str, Any]

    @property
    def classes(self) -> list[str]:
        """The names in the order of their numbers."""
        ordered = (self.by_number[number] for number in sorted(self.by_number))
        return list(dict.fromkeys(ordered))


def find_names(tree: Tree) -> Path | None:
    """The class file of a data set, where the layout says that it is, or None.

    It is the path, if that is a class file. Otherwise it lies in the data set's folder, in
    ``data``, or with the label files; a YAML file of another name counts if it has ``names``. When
    the path is a split or a folder of images of a larger data set, the folder above is looked into
    for the exact names.
    """
    if is_given(tree):
        return tree.file
    folders = [tree.root, tree.root / "data", tree.root / "dataset"]
    folders += sorted({file.parent for file in tree.having(".txt", ".labels") if is_exact(file)})
    suffixes = {Path(name).suffix for name in CLASS_FILES} | {".names"}
    candidates = tree.having(*suffixes, *YAML)
    for folder in folders:
        inside = [file for file in candidates if file.parent == folder]
        exact = sorted(filter(is_exact, inside), key=_preferred)
        if exact:
            return exact[0]
        for file in inside:
            if file.suffix.casefold() == ".names" or (
                file.suffix.casefold() in YAML and _has_names(file)
            ):
                return file
    for folder in _above(tree.root):
        exact = sorted(filter(is_exact, _files(folder)), key=_preferred)
        if exact:
            return exact[0]
    return None


def is_given(tree: Tree) -> bool:
    """Whether the path is a class file, which describes the label files beside it."""
    file = tree.file
    return file is not None and (is_exact(file) or file.suffix.casefold() in (*YAML, ".names"))


def _preferred(file: Path) -> tuple[int, str]:
    return CLASS_FILES.index(file.name.casefold()), file.name


def _files(folder: Path) -> list[Path]:
    try:
        return [file for file in folder.iterdir() if is_exact(file) and file.is_file()]
    except OSError:
        return []


def names_of(tree: Tree, class_file: Path) -> Names:
    """The class names of a data set, together with those of the class files in other folders.

    LabelImg leaves a class file in each folder. Those that stand beside the same kind of label
    files as ``class_file`` may name further classes, but must number the classes alike.

    Raises:
        SppdetError: a class file cannot be read, or two of them give a number two names.
    """
    names = read_names(class_file)
    given = is_given(tree)
    beside = {file.parent for file in tree.having(".txt", beside=given) if not is_exact(file)}
    if class_file.parent not in beside or class_file.suffix.casefold() in YAML:
        return names
    by_number = dict(names.by_number)
    for folder in sorted(beside - {class_file.parent}):
        for file in tree.having(class_file.suffix.casefold(), beside=given):
            if file.parent != folder or not (is_exact(file) and read_text(file).strip()):
                continue
            for number, name in read_names(file).by_number.items():
                if by_number.setdefault(number, name) != name:
                    raise SppdetError(
                        f"{tree.path}: class {number} is {by_number[number]} in "
                        f"{tree.shown(class_file)}, but {name} in {tree.shown(file)}; read the "
                        "folders one by one, or renumber their labels"
                    )
    return Names(class_file, by_number, names.setup)


def read_names(file: Path) -> Names:
    """The class names of a file.

    A blank line inside a list of names keeps its number: it is a class without a name.

    Raises:
        SppdetError: the file names no class, cannot be read, or is not YAML.
    """
    if file.suffix.casefold() in YAML:
        setup = _read_yaml(file)
        by_number = _numbered(file, setup.get("names"))
    else:
        text = read_text(file).replace("\r\r\n", "\n")
        setup = {}
        lines = (line.strip() for line in text.splitlines())
        by_number = {number: line for number, line in enumerate(lines) if line}
    if not by_number:
        raise SppdetError(f"{file}: names no class")
    return Names(file, by_number, setup)


def _numbered(file: Path, names: Any) -> dict[int, str]:
    """``names`` as a list, or as a dictionary of numbers in any order."""
    if isinstance(names, list):
        entries: list[tuple[Any, Any]] = list(enumerate(names))
    elif isinstance(names, dict):
        entries = list(names.items())
    elif isinstance(names, str) and names and (file.parent / names).is_file():
        return read_names(file.parent / names).by_number
    elif not names:
        return {}
    else:
        raise SppdetError(f"{file}: names is neither a list nor a dictionary of numbers")
    found: dict[int, str] = {}
    for key, name in entries:
        try:
            number = int(key)
        except (TypeError, ValueError):
            raise SppdetError(f"{file}: names has the key {key!r}, not a number") from None
        if not isinstance(name, str):
            raise SppdetError(f"{file}: the name of class {number} is not a text")
        if number in found and found[number] != name:
            raise SppdetError(f"{file}: class {number} has two names, {found[number]} and {name}")
        if name:
            found[number] = name
    return found


class _Loader(yaml.SafeLoader):
    """Reads every scalar as text, so that a class may be called ``no``, ``1e3`` or ``2024``."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [entry for entry in entries if entry[0] == "tag:yaml.org,2002:merge"]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > LARGEST:
            raise SppdetError(f"{file}: is too large for the description of a data set")
        content = yaml.load(read_text(file), _Loader)  # a SafeLoader
    except OSError as error:
        raise SppdetError(f"{file}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SppdetError(f"{file}: is not readable YAML ({reason})") from None
    if not isinstance(content, dict):
        raise SppdetError(f"{file}: names no class (it is not a dictionary)")
    return content


def _has_names(file: Path) -> bool:
    """Whether a YAML file of any name describes a data set; a broken one does not."""
    try:
        setup = _read_yaml(file)
    except SppdetError:
        return False
    return "names" in setup and bool({"train", "val", "test", "nc", "path"} & setup.keys())


def is_exact(file: Path) -> bool:
    """Whether a file has the name of a class file, in upper or lower case."""
    return file.name.casefold() in CLASS_FILES


def _above(root: Path) -> Iterator[Path]:
    """The folders above a split or a folder of images, as far as these names go."""
    for _ in range(2):
        name = root.resolve().name
        if not (SPLIT.fullmatch(name) or name.casefold() in ("images", "image", "imgs", "img")):
            return
        root = up(root)
        yield root
