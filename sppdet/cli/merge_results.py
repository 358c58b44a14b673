"""``sppdet merge-results``: the shards of ``detect --save parquet`` in one file."""

from pathlib import Path
from typing import Annotated

import typer

from sppdet.cli.options import JsonFile, Quiet
from sppdet.errors import SppdetError
from sppdet.runtime.words import counted


def merge_results(
    folder: Annotated[
        str, typer.Argument(help="The output folder of all shards, or its address.", metavar="OUT")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="A .parquet file with all rows, or a .json file in COCO's form."
        ),
    ],
    json_file: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Join the shards of sppdet detect --save parquet, after they are checked.

    Every shard must be there and complete, no image may be there twice, and all must come from
    one model and one setting. sppdet evaluate --results reads the .json file.

    The exit code is 1 where images failed; they are listed.

    \b
    Example:
      sppdet merge-results found -o all.json
    """
    import json

    from sppdet.cli.progress import console, finish_batch
    from sppdet.runtime.files import write_text
    from sppdet.runtime.outputs import check_outputs
    from sppdet.scale.merging import FORMATS, check, write
    from sppdet.scale.places import Place

    if output.suffix.lower() not in FORMATS:
        raise SppdetError(f"--output {output}: name a file that ends in {' or '.join(FORMATS)}")
    place = Place.at(folder)
    inputs = [Path(place.path(name)) for name in place.files(deep=True)] if place.local else []
    check_outputs([output, json_file], inputs)
    whole = check(place)
    write(whole, output)
    figures = whole.summary()
    if json_file is not None:
        write_text(json_file, json.dumps(figures, indent=1) + "\n")
    console.print(
        f"{counted(figures['merged_images'], 'image')} of {counted(figures['shards'], 'shard')}, "
        f"{counted(sum(figures['detections'].values()), 'detection')}, see {output}",
        markup=False,
        soft_wrap=True,
    )
    finish_batch(figures["failed"], figures["merged_images"], 1)
