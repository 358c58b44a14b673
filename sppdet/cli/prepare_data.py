"""``sppdet prepare-data``: fetch and unpack the public data sets."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sppdet.cli.choices import DATA_SETS
from sppdet.cli.options import JsonFile, Quiet, argument_of


def prepare_data(
    name: Annotated[str, argument_of("data set", DATA_SETS, "The data set")],
    to: Annotated[Path, typer.Option(help="Folder for the archives and for what is in them.")],
    json_file: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Download a public data set, check it, and unpack it.

    It comes from its official address. Interrupted, it goes on where it was. Without a network it
    says what to fetch elsewhere.

    \b
    Example:
      python tools/prepare_data.py voc2007 --to data/voc
    """
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from sppdet.cli.progress import console
    from sppdet.datasets.download import SOURCES, prepare
    from sppdet.runtime.files import write_text
    from sppdet.runtime.outputs import check_outputs

    check_outputs([json_file])

    tasks: dict[str, TaskID] = {}
    unpacked: dict[str, int] = {}
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as bar:

        def progress(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            if total is None and stage.startswith("unpacking"):
                done = unpacked[stage] = unpacked.get(stage, 0) + done
            bar.update(tasks[stage], completed=done, total=total)

        ready = prepare(SOURCES[name], to, progress)
    if json_file is not None:
        content = {"data_set": name, "folders": list(map(str, ready))}
        write_text(json_file, json.dumps(content, indent=1) + "\n")
    for path in ready:
        typer.echo(path)
