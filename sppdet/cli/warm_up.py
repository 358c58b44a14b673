"""``sppdet warm-up``: what the first detection needs, done and kept before it is wanted."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from sppdet.cli.options import Device, JsonFile, Quiet


def warm_up(
    model: Annotated[
        Path | None,
        typer.Argument(help="A file that tools/train.py wrote. Default: the model that ships."),
    ] = None,
    json_file: JsonFile = None,
    quiet: Quiet = False,
    device: Device = None,
) -> None:
    """Compile the search and the pooling, and keep the machine code for the next processes.

    It is a step of the build of a container: the first detection there then takes no longer than
    the others. The machine code suits the processor on which it was compiled; on another one it is
    compiled again. The environment variable NUMBA_CACHE_DIR names another folder for it.

    \b
    Example:
      sppdet warm-up fruit.safetensors
    """
    from sppdet.cli.common import choose_device
    from sppdet.cli.detect import shipped_model
    from sppdet.cli.progress import console
    from sppdet.detector import Detector
    from sppdet.runtime.compiled import tally
    from sppdet.runtime.files import write_text
    from sppdet.runtime.outputs import check_outputs

    path = model or shipped_model()
    check_outputs([json_file], [path])
    where = choose_device(device)
    start = time.perf_counter()
    detector = Detector.load(path, where)
    load = time.perf_counter() - start
    first, following = detector.warm_up(), detector.warm_up()
    for line in (
        f"{path}: loaded in {load:.1f} s on {where}",
        f"first detection: {first:.1f} s; {tally.compiled} functions compiled and kept, "
        f"{tally.loaded} of an earlier run loaded",
        *(f"  kept in {folder}" for folder in sorted(tally.folders)),
        f"next detection: {following:.2f} s",
    ):
        console.print(line, markup=False, soft_wrap=True)
    if json_file is not None:
        content = {
            "model": str(path),
            "device": str(where),
            "load_seconds": load,
            "first_seconds": first,
            "next_seconds": following,
            "compiled": tally.compiled,
            "loaded": tally.loaded,
            "kept_in": sorted(tally.folders),
        }
        write_text(json_file, json.dumps(content, indent=1) + "\n")
