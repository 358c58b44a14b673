"""A cluster of Ray, and what of it workers get."""

import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sppdet.errors import SppdetError


@dataclass(frozen=True)
class Engine:
    """How Ray works.

    Attributes:
        address: of the cluster, such as ``auto``; None starts Ray on this machine.
        workers: actors; None means as many as fit on the cluster.
        cpus: cores of each, which is also the number of images it works on at the same time; None
            means 1, and on a GPU its share of the cores.
        gpus: of each, such as 0.25; None means 1 where the cluster has GPUs, and none elsewhere.
        device: "cpu" leaves GPUs alone; None takes them.
    """

    address: str | None = None
    workers: int | None = None
    cpus: int | None = None
    gpus: float | None = None
    device: str | None = None


@contextmanager
def connected(ray: Any, address: str | None) -> Iterator[None]:
    """Within a connection to Ray, which is ended if it was made here."""
    if ray.is_initialized():
        yield
        return
    local = {} if address else {"include_dashboard": False}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **local)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise SppdetError(
            f"--engine ray --address {address}: Ray cannot be reached ({error}); start it with "
            "ray start --head, or leave --address out"
        ) from None
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():  # Ray's own ends the process with code 15
            signal.signal(number, handler)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def resources_of(engine: Engine, there: Mapping[str, float]) -> tuple[int, int, float]:
    """Workers, cores and GPUs of each, on a cluster with these resources.

    Raises:
        SppdetError: one worker asks for more than the cluster has, and would wait for ever.
    """
    cores, cards = there.get("CPU", 1.0), there.get("GPU", 0.0)
    gpus = engine.gpus
    if gpus is None:
        gpus = 1.0 if cards and engine.device != "cpu" else 0.0
    fit = int(cards / gpus) if gpus else int(cores)
    for option, wanted, found in (("cpus", engine.cpus, cores), ("gpus", gpus, cards)):
        if wanted and wanted > found:
            raise SppdetError(
                f"--worker-{option} {wanted:g}: the cluster has {found:g}; ask for less"
            )
    cpus = engine.cpus or (max(int(cores / max(fit, 1)), 1) if gpus else 1)
    fit = min(fit, int(cores / cpus)) if gpus else int(cores / cpus)
    return engine.workers or max(fit, 1), cpus, gpus
