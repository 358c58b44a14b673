"""``sppdet remove-class``, ``rename-class`` and ``merge``: other classes without a training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sppdet.cli.options import DetectorFile, JsonFile, Quiet
from sppdet.errors import SppdetError

if TYPE_CHECKING:
    from sppdet.detector import Detector

Model = Annotated[Path, typer.Argument(help="A file that tools/train.py wrote.")]


def remove_class(
    model: Model,
    names: Annotated[list[str], typer.Argument(metavar="CLASS...", help="Classes to take out.")],
    output: DetectorFile,
    json_file: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Take classes out of a detector; the others stay bit for bit as they are.

    \b
    Example:
      sppdet remove-class fruit.safetensors orange --output less.safetensors
    """
    from sppdet.training.classes import remove_classes

    (detector,) = _load([output, json_file], model)
    save_and_tell(remove_classes(detector, names), output, json_file)


def rename_class(
    model: Model,
    old: Annotated[str, typer.Argument(help="The class.")],
    new: Annotated[str, typer.Argument(help="Its new name.")],
    output: DetectorFile,
    json_file: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Give a class of a detector another name.

    \b
    Example:
      sppdet rename-class fruit.safetensors orange clementine --output new.safetensors
    """
    from sppdet.training.classes import rename_class as rename

    (detector,) = _load([output, json_file], model)
    save_and_tell(rename(detector, old, new), output, json_file)


def merge(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL MODEL...", help="Two or more detectors.")
    ],
    output: DetectorFile,
    json_file: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Put the classes of detectors into one; trunk, features and settings must be the same.

    \b
    Example:
      sppdet merge fruit.safetensors animals.safetensors --output both.safetensors
    """
    from sppdet.training.classes import merge_detectors

    if len(models) < 2:
        raise SppdetError("merge takes two or more detectors")
    whole, *others = _load([output, json_file], *models)
    for path, other in zip(models[1:], others, strict=True):
        try:
            whole = merge_detectors(whole, other)
        except SppdetError as error:
            raise SppdetError(f"{models[0]} and {path}: {error}") from None
    save_and_tell(whole, output, json_file)


def save_and_tell(detector: "Detector", output: Path, json_file: Path | None) -> None:
    """Write a detector, say what it finds, and write its description if a file is named."""
    from sppdet.cli.info import tell_card, write_description
    from sppdet.cli.progress import console

    detector.save(output)
    if json_file is not None:
        write_description(detector, json_file)
    tell_card(detector, console)
    console.print(f"{output}: finds {', '.join(detector.classes)}", markup=False, soft_wrap=True)


def _load(outputs: list[Path | None], *models: Path) -> "list[Detector]":
    """The detectors of files, none of which may be an output."""
    from sppdet.detector import Detector
    from sppdet.runtime.outputs import check_outputs

    check_outputs(outputs, models)
    return [Detector.load(model, "cpu") for model in models]
