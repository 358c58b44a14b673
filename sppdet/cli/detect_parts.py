"""``sppdet detect --save parquet``: one shard of a folder, or all of it with Ray."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sppdet.cli.common import choose_device, images_at_a_time, limit_pixels
from sppdet.cli.interrupt import interrupts_unchanged
from sppdet.cli.options import parse_names
from sppdet.cli.progress import console, finish_batch, progress_bar
from sppdet.cli.thresholds import parse_thresholds
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.pipeline.stream import Pipeline
from sppdet.runtime.files import write_text
from sppdet.runtime.outputs import check_outputs
from sppdet.runtime.words import counted, verb
from sppdet.scale.parts import LIST, Part, ShardFolder
from sppdet.scale.places import SEPARATOR, Place, images_in
from sppdet.scale.ray_cluster import Engine
from sppdet.scale.ray_engine import run as run_with_ray
from sppdet.scale.setting import Setting
from sppdet.scale.shards import Shard
from sppdet.scale.work import PART_IMAGES, Totals, count_before, write_parts


@dataclass(frozen=True)
class Order:
    """What the command line says: the options of these names."""

    images: Sequence[str]
    output: str
    shard: str | None
    part_images: int | None
    retry_failed: bool
    recursive: bool
    model: Path
    device: str | None
    json: Path | None


def detect_parts(
    order: Order,
    threshold: Sequence[str],
    classes: str | None,
    most: int,
    max_pixels: int | None,
    ray: Mapping[str, Any] | None = None,
) -> None:
    """Work on what is missing of a shard, tell the user, and leave with an exit code where images
    failed, in this run or before.

    Args:
        order, threshold, classes, most, max_pixels: options of the command.
        ray: attributes of :class:`sppdet.scale.ray_engine.Engine`; None does the work in this
            process.

    Raises:
        SppdetError: an option is wrong, the output folder is of another run, or it cannot be
            written.
    """
    shard = Shard.parse(order.shard) if order.shard is not None else Shard(1, 1)
    source, output = _places(order)
    for place in (source, output):
        if ray is not None and place.protocols & {"memory"}:
            raise SppdetError(f"{place.name}: is the memory of one process; give Ray a folder")
    if output.local:
        first = Path(output.path(f"{shard.folder}/{LIST}"))
        check_outputs([first, order.json], [order.model])
    else:
        check_outputs([order.json], [order.model])
    limit_pixels(max_pixels)
    where = choose_device(order.device if ray is None else "cpu")
    detector = Detector.load(order.model, where)
    own = dict(zip(detector.classes, map(float, detector.thresholds), strict=True))
    content = order.model.read_bytes()
    setting = Setting(
        hashlib.sha256(content).hexdigest(),
        detector.classes,
        own | parse_thresholds(list(threshold), detector.classes),
        tuple(parse_names(classes, "--classes", detector.classes)) if classes else None,
        most,
        max_pixels,
    )
    found, videos = images_in(source, order.recursive)
    images = {image: name for image, name in found.items() if shard.holds(image)}
    folder = ShardFolder(output, shard, setting)
    done = folder.begin(images)
    if order.retry_failed:
        done = folder.forget_failed(done)
    if videos:
        console.print(f"note: videos are left out: {videos}", soft_wrap=True)
    missing = {image: name for image, name in images.items() if image not in done}
    totals = count_before(done)
    start = time.perf_counter()
    try:
        with interrupts_unchanged(), progress_bar() as bar:
            task = bar.add_task("detecting", total=len(missing))
            advance = partial(bar.advance, task)
            if ray is None:
                parts = _here(order, detector, where, folder, source, missing, advance)
            else:
                parts = _with_ray(order, ray, content, folder, source, missing, advance)
            for part in parts:
                totals.add(part)
    except KeyboardInterrupt:
        left = len(missing) - totals.new
        console.print(
            f"{counted(totals.new, 'image')} {verb(totals.new)} done and kept, {left} {verb(left)} "
            "left; the same command goes on",
            soft_wrap=True,
        )
        raise
    _finish(order, totals, shard, detector.classes, time.perf_counter() - start)


def _here(
    order: Order,
    detector: Detector,
    device: torch.device,
    folder: ShardFolder,
    source: Place,
    missing: Mapping[str, str],
    advance: Callable[[], object],
) -> Iterator[Part]:
    workers = images_at_a_time(device) if device.type == "cpu" else None
    size = order.part_images or PART_IMAGES
    with Pipeline(detector, workers, len(missing)) as pipeline:
        yield from write_parts(pipeline, folder, source, missing, size, advance)


def _with_ray(
    order: Order,
    ray: Mapping[str, Any],
    model: bytes,
    folder: ShardFolder,
    source: Place,
    missing: Mapping[str, str],
    advance: Callable[[float], object],
) -> Iterator[Part]:
    engine = Engine(**ray, device=order.device)
    for done in run_with_ray(engine, model, folder, source, missing, order.part_images):
        advance(len(done.part.images))
        yield done.part


def _places(order: Order) -> tuple[Place, Place]:
    if len(order.images) != 1:
        raise SppdetError("--save parquet: takes one folder, not several names")
    (folder,) = order.images
    if SEPARATOR not in folder and not Path(folder).is_dir():
        raise SppdetError(f"{folder}: is not a folder, which --save parquet needs")
    if SEPARATOR not in order.output and Path(order.output).is_file():
        raise SppdetError(f"{order.output}: is a file; --output names a folder")
    source, output = Place.at(folder), Place.at(order.output)
    same = source.root == output.root
    if source.local and output.local:
        same = Path(source.root).resolve() == Path(output.root).resolve()
    elif source.system is not output.system:
        same = False
    if same:
        raise SppdetError(f"{order.output}: holds the images; choose another folder as --output")
    return source, output


def _finish(
    order: Order, totals: Totals, shard: Shard, classes: Sequence[str], seconds: float
) -> None:
    figures: Mapping[str, Any] = {
        "images": totals.images,
        "skipped": totals.skipped,
        "frames": totals.new,
        "failed": [f"{image}: {why}" for image, why in totals.failed.items()],
        "detections": {k: totals.detections[k] for k in classes if k in totals.detections},
        "photographs_per_second": round(totals.new / seconds, 3),
        "shard": str(shard),
    }
    if order.json is not None:
        write_text(order.json, json.dumps(figures, indent=1) + "\n")
    before = f", {totals.skipped} of them before" if totals.skipped else ""
    total = totals.images + len(totals.failed)
    speed = f", {figures['photographs_per_second']:.2f} photographs per second" * bool(totals.new)
    console.print(
        f"shard {shard}: {counted(total, 'image')} done{before}, see {order.output}: "
        f"{counted(sum(totals.detections.values()), 'detection')}{speed}",
        markup=False,
        soft_wrap=True,
    )
    finish_batch(figures["failed"], total, 1 if totals.images else 2)
