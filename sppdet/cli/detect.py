"""``sppdet detect``: pictures in, annotated pictures and JSON out."""

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from sppdet.cli.choices import ENGINES, SAVES
from sppdet.cli.options import (
    BoxBase,
    BoxOrder,
    Device,
    MaxPixels,
    ModelLevels,
    ModelMapping,
    ModelPooling,
    Precision,
    Quiet,
    one_of,
    parse_names,
)
from sppdet.cli.ray_options import Address, WorkerCpus, refuse
from sppdet.cli.thresholds import parse_thresholds
from sppdet.errors import SppdetError


def detect(
    images: Annotated[
        list[str],
        typer.Argument(
            help="Images, videos, folders, patterns such as 'a/*.jpg', @list.txt, http(s) URLs, - "
            "for an image on the standard input, or the number of a camera."
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the outputs; for parquet also s3://, gs:// and so on.",
        ),
    ] = "detections",
    model: Annotated[
        Path | None,
        typer.Option(help="A file that tools/train.py wrote. Default: the model that ships."),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            help="Least probability of a detection, 0 to 1; apple=0.6 for one class, several times "
            "for several. Default: what training chose for each class."
        ),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Only these classes: names with commas between them.")
    ] = None,
    max: Annotated[int, typer.Option("--max", min=1, help="Most detections in an image.")] = 100,
    save: Annotated[
        str, typer.Option(help=f"What to write, with commas: {', '.join(SAVES)}.")
    ] = "pictures,json",
    no_pictures: Annotated[
        bool, typer.Option("--no-pictures", help="Draw no pictures, which takes less time.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Look in the folders of folders too.")
    ] = False,
    every: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Take every such frame of videos, animations and files of several pages. Default: "
            "all frames of a video, the first of the others.",
        ),
    ] = None,
    proposals: Annotated[
        Path | None,
        typer.Option(help="Take the proposals from this file, see sppdet propose."),
    ] = None,
    box_order: BoxOrder = None,
    box_base: BoxBase = None,
    levels: ModelLevels = None,
    pooling: ModelPooling = None,
    window_mapping: ModelMapping = None,
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Leave out images whose outputs are there already."),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="Work on one shard of the folder, such as 3/16; needs --save parquet. "
            "Default: 1/1.",
        ),
    ] = None,
    part_images: Annotated[
        int | None,
        typer.Option("--part-images", min=1, help="Most images in a parquet file. Default: 1000."),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="Try images again that failed in earlier runs; needs parquet."
        ),
    ] = False,
    engine: Annotated[
        str | None,
        one_of("--engine", ENGINES, "Let this engine give the work to workers; needs parquet"),
    ] = None,
    address: Address = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Workers of --engine ray. Default: as many as fit on the cluster."
        ),
    ] = None,
    worker_cpus: WorkerCpus = None,
    worker_gpus: Annotated[
        float | None,
        typer.Option(
            min=0, help="GPUs of each worker of --engine ray, such as 0.25. Default: 1, if any."
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write the summary of the run to this file.")
    ] = None,
    quiet: Quiet = False,
    max_pixels: MaxPixels = None,
    device: Device = None,
    precision: Precision = "float32",
) -> None:
    """Find objects and draw them.

    For every image NAME.jpg, the output folder gets NAME.jpg with the detections drawn, and
    NAME.json; for a video NAME.mp4 and NAME.jsonl with a line per frame.

    The exit code is 0; 1 if some images failed; 2 if all failed or the command is wrong.

    \b
    Example:
      python tools/detect.py photo.jpg --output found
    """
    kinds = set(parse_names(save, "--save", SAVES)) - ({"pictures"} if no_pictures else set())
    if not kinds:
        raise SppdetError(f"--save {save} --no-pictures: nothing is left to write")
    of_parts: dict[str, object] = {
        "--shard": shard,
        "--part-images": part_images,
        "--engine": engine,
        "--retry-failed": retry_failed,
    }
    of_ray = {
        "--address": address,
        "--workers": workers,
        "--worker-cpus": worker_cpus,
        "--worker-gpus": worker_gpus,
    }
    if engine is None:
        refuse(of_ray, "needs --engine ray")
    if "parquet" in kinds:
        from sppdet.scale.packages import needed

        if kinds != {"parquet"}:
            raise SppdetError(f"--save {save}: parquet stands alone; run the command once for each")
        unfit = {
            "--every": every,
            "--proposals": proposals,
            "--levels": levels,
            "--pooling": pooling,
            "--window-mapping": window_mapping,
            "--precision": precision if precision != "float32" else None,
        }
        refuse(unfit, "does not go with --save parquet")
        for package in ("fsspec", "pyarrow.parquet"):
            needed(package, "--save parquet")
        if engine is not None:
            needed("ray.data", "--engine ray", "ray")
        from sppdet.cli.detect_parts import Order, detect_parts

        order = Order(
            images,
            output,
            shard,
            part_images,
            retry_failed,
            recursive,
            model or shipped_model(),
            device,
            json,
        )
        ray = None
        if engine is not None:
            ray = {"address": address, "workers": workers, "cpus": worker_cpus, "gpus": worker_gpus}
        detect_parts(order, threshold or [], classes, max, max_pixels, ray)
        return
    refuse(of_parts, "needs --save parquet")
    if skip_existing and not kinds & {"json", "jsonl"}:
        raise SppdetError("--skip-existing: needs json or jsonl in --save, to know what is done")

    from sppdet.cli.common import choose_device, images_at_a_time, limit_pixels, load_detector
    from sppdet.cli.detecting import Choice, Job, given_proposals, plan, run
    from sppdet.cli.region_options import with_choices
    from sppdet.cli.saving import Saver
    from sppdet.pipeline.stream import Pipeline

    limit_pixels(max_pixels)
    where = choose_device(device)
    folder = Path(output)
    inputs = plan(images, folder, kinds, recursive, every, [model, proposals], json)
    detector = load_detector(model or shipped_model(), where, precision)
    detector = with_choices(detector, levels, pooling, window_mapping)
    chosen = Choice(
        parse_thresholds(threshold or [], detector.classes),
        parse_names(classes, "--classes", detector.classes) if classes else None,
        max,
    )
    boxes = given_proposals(proposals, inputs, box_order, box_base) if proposals else None
    saver = Saver(folder, kinds, detector.classes, inputs.files)
    side_by_side = len(inputs.sources) > 1 and not inputs.videos
    at_a_time = None if side_by_side else 1
    if side_by_side and where.type == "cpu":
        at_a_time = images_at_a_time(where)
    with Pipeline(detector, at_a_time, len(inputs.sources) if boxes is None else 0) as pipeline:
        run(Job(detector, chosen, saver, every, skip_existing, pipeline, boxes), inputs, json)


def shipped_model() -> Path:
    """The model that comes with the package.

    Raises:
        SppdetError: this installation has none.
    """
    path = Path(str(resources.files("sppdet") / "weights" / "detector.safetensors"))
    if not path.is_file():
        raise SppdetError("no model comes with this installation; train one and give it as --model")
    return path
