"""``sppdet add-class``: a detector and photographs of new classes in, a detector with both out."""

import time
from pathlib import Path
from typing import Annotated

import typer

from sppdet.cli.options import (
    Background,
    DetectorFile,
    Device,
    Format,
    JsonFile,
    MaxPixels,
    NoCache,
    Quiet,
    TrainingSplit,
    Workers,
)
from sppdet.cli.splits import training_split


def add_class(
    model: Annotated[Path, typer.Argument(help="A file that tools/train.py wrote.")],
    data: Annotated[
        Path,
        typer.Argument(help="Images with objects of the new classes: a folder or annotation file."),
    ],
    output: DetectorFile,
    split: TrainingSplit = None,
    format: Format = None,
    background: Background = False,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal detectors.")] = 0,
    json_file: JsonFile = None,
    quiet: Quiet = False,
    max_pixels: MaxPixels = None,
    no_cache: NoCache = False,
    device: Device = None,
    workers: Workers = None,
) -> None:
    """Teach a detector the classes of DATA that it does not know.

    The old classes stay bit for bit as they are. Objects of old classes in DATA are background for
    the new ones.

    \b
    Example:
      sppdet add-class fruit.safetensors photos --output more.safetensors
    """
    from sppdet.cli.classes import save_and_tell
    from sppdet.cli.common import choose_device, images_at_a_time, limit_pixels
    from sppdet.cli.progress import Bars, console, finish_batch, progress_bar, tell_dataset
    from sppdet.datasets import read_dataset
    from sppdet.detector import Detector
    from sppdet.runtime.outputs import check_outputs
    from sppdet.training.add_class import add_classes, new_classes

    limit_pixels(max_pixels)
    start = time.perf_counter()
    check_outputs([output, json_file], [model, data if data.is_file() else None])
    dataset = read_dataset(
        data, split or training_split(data, format), format=format, background=background
    )
    tell_dataset(dataset)
    where = choose_device(device)
    detector = Detector.load(model, where)
    new = new_classes(detector, dataset)
    console.print(
        f"new: {', '.join(new)}; kept: {', '.join(detector.classes)}", markup=False, soft_wrap=True
    )
    with progress_bar() as bar:
        result = add_classes(
            detector,
            dataset,
            seed=seed,
            workers=images_at_a_time(where, workers),
            progress=Bars(bar),
        )
    save_and_tell(result.detector, output, json_file)
    result.images.clear()
    console.print(f"learned in {time.perf_counter() - start:.0f} s", markup=False)
    for line in result.images.cache_lines():
        console.print(line, markup=False, soft_wrap=True)
    if result.failures:
        finish_batch(result.failures, len(dataset.images))
