"""``sppdet data suspects``: labels that may be wrong, most doubtful first."""

from pathlib import Path
from typing import Annotated

import typer

from sppdet.cli.options import (
    Background,
    Device,
    Format,
    MaxPixels,
    NoCache,
    Quiet,
    Stage,
    TrainingSplit,
    Trunk,
    Weights,
    Workers,
)


def data_suspects(
    data: Annotated[
        Path, typer.Argument(help="Labelled images: a folder, or their annotation file.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for the page, and for the list as CSV, JSON."),
    ],
    split: TrainingSplit = None,
    format: Format = None,
    background: Background = False,
    pictures: Annotated[int, typer.Option(min=0, help="Suspects that the page shows.")] = 100,
    trunk: Trunk = "lite0",
    stage: Stage = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal lists.")] = 0,
    quiet: Quiet = False,
    max_pixels: MaxPixels = None,
    no_cache: NoCache = False,
    device: Device = None,
    workers: Workers = None,
) -> None:
    """List labels that may be wrong, most doubtful first.

    Detectors learn from two thirds of the images each, as in training, and look at the other third.
    Where they disagree with the labels, a box is missing, has the wrong class or a bad fit, or
    shows no object.

    \b
    Example:
      sppdet data suspects photos --output suspects
    """
    from sppdet.cli.common import choose_device, images_at_a_time, limit_pixels, with_stage
    from sppdet.cli.progress import Bars, console, finish_batch, progress_bar, tell_dataset
    from sppdet.cli.splits import training_split
    from sppdet.datasets import read_dataset
    from sppdet.evaluation.suspects import rank_suspects
    from sppdet.evaluation.suspects_report import FILES, summary, write_suspects
    from sppdet.features.spp import SppRegionFeatures
    from sppdet.runtime.outputs import check_outputs, keep_apart
    from sppdet.settings import DetectorSettings, SppSettings, TrainSettings
    from sppdet.training.fitting import fit_to_labels
    from sppdet.training.label_evidence import look_at_labels
    from sppdet.training.train import train
    from sppdet.trunks import load_trunk

    limit_pixels(max_pixels)
    files = [output / name for name in FILES]
    check_outputs(files, [data if data.is_file() else None, weights])
    dataset = read_dataset(
        data, split or training_split(data, format), format=format, background=background
    )
    keep_apart(output, [*dataset.images, data], "--output")
    where = choose_device(device)
    loaded = load_trunk(with_stage(trunk, stage), weights, where)
    fitted = fit_to_labels(dataset, loaded.spec.scales, seed)
    tell_dataset(dataset)
    console.print(f"from the labels: {fitted.reason}", markup=False, soft_wrap=True)
    settings = TrainSettings(
        detector=DetectorSettings(fitted.proposals, fitted.max_boxes),
        seed=seed,
        workers=images_at_a_time(where, workers),
    )
    with progress_bar() as bar:
        extractor = SppRegionFeatures(loaded, SppSettings(fitted.scales))
        result = train(dataset, extractor, settings, Bars(bar))
        suspects = rank_suspects(look_at_labels(result))
    page = write_suspects(output, dataset, suspects, pictures)
    result.images.clear()
    console.print(f"{summary(dataset, suspects)}: {page}", markup=False, soft_wrap=True)
    finish_batch(result.failures, len(dataset.images))
