"""``sppdet train``: a data set in, a detector out."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sppdet.cli.choices import CROPS, HEADS, METHODS, PROPOSALS
from sppdet.cli.options import (
    Background,
    BoxBase,
    BoxOrder,
    DetectorFile,
    Device,
    Disk,
    Format,
    JsonFile,
    Layer,
    Levels,
    MaxPixels,
    NoCache,
    Pooling,
    Precision,
    Quiet,
    Stage,
    TrainingSplit,
    Trunk,
    Weights,
    WindowMapping,
    one_of,
    parse_numbers,
)
from sppdet.cli.presets import PRESETS, apply
from sppdet.cli.ray_options import (
    Address,
    TrainingEngine,
    TrainingWorkers,
    WorkerCpus,
    training_workers,
)
from sppdet.cli.splits import split_doubts, training_split
from sppdet.cli.train_options import (
    KeepExamples,
    LowerGroups,
    OneClass,
    PositiveIou,
    RoundViews,
    TrainingProposals,
    Units,
)
from sppdet.errors import SppdetError
from sppdet.runtime.words import counted
from sppdet.settings import (
    CropMode,
    DetectorSettings,
    MiningSettings,
    SppSettings,
    SvmSettings,
    TrainSettings,
)

LARGEST_KEPT = 40 << 20
"""Bytes of the largest freed memory that a training keeps: a layer of ``lite0`` takes 29 MB at
480 x 640 px, and 118 at twice the sides. Maps of large images would lie between the examples for
ever; a training computes each map once, so that their pages cost it little."""


def train(
    context: typer.Context,
    data: Annotated[
        Path,
        typer.Argument(
            help="Labelled images: a folder in any layout of README.md, or its annotation file."
        ),
    ],
    output: DetectorFile,
    split: TrainingSplit = None,
    format: Format = None,
    background: Background = False,
    trunk: Trunk = "lite0",
    stage: Stage = None,
    weights: Weights = None,
    method: Annotated[
        str,
        one_of(
            "--method",
            METHODS,
            "SPP-net makes one feature map per image, R-CNN one network pass per box. Choices",
        ),
    ] = "spp",
    scales: Annotated[
        str | None,
        typer.Option(
            help="Short sides of the image in pixels, such as 480 or 480,576,688,864,1200. "
            "Default: the trunk's, and a larger one for small objects."
        ),
    ] = None,
    longest_side: Annotated[
        int, typer.Option(min=64, help="Limit for the longer side of the image in pixels.")
    ] = 2000,
    layer: Layer = "pyramid",
    levels: Levels = None,
    pooling: Pooling = None,
    window_mapping: WindowMapping = None,
    crop: Annotated[
        CropMode,
        one_of(
            "--crop",
            CROPS,
            "R-CNN stretches the box to a square, or takes a tight square around it. Choices",
        ),
    ] = "warp",
    proposals: TrainingProposals = None,
    box_order: BoxOrder = None,
    box_base: BoxBase = None,
    boxes: Annotated[
        int | None,
        typer.Option(min=1, help="Proposals per image. Default: 2000, or 4000 for small objects."),
    ] = None,
    box_regression: Annotated[
        bool, typer.Option(help="Train class-specific box regression.")
    ] = True,
    box_voting: Annotated[
        bool, typer.Option(help="Average the boxes that overlap a detection.")
    ] = True,
    lower_groups: LowerGroups = None,
    one_class_per_object: OneClass = None,
    mirror: Annotated[bool, typer.Option(help="Learn from mirrored images too.")] = True,
    positive_iou: PositiveIou = MiningSettings.positive_iou,
    normalize_levels: Annotated[
        bool, typer.Option(help="Scale each pyramid level to norm 1.")
    ] = SppSettings.normalize_levels,
    heads: Annotated[
        str,
        one_of(
            "--heads",
            HEADS,
            "What learns from the features: linear SVMs; two fully connected layers that are "
            "fine-tuned, with a softmax; or SVMs on the second of these layers (fc7). Choices",
        ),
    ] = "svm",
    units: Units = None,
    cost: Annotated[float, typer.Option(min=1e-9, help="C of the SVMs.")] = SvmSettings.cost,
    keep_examples: KeepExamples = False,
    preset: Annotated[
        str | None,
        one_of(
            "--preset",
            PRESETS,
            "Give all options that are not on the command line the papers' values, and print them. "
            "Choices",
            callback=apply,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal detectors.")] = 0,
    disk: Disk = TrainSettings.store_bytes / (1 << 30),
    json_file: JsonFile = None,
    quiet: Quiet = False,
    max_pixels: MaxPixels = None,
    no_cache: NoCache = False,
    device: Device = None,
    precision: Precision = "float32",
    workers: TrainingWorkers = None,
    engine: TrainingEngine = None,
    address: Address = None,
    worker_cpus: WorkerCpus = None,
    round_views: RoundViews = MiningSettings.round_views,
) -> None:
    """Train a detector on labelled images.

    Interrupted, it goes on where it was when the same command is given again. On a GPU prepared
    images stay in its memory: there it begins again, with the proposals that it has found.

    \b
    Example:
      python tools/train.py photos --output fruit.safetensors
    """
    from sppdet.cli.common import (
        choose_device,
        images_at_a_time,
        layer_of_heads,
        limit_pixels,
        recipe_of,
        trunk_to_train,
        with_stage,
    )
    from sppdet.cli.info import tell_card, write_description
    from sppdet.cli.presets import lines, mining, regression, selection
    from sppdet.cli.progress import Bars, console, finish_batch, progress_bar, tell_dataset
    from sppdet.cli.region_options import (
        pyramid_settings,
        refuse_other_method,
        tell_repeats,
        training_extractor,
    )
    from sppdet.datasets import read_dataset
    from sppdet.datasets.doubts import doubts
    from sppdet.heads.linear import LinearSvms
    from sppdet.proposals.files import read_proposals
    from sppdet.runtime.memory import keep_freed_memory
    from sppdet.runtime.outputs import check_outputs
    from sppdet.training.fitting import fit_to_labels
    from sppdet.training.train import train as train_detector

    if keep_examples and (heads != "svm" or method != "spp" or layer in ("fc6", "fc7")):
        raise SppdetError("--keep-examples: belongs to --method spp, --heads svm, --layer pyramid")
    refuse_other_method(context, method)
    if heads == "connected" and round_views != MiningSettings.round_views:
        raise SppdetError("--round-views: belongs to SVMs, which are mined; leave it out")
    crew = training_workers(engine, address, workers, worker_cpus, device, no_cache)
    for line in lines(context, method) if preset else ():
        console.print(line, markup=False, soft_wrap=True)
    limit_pixels(max_pixels)
    keep_freed_memory(LARGEST_KEPT)
    start = time.perf_counter()
    file = Path(proposals) if proposals is not None and proposals not in PROPOSALS else None
    proposals = None if file is not None else proposals
    check_outputs([output, json_file], [data if data.is_file() else None, weights, file])
    chosen = split or training_split(data, format)
    dataset = read_dataset(data, chosen, format=format, background=background)
    tell_dataset(dataset)
    for doubt in [*doubts(dataset), *split_doubts(data, dataset, split, format)]:
        console.print(f"note: {doubt}", markup=False, soft_wrap=True)
    given = None
    if file is not None:
        listed = read_proposals(file, dataset.images, box_order, box_base, allow_empty=True)
        given = dict(zip(dataset.images, listed, strict=True))
    where = choose_device(device if engine is None else "cpu")
    layer, own_layers = layer_of_heads(heads, layer, trunk, units)
    in_bfloat16 = f" in {precision}" if precision != "float32" else ""
    name = with_stage(trunk, stage)
    loaded, first_layers = trunk_to_train(name, weights, where, layer, own_layers, precision)
    at_once = images_at_a_time(where, workers if engine is None else None)
    fitted = None
    if proposals is None or boxes is None or (scales is None and method == "spp"):
        fitted = fit_to_labels(dataset, loaded.spec.scales, seed, workers=at_once)
        own = {"--proposals": proposals, "--boxes": boxes, "--scales": scales}
        used = ", ".join(f"{name} {value}" for name, value in own.items() if value is not None)
        instead = f"; used instead: {used}" if used else ""
        console.print(f"from the labels: {fitted.reason}{instead}", markup=False, soft_wrap=True)
    features = pyramid_settings(layer, loaded, levels, pooling)
    features["normalize_levels"] = normalize_levels
    sides = parse_numbers(scales, "--scales") if scales else None
    sides = sides or (fitted.scales if fitted else loaded.spec.scales)
    extractor, seen = training_extractor(
        method, loaded, sides, longest_side, window_mapping, crop, **features
    )
    if levels is not None:
        side = loaded.spec.crop if method == "rcnn" else min(sides)
        what = f"{'a crop' if method == 'rcnn' else 'an image'} of {side} px"
        tell_repeats(features["levels"], what, loaded.cells(side))
    settings = TrainSettings(
        mining=replace(mining(preset, positive_iou), round_views=round_views),
        regression=regression(preset, method),
        detector=DetectorSettings(
            proposals=proposals or (fitted.proposals if fitted else "fast"),
            max_boxes=boxes or (fitted.max_boxes if fitted else 2000),
            selection=selection(preset, box_voting),
        ),
        seed=seed,
        workers=at_once,
        store_bytes=int(disk * (1 << 30)),
        box_regression=box_regression,
        mirror=mirror,
        one_class=one_class_per_object,
        lower_groups=lower_groups,
        keep_examples=keep_examples,
    )
    console.print(
        f"{counted(len(dataset.images), 'image')}, "
        f"{counted(len(dataset.classes), 'class', 'classes')} "
        f"({', '.join(dataset.classes[:8])}{', ...' if len(dataset.classes) > 8 else ''}), "
        f"{seen} on {where}{in_bfloat16}",
        markup=False,
        soft_wrap=True,
    )
    recipe = recipe_of(heads, LinearSvms(SvmSettings(cost=cost)), units, first_layers)
    with crew as elsewhere:
        with progress_bar() as bar:
            bars = Bars(bar)
            result = train_detector(
                dataset, extractor, settings, bars, recipe, given, bars.estimate, elsewhere
            )
        result.detector.save(output)
        result.images.clear()
    for name in [name for name, count in result.examples.items() if count == 0]:
        console.print(f"note: class {name} has no examples; it will never be detected")
    if json_file is not None:
        write_description(result.detector, json_file)
    tell_card(result.detector, console)
    seconds, size = time.perf_counter() - start, output.stat().st_size / 1e6
    console.print(
        f"{output}: trained in {seconds:.0f} s, {size:.1f} MB", markup=False, soft_wrap=True
    )
    for line in result.images.cache_lines():
        console.print(line, markup=False, soft_wrap=True)
    finish_batch(result.failures, len(dataset.images))
