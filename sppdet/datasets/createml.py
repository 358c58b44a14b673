"""CreateML JSON: a list of images with their annotations, boxes by centre and size in pixels."""

from collections.abc import Sequence
from pathlib import Path

from sppdet.datasets.base import Dataset, Problem, RawObject
from sppdet.datasets.files import Tree, parse_json
from sppdet.datasets.json_kinds import files_of_kind
from sppdet.datasets.listed import Listed, Part, parts_of, read_listed
from sppdet.errors import SppdetError


def parts(tree: Tree) -> dict[str, Part]:
    """The CreateML files by part."""
    return parts_of(tree, files_of_kind(tree, "createml"))


def read(
    tree: Tree,
    chosen: Sequence[Part],
    split: str | None,
    classes: Sequence[str] | None,
    background: bool,
) -> Dataset:
    """Read CreateML files; the classes are those that occur, sorted."""
    return read_listed(tree, "createml", chosen, split, classes, read_file)


def read_file(file: Path, problems: list[Problem]) -> list[Listed]:
    """The images of a CreateML file.

    Raises:
        SppdetError: it cannot be read.
    """
    content = parse_json(file)
    if not isinstance(content, list):
        raise SppdetError(f"{file}: is not a CreateML file (a list of images)")
    found = []
    for number, image in enumerate(content, 1):
        try:
            entry = Listed(str(image.get("image") or image["imagefilename"]))
            annotations = list(image.get("annotations", image.get("annotation")) or ())
        except (KeyError, TypeError, AttributeError) as error:
            text = f"entry {number} is not an image ({error!r}), left out"
            problems.append(Problem("bad object", file, text))
            continue
        for annotation in annotations:
            try:
                label, place = str(annotation["label"]), annotation["coordinates"]
                x, y, w, h = (float(place[name]) for name in ("x", "y", "width", "height"))
                box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
                entry.objects.append(RawObject(label, box))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                text = f"{entry.name}: {error!r}, left out"
                problems.append(Problem("bad object", file, text))
        found.append(entry)
    return found
