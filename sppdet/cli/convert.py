"""``sppdet convert`` and ``sppdet split``: data sets written in another format, or in parts."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sppdet.cli.choices import WRITERS
from sppdet.cli.options import Background, Format, JsonFile, Quiet, one_of
from sppdet.runtime.words import counted

if TYPE_CHECKING:
    from sppdet.datasets import Dataset

Copy = Annotated[
    bool, typer.Option("--copy", help="Copy the images. Default: symbolic links to them.")
]
To = Annotated[str, one_of("--to", WRITERS, "Format to write")]


def convert(
    data: Annotated[Path, typer.Argument(help="The data set: a folder, or an annotation file.")],
    output: Annotated[Path, typer.Argument(help="A new folder.")],
    to: To,
    split: Annotated[
        str | None, typer.Option(help="Part of the data. Default: every part, each for itself.")
    ] = None,
    format: Format = None,
    background: Background = False,
    copy: Copy = False,
    json_file: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Write a data set in another format.

    Boxes stay equal to half a pixel. The images are linked or copied, never changed.

    \b
    Example:
      python tools/convert.py photos photos_yolo --to yolo
    """
    from sppdet.cli.progress import tell_dataset
    from sppdet.datasets import read_dataset, splits
    from sppdet.datasets.writers import check_target
    from sppdet.runtime.outputs import check_outputs

    check_target(output, data)
    check_outputs([json_file])
    names: list[str | None] = [split] if split else [*splits(data, format)] or [None]
    parts = {}
    for name in names:
        dataset = read_dataset(data, name, format=format, background=background)
        tell_dataset(dataset)
        parts[name or ""] = dataset
    _write(parts, to, output, copy, [], json_file)


def split(
    data: Annotated[Path, typer.Argument(help="The data set: a folder, or an annotation file.")],
    output: Annotated[
        Path | None, typer.Argument(help="A new folder. Default: DATA_split beside the data.")
    ] = None,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share of the images for test.")] = 0.2,
    val: Annotated[float, typer.Option(min=0, max=1, help="Share of the images for val.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice.")] = 0,
    to: To = "voc",
    format: Format = None,
    background: Background = False,
    copy: Copy = False,
    json_file: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Divide a data set into train, test and val.

    Every class has about the same share in each part. Equal pictures stay in one part.

    \b
    Example:
      python tools/split.py photos photos_split --test 0.2 --seed 0
    """
    from sppdet.cli.progress import progress_bar, tell_dataset
    from sppdet.datasets import read_dataset
    from sppdet.datasets.splitting import split_dataset
    from sppdet.datasets.writers import check_target
    from sppdet.errors import SppdetError
    from sppdet.runtime.outputs import check_outputs

    shares = {"train": 1 - test - val, "test": test, "val": val}
    shares = {name: share for name, share in shares.items() if share > 1e-9}
    if test + val >= 1 or len(shares) < 2:
        raise SppdetError(f"--test {test:g} --val {val:g}: give shares that leave images for train")
    where = data.resolve()
    target = output or where.with_name(f"{where.stem if where.is_file() else where.name}_split")
    check_target(target, data)
    check_outputs([json_file])
    dataset = read_dataset(data, format=format, background=background)
    tell_dataset(dataset)
    with progress_bar() as bar:
        task = bar.add_task("reading", total=len(dataset.images))
        parts, notes = split_dataset(dataset, shares, seed, lambda: bar.advance(task))
    _write(parts, to, target, copy, notes, json_file)


def _write(
    parts: "dict[str, Dataset]",
    to: str,
    output: Path,
    copy: bool,
    notes: list[str],
    json_file: Path | None,
) -> None:
    """Write the parts, and say how many images and objects each has."""
    from sppdet.cli.progress import console
    from sppdet.datasets.writers import write_dataset
    from sppdet.runtime.files import write_text

    notes = notes + write_dataset(parts, to, output, copy)
    for note in notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    counts = {}
    for name, dataset in parts.items():
        objects = sum(len(entry) for entry in dataset.all_annotations())
        counts[name or "all"] = {"images": len(dataset), "objects": objects}
        console.print(
            f"{output}{f', {name}' if name else ''}: "
            f"{counted(len(dataset), 'image')}, {counted(objects, 'object')}",
            markup=False,
            soft_wrap=True,
        )
    if json_file is not None:
        content = {"written": str(output), "format": to, "parts": counts, "notes": notes}
        write_text(json_file, json.dumps(content, indent=1) + "\n")
