"""``sppdet train``: a data set in, a detector out."""

import time
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sppdet.cli.common import (
    Bars,
    FeatureLayer,
    choose_device,
    console,
    images_at_a_time,
    parse_numbers,
    progress_bar,
)
from sppdet.datasets import FORMATS, read_dataset, splits
from sppdet.errors import SppdetError
from sppdet.features.rcnn import RcnnRegionFeatures, default_crop
from sppdet.features.regions import RegionExtractor
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.linear import LinearSvms
from sppdet.settings import (
    CropMode,
    DetectorSettings,
    MiningSettings,
    SelectionSettings,
    SppSettings,
    SvmSettings,
    TrainSettings,
)
from sppdet.training.train import train as train_detector
from sppdet.trunks import ARCHITECTURES, default_scales, load_trunk


class Method(str, Enum):
    """How region features are made."""

    spp = "spp"
    rcnn = "rcnn"


def train(
    data: Annotated[
        Path,
        typer.Argument(help="Labelled images: VOC XML beside them, a VOC devkit, COCO JSON, YOLO."),
    ],
    output: Annotated[Path, typer.Option(help="The model file to write.")],
    split: Annotated[
        str | None, typer.Option(help="Part of the data; default: trainval or train, if present.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help=f"Format of the data: {', '.join(FORMATS)}.")
    ] = None,
    trunk: Annotated[str, typer.Option(help=f"One of {', '.join(ARCHITECTURES)}.")] = "small",
    weights: Annotated[
        str | None,
        typer.Option(
            help="Trunk weights: safetensors or state dict. Default: packaged or downloaded."
        ),
    ] = None,
    method: Annotated[
        Method, typer.Option(help="spp: one map per image; rcnn: one network pass per box.")
    ] = Method.spp,
    scales: Annotated[
        str | None,
        typer.Option(
            help="Short sides in pixels, such as 480 or 480,576,688,864,1200. Default: the trunk's."
        ),
    ] = None,
    longest_side: Annotated[
        int, typer.Option(min=64, help="Limit for the longer side in pixels.")
    ] = 2000,
    layer: Annotated[
        FeatureLayer,
        typer.Option(help="The features: 50 bins; or pool5, fc6, fc7 of alexnet and vgg16."),
    ] = FeatureLayer.pyramid,
    crop: Annotated[
        CropMode, typer.Option(help="R-CNN: stretch the box, or take a tight square around it.")
    ] = "warp",
    proposals: Annotated[str, typer.Option(help="fast, quality, opencv-fast, ...")] = "fast",
    boxes: Annotated[int, typer.Option(min=1, help="Proposals per image.")] = 2000,
    box_regression: Annotated[
        bool, typer.Option(help="Train class-specific box regression.")
    ] = True,
    box_voting: Annotated[
        bool, typer.Option(help="Average the boxes that overlap a detection.")
    ] = True,
    mirror: Annotated[bool, typer.Option(help="Learn from mirrored images too.")] = True,
    positive_iou: Annotated[
        float,
        typer.Option(
            min=0.3, max=1, help="Proposals above this IoU are positives too; 1: truths only."
        ),
    ] = MiningSettings.positive_iou,
    normalize_levels: Annotated[
        bool, typer.Option(help="Scale each pyramid level to norm 1.")
    ] = SppSettings.normalize_levels,
    cost: Annotated[float, typer.Option(min=1e-9, help="C of the SVMs.")] = SvmSettings.cost,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal detectors.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default: GPU if any.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Images at a time; default: one per core.")
    ] = None,
) -> None:
    """Train a detector on labelled images.

    Interrupted, it goes on where it was when the same command is given again.

    Example: [bold]python tools/train.py photos --output fruit.safetensors[/bold]
    """
    start = time.perf_counter()
    _check_output(output)
    dataset = read_dataset(data, split or _training_split(data, format), format=format)
    for problem in getattr(dataset, "problems", ()):
        console.print(f"note: {problem}", markup=False, soft_wrap=True)
    where = choose_device(device)
    loaded = load_trunk(trunk, weights, where, layer.made_by)
    features = {"normalize_levels": normalize_levels, **layer.settings(trunk)}
    extractor: RegionExtractor
    if method is Method.rcnn:
        if scales is not None:
            raise SppdetError("--scales belongs to SPP-net; R-CNN sees every box at one size")
        cropping = replace(default_crop(trunk, crop), **features)
        extractor = RcnnRegionFeatures(loaded, cropping)
        seen = f"R-CNN, {trunk} on {cropping.mode} crops of {cropping.size} px"
    else:
        sides = parse_numbers(scales, "--scales") if scales else default_scales(trunk)
        if not 32 <= min(sides) <= max(sides) <= longest_side:
            raise SppdetError(
                f"--scales {scales}: give sides from 32 px to the longer side's limit, "
                f"--longest-side {longest_side}"
            )
        extractor = SppRegionFeatures(
            loaded, SppSettings(sides, longest_side=longest_side, **features)
        )
        seen = f"SPP-net, {trunk} at {','.join(map(str, sides))} px"
    settings = TrainSettings(
        mining=MiningSettings(positive_iou=positive_iou),
        detector=DetectorSettings(
            proposals=proposals,
            max_boxes=boxes,
            selection=SelectionSettings() if box_voting else SelectionSettings(voter_iou=1),
        ),
        seed=seed,
        workers=images_at_a_time(where, workers),
        box_regression=box_regression,
        mirror=mirror,
    )
    console.print(
        f"{len(dataset.images)} images, {len(dataset.classes)} classes "
        f"({', '.join(dataset.classes[:8])}{', ...' if len(dataset.classes) > 8 else ''}), "
        f"{seen} on {where}"
    )
    with progress_bar() as bar:
        result = train_detector(
            dataset, extractor, settings, Bars(bar), LinearSvms(SvmSettings(cost=cost))
        )
    result.detector.save(output)
    result.images.clear()
    for name, count in result.examples.items():
        if count == 0:
            console.print(f"note: class {name} has no examples; it will never be detected")
    seconds = time.perf_counter() - start
    size = output.stat().st_size / 1e6
    console.print(
        f"{output}: trained in {seconds:.0f} s, {size:.1f} MB", markup=False, soft_wrap=True
    )
    if result.failures:
        from sppdet.cli.common import finish_batch

        finish_batch(result.failures, len(dataset.images))


def _training_split(data: Path, format: str | None) -> str | None:
    available = splits(data, format)
    for name in ("trainval", "train", "train2017", "training"):
        if name in available:
            return name
    return None


def _check_output(output: Path) -> None:
    """Fail now rather than after the training."""
    if output.is_dir():
        raise SppdetError(f"{output}: is a folder; --output names the model file to write")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SppdetError(f"{output}: its folder cannot be made ({error.strerror})") from None
