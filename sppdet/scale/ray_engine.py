"""Ray Data as the engine: actors that load the detector once take part after part.

Ray gives parts to actors, starts actors that die again, and gives their parts to others. What a
part is, how it is written and what is missing stays with :mod:`sppdet.scale.parts`, so that a part
that is done twice has one file, and :mod:`sppdet.scale.merging` reads the output of any engine.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sppdet.errors import SppdetError
from sppdet.scale.packages import needed
from sppdet.scale.parts import Part, ShardFolder
from sppdet.scale.places import Place
from sppdet.scale.ray_cluster import Engine, connected, resources_of
from sppdet.scale.work import PART_IMAGES, parts_of, write_parts

ROUNDS = 4
"""Parts for each worker, at least, so that none waits long for the last one."""


@dataclass(frozen=True)
class Done:
    """A part that an actor has written.

    Attributes:
        part: the part.
        process: the number of the actor's process on its machine.
        peak: the most memory that this process has had, in bytes; 0 where it is not known.
    """

    part: Part
    process: int
    peak: int


class Worker:
    """An actor; ``model`` is a reference to the bytes of the detector's file."""

    def __init__(
        self, model: Any, folder: ShardFolder, source: Place, device: str, cpus: int
    ) -> None:
        import ray
        import torch
        from PIL import Image

        from sppdet.detector import Detector
        from sppdet.pipeline.stream import Pipeline

        torch.set_num_threads(1)
        if folder.setting.max_pixels is not None:
            Image.MAX_IMAGE_PIXELS = -(-folder.setting.max_pixels // 2)
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary) / "model.safetensors"
            file.write_bytes(ray.get(model))
            detector = Detector.load(file, device)
        self._pipeline = Pipeline(detector, cpus)
        self._folder, self._source = folder, source

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Do a part: ``batch["images"]`` is the JSON of its images and their names."""
        images = json.loads(str(batch["images"][0]))
        (part,) = write_parts(self._pipeline, self._folder, self._source, images, len(images))
        return {"part": [json.dumps(vars(part))], "process": [os.getpid()], "peak": [_peak()]}


def run(
    engine: Engine,
    model: bytes,
    folder: ShardFolder,
    source: Place,
    missing: Mapping[str, str],
    size: int | None = None,
) -> Iterator[Done]:
    """Do the images that are missing, with Ray.

    Args:
        engine: how.
        model: the bytes of the detector's file.
        folder: where parts go, a place that all machines of the cluster can write.
        source: the folder of images, which they can read.
        missing: for each image its name in ``source``.
        size: images of a part; None means :data:`~sppdet.scale.work.PART_IMAGES`, or fewer, so that
            every worker has :data:`ROUNDS` parts.

    Yields:
        The parts, as they are written.

    Raises:
        SppdetError: Ray is not installed or cannot be reached, or a part cannot be written.
    """
    ray = needed("ray", "--engine ray", "ray")
    data = needed("ray.data", "--engine ray", "ray")
    if not missing:
        return
    with connected(ray, engine.address):
        workers, cpus, gpus = resources_of(engine, ray.cluster_resources())
        if size is None:
            size = min(PART_IMAGES, max(len(missing) // (ROUNDS * workers), 1))
        parts = [
            {"images": json.dumps({image: missing[image] for image in part})}
            for part in parts_of(list(missing), size)
        ]
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        written = data.from_items(parts, override_num_blocks=len(parts)).map_batches(
            Worker,
            fn_constructor_args=(ray.put(model), folder, source, "cuda" if gpus else "cpu", cpus),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=min(workers, len(parts))),
            num_cpus=cpus,
            num_gpus=gpus,
        )
        try:
            for row in written.iter_rows():
                part = json.loads(row["part"])
                part["images"] = tuple(part["images"])
                yield Done(Part(**part), int(row["process"]), int(row["peak"]))
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            raise SppdetError(
                f"--engine ray: {cause}; what is done is kept, the same command goes on"
            ) from error


def _peak() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else most * 1024)
