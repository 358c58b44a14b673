"""Training with Ray: actors work on the images, and what is learned stays in this process.

The first pass and every round of mining send the work out, with the weights of the round, and the
examples come back: at most a share of each image, or the hardest negatives of each. The products of
the examples and the SVMs are here. So the detector is that of one process, bit for bit, whatever
number of workers there is.
"""

import pickle
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from sppdet.datasets import Dataset
from sppdet.errors import SppdetError, SppdetWarning
from sppdet.features.regions import RegionExtractor
from sppdet.heads.layers import Layers
from sppdet.runtime.cache import is_private
from sppdet.scale.packages import needed
from sppdet.scale.ray_cluster import Engine, connected, resources_of
from sppdet.settings import TrainSettings
from sppdet.training.photograph import GivenProposals

AHEAD = 2
"""Images that are sent to each core of a worker before their results are asked for."""

RETRIES = 3
"""How often an image is given to a worker that was started again, before the training ends."""


class Worker:
    """An actor with the training images of its own, whose prepared images are on its machine."""

    def __init__(self, given: list[Any], max_pixels: int | None) -> None:
        """``given`` has a reference to what :meth:`RayWorkers.begin` is given."""
        import ray
        import torch
        from PIL import Image

        from sppdet.training.images import TrainingImages

        torch.set_num_threads(1)
        Image.MAX_IMAGE_PIXELS = max_pixels
        self._warned: list[str] = []
        self._told: set[Path] = set()
        warnings.showwarning = self._keep_warning  # type: ignore[assignment]
        dataset, extractor, settings, proposals = ray.get(given[0])
        self._images = TrainingImages(dataset, extractor, settings, lambda *_: None, proposals)
        self._through = self._images
        self._layers = 0

    def machine(self) -> str:
        """A name of the machine on which this runs."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def work(
        self, function: Callable[[Any], Any], layers: tuple[int, list[Any]], views: list[Any]
    ) -> tuple[list[Any], list[str], set[Path]]:
        """The results of the views of an image, and of what was warned and which files of prepared
        images were used since the last ones.

        ``layers`` has a number of its own and a reference in a list; 0 stands for no layers.
        """
        number, reference = layers
        if number != self._layers:
            import ray

            self._through = self._images.through(ray.get(reference[0])) if number else self._images
            self._layers = number
        results = self._through.work_on(function, views)
        warned, self._warned = self._warned, []
        files = self._images.stored_files.copy() - self._told  # other threads add to it
        self._told |= files
        return results, warned, files

    def clear(self, files: set[Path]) -> list[str]:
        """See :class:`sppdet.training.workers.Workers`; ``files`` are of workers that died, too."""
        self._images.stored_files.update(files)
        self._images.clear()
        return self._images.cache_lines()

    def _keep_warning(self, message: Warning | str, category: type[Warning], *_: Any) -> None:
        if issubclass(category, SppdetWarning):
            self._warned.append(str(message))


class RayWorkers:
    """The actors of a training; see :class:`sppdet.training.workers.Workers`.

    The views of an image go to one machine, which has them prepared, there to the actor that has
    the least to do.
    """

    def __init__(self, ray: Any, engine: Engine) -> None:
        self._ray = ray
        fit, self._cpus, _ = resources_of(
            replace(engine, workers=None, gpus=0), ray.cluster_resources()
        )
        self._count = min(engine.workers or fit, fit)
        if engine.workers is not None and engine.workers > fit:
            warnings.warn(
                f"--workers {engine.workers}: only {fit} fit on the cluster, which are used",
                SppdetWarning,
                stacklevel=2,
            )
        self._machines: list[list[Any]] = []
        self._pending: dict[Any, Any] = {}
        self._files: set[Path] = set()
        self._layers: tuple[Layers | None, tuple[int, list[Any]]] = None, (0, [])

    def begin(
        self,
        dataset: Dataset,
        extractor: RegionExtractor,
        settings: TrainSettings,
        proposals: GivenProposals | None,
    ) -> None:
        """See :class:`sppdet.training.workers.Workers`; the actors share the disk space.

        Raises:
            SppdetError: the trunk cannot be sent to workers, or the cache is to be left alone.
        """
        from PIL import Image

        if is_private():
            raise SppdetError(
                "--no-cache: is of one machine; with --engine ray set SPPDET_CACHE on each"
            )
        each = replace(settings, workers=1, store_bytes=settings.store_bytes // self._count)
        try:
            self._given = self._ray.put((dataset, extractor, each, proposals))
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise SppdetError(
                f"--engine ray: the trunk {extractor.trunk.name} cannot be sent to workers "
                f"({error}); train without it"
            ) from None
        actor = self._ray.remote(Worker).options(
            num_cpus=self._cpus,
            num_gpus=0,
            max_concurrency=self._cpus,
            max_restarts=-1,
            max_task_retries=RETRIES,
        )
        actors = [actor.remote([self._given], Image.MAX_IMAGE_PIXELS) for _ in range(self._count)]
        machines: dict[str, list[Any]] = {}
        for one, name in zip(actors, self._get([a.machine.remote() for a in actors]), strict=True):
            machines.setdefault(name, []).append(one)
        self._machines = list(machines.values())

    def map(
        self, work: Callable[[Any], Any], layers: Layers | None, images: Sequence[Any]
    ) -> Iterator[list[Any]]:
        """See :class:`sppdet.training.workers.Workers`."""
        shared, through = self._ray.put(work), self._numbered(layers)
        most = AHEAD * self._count * self._cpus
        waiting: deque[Any] = deque()
        rest = iter(images)
        try:
            while True:
                for views in islice(rest, most - len(waiting)):
                    actor = self._actor(views[0].index)
                    waiting.append(actor.work.remote(shared, through, views))
                    self._pending[waiting[-1]] = actor
                if not waiting:
                    return
                results, warned, files = self._get(waiting.popleft())
                self._files |= files
                for line in warned:
                    warnings.warn(line, SppdetWarning, stacklevel=2)
                yield results
        finally:
            for reference in waiting:
                self._pending.pop(reference, None)

    def clear(self) -> list[str]:
        """See :class:`sppdet.training.workers.Workers`. The lines are what could not be kept."""
        actors = [actor for machine in self._machines for actor in machine]
        lines = self._get([actor.clear.remote(self._files) for actor in actors])
        return list(dict.fromkeys(one for own in lines for one in own if one.startswith("note:")))

    def end(self) -> None:
        """Stop the actors."""
        for machine in self._machines:
            for actor in machine:
                self._ray.kill(actor)

    def _actor(self, index: int) -> Any:
        """The actor that gets the image of this number."""
        if self._pending:
            references = list(self._pending)
            done, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
            for reference in done:
                del self._pending[reference]
        busy = list(self._pending.values())
        return min(self._machines[index % len(self._machines)], key=busy.count)

    def _numbered(self, layers: Layers | None) -> tuple[int, list[Any]]:
        before, numbered = self._layers
        if layers is None:
            return 0, []
        if layers is not before:
            numbered = numbered[0] + 1, [self._ray.put(layers)]
            self._layers = layers, numbered
        return numbered

    def _get(self, references: Any) -> Any:
        try:
            return self._ray.get(references)
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            if isinstance(cause, SppdetError):
                raise cause from None
            raise SppdetError(
                f"--engine ray: {cause}; what is prepared is kept, the same command goes on"
            ) from error


@contextmanager
def ray_workers(engine: Engine) -> Iterator[RayWorkers]:
    """Workers for :func:`sppdet.training.train.train`, as long as the block lasts.

    Args:
        engine: how Ray works; GPUs are left alone.

    Raises:
        SppdetError: Ray is not installed or cannot be reached.
    """
    ray = needed("ray", "--engine ray", "ray")
    with connected(ray, engine.address):
        workers = RayWorkers(ray, engine)
        try:
            yield workers
        finally:
            workers.end()
