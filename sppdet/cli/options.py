"""Options that several commands have, and options that take one of a few names."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sppdet.cli.choices import BOX_ORDERS, FORMATS, LAYERS, POOLINGS, TRUNKS, WINDOW_MAPPINGS
from sppdet.errors import SppdetError
from sppdet.trunks.specs import TIMM


def one_of(
    option: str,
    names: Sequence[str],
    help: str,
    other: str | None = None,
    files: Sequence[str] = (),
    callback: Callable[..., Any] | None = None,
) -> Any:
    """An option whose value is one of ``names``; the help and the shell's completion list them.

    Args:
        option: such as ``"--format"``.
        names: the choices.
        help: what the option is; the choices are added.
        other: how other values may begin; None allows none.
        files: suffixes, without full stops, of files that may be named instead.
        callback: is called with the value before the other options are read.

    Another value raises SppdetError, one line with the choices, while the command line is parsed.
    """
    more = _more(other, files)
    choice = _choice(option, names, other, files)
    if callback is not None:
        choice |= {"callback": callback, "is_eager": True}
    return typer.Option(option, help=f"{help}: {', '.join(names)}{more}.", **choice)


def argument_of(what: str, names: Sequence[str], help: str) -> Any:
    """As :func:`one_of`, for an argument; ``what`` is what the error calls it."""
    return typer.Argument(help=f"{help}: {', '.join(names)}.", **_choice(what, names))


def _choice(
    name: str, names: Sequence[str], other: str | None = None, files: Sequence[str] = ()
) -> dict[str, Any]:
    def parse(text: str) -> str:
        is_file = Path(text).suffix.lower().lstrip(".") in files
        if text not in names and not (other and text.startswith(other)) and not is_file:
            choices = f"{', '.join(names)}{_more(other, files)}"
            raise SppdetError(f"{name} {text}: choose one of {choices}")
        return text

    def complete(incomplete: str) -> list[str]:
        return [one for one in names if one.startswith(incomplete)]

    return {"metavar": "NAME", "parser": parse, "autocompletion": complete}


def _more(other: str | None, files: Sequence[str]) -> str:
    """What the value may be beside the choices."""
    return (f", or {other}NAME" if other else "") + (
        f", or a file: {', '.join(files)}" if files else ""
    )


def parse_numbers(
    text: str, option: str, example: str = "480,688", repeats: bool = False
) -> tuple[int, ...]:
    """``"480,576"`` as (480, 576).

    Raises:
        SppdetError: the text is not a list of positive whole numbers, or one of them stands twice
            and ``repeats`` does not allow it.
    """
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise SppdetError(f"{option} {text}: give whole numbers with commas, such as {example}")
    if not repeats and len(set(numbers)) < len(numbers):
        once = ",".join(map(str, dict.fromkeys(numbers)))
        raise SppdetError(f"{option} {text}: give each number once: {option} {once}")
    return numbers


def parse_names(text: str, option: str, names: Sequence[str]) -> list[str]:
    """``"json,csv"`` as ["json", "csv"]; a name that has a comma itself is known too.

    Raises:
        SppdetError: one is not in ``names``.
    """
    if text in names:
        return [text]
    given = [part.strip() for part in text.split(",")]
    for name in given:
        if name not in names:
            raise SppdetError(f"{option} {text}: choose from {', '.join(names)}, with commas")
    return list(dict.fromkeys(given))


def parse_box(text: str, option: str = "--box") -> tuple[float, float, float, float]:
    """``"10,20,110,220"`` as (10.0, 20.0, 110.0, 220.0).

    Raises:
        SppdetError: the text is not x1,y1,x2,y2 with x1 < x2 and y1 < y2.
    """
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError:
        x1 = y1 = x2 = y2 = 0.0
    if not (-1e6 < x1 < x2 < 1e6 and -1e6 < y1 < y2 < 1e6):
        raise SppdetError(f"{option} {text}: give x1,y1,x2,y2 in pixels, such as 10,20,110,220")
    return x1, y1, x2, y2


Background = Annotated[
    bool,
    typer.Option(
        "--background",
        help="Take every image without annotations as an image without objects. Default: only in "
        "folders of which at least half of the images have annotations.",
    ),
]
BoxBase = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=1,
        help="Number from which the file of --proposals counts pixels; with 1 both corners belong "
        "to the box. Default: as the file says.",
    ),
]
BoxOrder = Annotated[
    str | None,
    one_of(
        "--box-order",
        BOX_ORDERS,
        "Order of the columns in the file of --proposals. Default: as the file says. Choices",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="Device, such as cpu or cuda. Default: the GPU, if there is one."),
]
Precision = Annotated[
    str,
    one_of(
        "--precision",
        ("float32", "bfloat16"),
        "Numbers of the network on a CPU. bfloat16 takes half the time where the processor has "
        "instructions for it, and differs a little. Choices",
    ),
]
Format = Annotated[
    str | None,
    one_of("--format", FORMATS, "Format of the data. Default: it is recognised. Choices"),
]
DetectorFile = Annotated[
    Path, typer.Option("--output", "-o", help="The file of the detector to write.")
]
TrainingSplit = Annotated[
    str | None,
    typer.Option("--split", help="Part of the data. Default: trainval or train, if there is one."),
]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]
Layer = Annotated[
    str,
    one_of(
        "--layer",
        LAYERS,
        "Features of a region: the pyramid of 50 bins, or a layer of alexnet or vgg16. Choices",
    ),
]
Levels = Annotated[
    str | None,
    typer.Option("--levels", help="Pyramid levels, bins a side, such as 1,2,4. Default: 1,2,3,6."),
]
Pooling = Annotated[
    str | None,
    one_of("--pooling", POOLINGS, "What a bin takes of its cells. Default: max. Choices"),
]
WindowMapping = Annotated[
    str | None,
    one_of(
        "--window-mapping",
        WINDOW_MAPPINGS,
        "SPP-net: which cells of the map belong to a box. Those with their centre inside (paper), "
        "the released code's, or from the cell nearest one corner to that nearest the other. "
        "Default: paper. Choices",
    ),
]
ModelLevels = Annotated[
    str | None,
    typer.Option(
        "--levels", help="Pyramid levels: only those of the model, which has learned them."
    ),
]
ModelPooling = Annotated[
    str | None,
    one_of(
        "--pooling", POOLINGS, "What a bin takes of its cells: only as the model has it. Choices"
    ),
]
ModelMapping = Annotated[
    str | None,
    one_of(
        "--window-mapping",
        WINDOW_MAPPINGS,
        "SPP-net: which cells of the map belong to a box. Default: the model's. Choices",
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        min=1,
        help="Refuse images with more pixels, before they are decoded. Default: 178956970.",
    ),
]
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        help="Read nothing from the cache, and keep nothing in it; see sppdet cache info.",
    ),
]
SplitOfTest = Annotated[
    str | None, typer.Option(help="Part of the data. Default: test or val, if there is one.")
]
LeastIou = Annotated[float, typer.Option(min=0.01, max=1, help="Least IoU of a true positive.")]
Host = Annotated[
    str,
    typer.Option(
        "--host",
        help="Address to listen on. With another than this machine's own, a token in the address "
        "is required.",
    ),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="NAME",
        help="Name of a reverse proxy in front of the server, which may stand in the address too; "
        "a token in the address is required then. May be repeated.",
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print errors only; no progress, results and summary.")
]
Stage = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Stage whose feature map a timm:NAME trunk gives, counted from 0. Default: the last "
        "one of stride 16.",
    ),
]
Trunk = Annotated[
    str, one_of("--trunk", TRUNKS, "Convolutional network, or any network of timm", TIMM)
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="The trunk's weights: a safetensors file or a state dict. Default: the installed or "
        "downloaded ones.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Images that are worked on at the same time. Default: one per core."),
]

Disk = Annotated[
    float,
    typer.Option(
        min=0,
        max=1_000_000,
        help="Gigabytes on the disk for prepared images while training runs. What does not fit is "
        "computed again in each pass.",
    ),
]
