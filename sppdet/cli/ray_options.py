"""Options of ``--engine ray``: which cluster, and what of it a worker gets."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from sppdet.cli.choices import ENGINES
from sppdet.cli.options import one_of
from sppdet.errors import SppdetError

if TYPE_CHECKING:
    from sppdet.scale.ray_training import RayWorkers

Address = Annotated[
    str | None,
    typer.Option(help="Ray's cluster, such as auto. Default: Ray is started on this machine."),
]
WorkerCpus = Annotated[
    int | None, typer.Option(min=1, help="Cores of each worker of --engine ray. Default: 1.")
]
TrainingEngine = Annotated[
    str | None,
    one_of(
        "--engine",
        ENGINES,
        "Let this engine give the work on the images to workers, on their CPUs. Choices",
    ),
]
TrainingWorkers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Images that are worked on at the same time. Default: one per core. With --engine ray "
        "this is the number of workers. Default: as many as fit into the cluster.",
    ),
]


def refuse(options: Mapping[str, object], why: str) -> None:
    """Raise SppdetError with the first of these options that has a value, and why it is wrong."""
    for name, value in options.items():
        if value:
            shown = name if value is True else f"{name} {value}"
            raise SppdetError(f"{shown}: {why}")


def training_workers(
    engine: str | None,
    address: str | None,
    workers: int | None,
    cpus: int | None,
    device: str | None,
    no_cache: bool,
) -> "AbstractContextManager[RayWorkers | None]":
    """A context manager: it gives the workers of a training, or None without an engine.

    Raises:
        SppdetError: an option does not go with the others, or Ray is not installed.
    """
    if engine is None:
        refuse({"--address": address, "--worker-cpus": cpus}, "needs --engine ray")
        return nullcontext()
    if device not in (None, "cpu"):
        raise SppdetError(f"--device {device}: with --engine ray the work is that of CPUs")
    refuse({"--no-cache": no_cache}, "is of one machine; set SPPDET_CACHE on each in its place")
    from sppdet.scale.packages import needed

    needed("ray", "--engine ray", "ray")
    from sppdet.scale.ray_cluster import Engine
    from sppdet.scale.ray_training import ray_workers

    return ray_workers(Engine(address, workers, cpus))
