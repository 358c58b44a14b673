"""VOC XML files in any layout, and VOC devkits with their lists of images in ImageSets."""

from collections.abc import Sequence
from pathlib import Path

from sppdet.datasets.background import Pair
from sppdet.datasets.base import Dataset, Problem, RawObject
from sppdet.datasets.files import Tree, read_text
from sppdet.datasets.locate import Locator, missing_place
from sppdet.datasets.names import is_hidden
from sppdet.datasets.pairing import pair, splits_of
from sppdet.datasets.per_image import Read, Size, lonely_problems, read_pairs
from sppdet.datasets.voc_xml import parse_xml, read_xml
from sppdet.errors import SppdetError

LOOKED_AT = 20
"""XML files that are looked at to see whether they are VOC annotations."""


def devkit_parts(tree: Tree) -> dict[str, Path | None]:
    """The lists of a devkit by name, and "" for all its images; empty when there is no devkit."""
    devkit = find_devkit(tree.root) if tree.file is None else None
    if devkit is None:
        return {}
    lists = {
        file.stem: file
        for file in sorted(_lists_folder(devkit).iterdir())
        if file.suffix.casefold() == ".txt" and file.is_file() and not is_hidden(file.name)
    }
    of_classes = {name for name in lists if "_" in name and name.rsplit("_", 1)[1] in lists}
    return {"": None, **{name: lists[name] for name in lists.keys() - of_classes}}


def find_devkit(path: Path) -> Path | None:
    """The folder with ``ImageSets/Main`` at ``path``, in it, or in its VOCdevkit folder.

    Raises:
        SppdetError: there are several.
    """
    if _is_devkit(path):
        return path
    inside = sorted(
        found
        for pattern in ("*", "VOCdevkit/*")
        for found in path.glob(pattern)
        if _is_devkit(found) and not is_hidden(found.name)
    )
    if len(inside) > 1:
        raise SppdetError(
            f"{path}: holds several data sets, name one: {', '.join(map(str, inside))}"
        )
    return inside[0] if inside else None


def _is_devkit(path: Path) -> bool:
    """``ImageSets/Main``; or lists in ``ImageSets`` itself, which KITTI has too, with XML files."""
    if (path / "ImageSets" / "Main").is_dir():
        return True
    return (path / "Annotations").is_dir() and any((path / "ImageSets").glob("*.txt"))


def _lists_folder(devkit: Path) -> Path:
    main = devkit / "ImageSets" / "Main"
    return main if main.is_dir() else devkit / "ImageSets"


def read_devkit(
    tree: Tree,
    chosen: Sequence[Path | None],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read a devkit: JPEGImages, Annotations, ImageSets/Main. No list: every image."""
    devkit = find_devkit(tree.root)
    if devkit is None:
        raise SppdetError(f"{tree.path}: is not a VOC devkit (it has no folder ImageSets/Main)")
    problems: list[Problem] = []
    tree = Tree(devkit)
    found = pair(tree, tree.having(".xml"), problems).found
    lists = [file for file in chosen if file is not None]
    pairs: list[Pair] = found if None in chosen else []
    if not pairs:
        labels = dict(found)
        locator = Locator([image for image, _ in found])
        for image in (image for file in lists for image in _listed(tree, file, locator)):
            label = labels.get(image)
            if image not in labels:
                problems.append(Problem("missing image", image, "is listed, but does not exist"))
            if label is None:
                expected = devkit / "Annotations" / f"{image.stem}.xml"
                text = "does not exist; the image has no objects"
                problems.append(Problem("unreadable annotation", expected, text))
            pairs.append((image, label))
    return read_pairs(
        tree, "voc", pairs, split, classes, _reader(problems), problems, background or bool(lists)
    )


def _listed(tree: Tree, file: Path, locator: Locator) -> list[Path]:
    """The images of a list: names without suffix, file names or paths, and what follows them."""
    lines = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    images = []
    for line in lines:
        near = tree.root / "JPEGImages"
        image = locator.find(line, near)[0] or locator.find(line.split()[0], near)[0]
        name = line.split()[0]
        images.append(image or missing_place(tree, near, name if "." in name else f"{name}.jpg"))
    return list(dict.fromkeys(images))


def folder_parts(tree: Tree) -> dict[str, list[Path]]:
    """The images by part, where XML files have their names; empty where none has."""
    found = pair(tree, _xml_files(tree), []).found
    if not any(label is not None and _is_voc(label) for _, label in found):
        return {}
    return splits_of(tree, [image for image, _ in found])


def read_folder(
    tree: Tree,
    chosen: Sequence[list[Path]],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read images with XML files of the same name. An XML file without its image is reported."""
    problems: list[Problem] = []
    pairs = pair(tree, _xml_files(tree), problems)
    wanted = {image for images in chosen for image in images}
    if split is None:
        problems += lonely_problems(tree, pairs.lonely)
    own = [(image, label) for image, label in pairs.found if image in wanted]
    return read_pairs(tree, "folder", own, split, classes, _reader(problems), problems, background)


def folder_images(tree: Tree) -> dict[str, list[Path]]:
    """Images of a folder by part, also without any annotation: for ``--format folder``."""
    return splits_of(tree, tree.images) if tree.images and tree.file is None else {}


def nearly(tree: Tree) -> str | None:
    """What is wrong where there are VOC XML files, but no data set."""
    files = [file for file in tree.having(".xml")[:LOOKED_AT] if _is_voc(file)]
    if not files:
        return None
    count = len(tree.having(".xml"))
    where = "/".join(tree.folders(files[0])) or "the folder"
    example = f"{files[0].name} needs {files[0].stem}.jpg"
    return f"{count} VOC XML files in {where}, but no image has such a name ({example})"


def _xml_files(tree: Tree) -> list[Path]:
    return tree.having(".xml")


def _is_voc(file: Path) -> bool:
    """Whether a file is a VOC annotation, or a broken one: the reader then says what is wrong."""
    try:
        return parse_xml(file).tag == "annotation"
    except SppdetError:
        return False


def _reader(problems: list[Problem]) -> Read:
    def read_one(label: Path, size: Size | None) -> tuple[Size | None, list[RawObject]]:
        return read_xml(label, problems)

    return read_one
