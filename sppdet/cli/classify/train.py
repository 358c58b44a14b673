"""``sppdet classify train``: a folder of labelled images in, a classification network out."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sppdet.classification.settings import Augmentation, ClassifySettings, command_line
from sppdet.cli.choices import NETWORKS, POOLINGS, SCHEDULES, SIZE_ORDERS, STEMS
from sppdet.cli.classify.options import Data
from sppdet.cli.options import Device, NoCache, Quiet, one_of, parse_numbers
from sppdet.errors import SppdetError
from sppdet.runtime.words import counted

if TYPE_CHECKING:
    import torch
    from rich.progress import Progress

    from sppdet.classification.data import LabelledImages
    from sppdet.classification.distributed import Processes
    from sppdet.classification.training import Training

RUN_FILES = ("last.safetensors", "best.safetensors", "history.json", "curves.png", "summary.txt")
"""What a run writes, beside the folder of TensorBoard."""

BETWEEN_CURVES = 10.0
"""Seconds between two drawings of the curves: epochs on a GPU are shorter than a drawing."""


def train(
    data: Data,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder of the run. A run that is in it goes on."),
    ],
    network: Annotated[
        str,
        typer.Option(help=f"One of {', '.join(NETWORKS)}, or torchvision's name of a network."),
    ] = "small",
    levels: Annotated[
        str | None, typer.Option(help="Pyramid levels, such as 4,2,1 or 1,2,3,6.")
    ] = None,
    stem: Annotated[
        str,
        one_of(
            "--stem",
            STEMS,
            "First layers of a network of torchvision; cifar shrinks images of 32 px later. "
            "Choices",
        ),
    ] = "own",
    norm: Annotated[
        bool, typer.Option(help="Batch norms; without them spp5 and nin are as published.")
    ] = True,
    pooling: Annotated[
        str | None,
        one_of("--pooling", POOLINGS, "What a bin takes of its cells. Default: max. Choices"),
    ] = None,
    whiten: Annotated[
        bool,
        typer.Option(
            "--whiten", help="Contrast normalisation and ZCA whitening of images of one size."
        ),
    ] = False,
    epochs: Annotated[
        int, typer.Option(min=1, help="Epochs. A run that goes on may get another number.")
    ] = 20,
    batch: Annotated[int, typer.Option(min=2, help="Images per step.")] = 128,
    sizes: Annotated[
        str, typer.Option(help="Sides of the training images in pixels, such as 32 or 28,32.")
    ] = "32",
    size_order: Annotated[
        str,
        one_of(
            "--size-order",
            SIZE_ORDERS,
            "The next of --sizes is taken in each epoch, or drawn for each batch, or each size has "
            "its share of the epochs in rising order. Choices",
        ),
    ] = "epoch",
    test_size: Annotated[
        int | None,
        typer.Option(help="Shorter side of the test images in pixels. Default: as they are."),
    ] = None,
    rate: Annotated[float, typer.Option(help="Peak learning rate.")] = ClassifySettings.rate,
    warmup: Annotated[
        float, typer.Option(help="Part of the training in which the rate rises.")
    ] = ClassifySettings.warmup,
    schedule: Annotated[
        str, one_of("--schedule", SCHEDULES, "Course of the learning rate")
    ] = "cosine",
    momentum: Annotated[float, typer.Option(help="Momentum of SGD.")] = ClassifySettings.momentum,
    weight_decay: Annotated[
        float, typer.Option(help="Weight decay of SGD.")
    ] = ClassifySettings.weight_decay,
    label_smoothing: Annotated[float, typer.Option(help="Label smoothing; 0.1 is usual.")] = 0.0,
    dropout: Annotated[
        float, typer.Option(help="Probability of dropout in the network's own layers.")
    ] = 0.0,
    average: Annotated[
        float, typer.Option(help="Decay of the moving average of the weights. 0: no average.")
    ] = 0.0,
    smallest_crop: Annotated[
        float, typer.Option(help="Crops cover at least this part of the area. 1: no crops.")
    ] = Augmentation.smallest_crop,
    ratio: Annotated[
        float, typer.Option(min=1, help="Greatest ratio of a crop's longer to its shorter side.")
    ] = Augmentation.ratio,
    object_crops: Annotated[
        float, typer.Option(help="Part of the crops that is taken around the boxes in boxes.csv.")
    ] = 0.0,
    flip: Annotated[float, typer.Option(help="Probability of a mirror image.")] = 0.5,
    color: Annotated[float, typer.Option(help="Variation of the colours.")] = 0.0,
    shift: Annotated[
        int, typer.Option(help="Images move by up to this many pixels, with mirrored edges.")
    ] = 0,
    cutout: Annotated[
        int, typer.Option(help="Side in pixels of a square that is erased. 0: none.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal networks.")] = 0,
    device: Device = None,
    amp: Annotated[
        bool | None,
        typer.Option(help="Compute products in bfloat16. Default: on GPUs that have it."),
    ] = None,
    quiet: Quiet = False,
    no_cache: NoCache = False,
    stop_after: Annotated[int | None, typer.Option(help="Pause after so many epochs.")] = None,
) -> None:
    """Train a classification network.

    The same command, given again, goes on after an interruption. RUN gets last.safetensors (all
    that is needed to go on), best.safetensors, history.json, curves.png, summary.txt and
    tensorboard/.

    Several GPUs share each batch under torchrun --nproc-per-node N -m sppdet classify train ...

    \b
    Example:
      python tools/classify.py train cifar10 --network spp5 --output run
    """
    import torch

    from sppdet.classification.classifier import check_sizes, map_cells
    from sppdet.classification.data import open_split
    from sppdet.classification.distributed import join_processes, leave_processes
    from sppdet.classification.networks import pooling_of
    from sppdet.classification.report import summary
    from sppdet.cli.common import choose_device
    from sppdet.cli.progress import console, finish_batch
    from sppdet.cli.region_options import tell_repeats
    from sppdet.runtime.files import write_text
    from sppdet.runtime.outputs import MARK, check_outputs

    processes, where = join_processes(choose_device(device))
    console.quiet = console.quiet or not processes.first
    sides = parse_numbers(sizes, "--sizes", repeats=True)
    try:
        settings = ClassifySettings(
            network=network,
            levels=parse_numbers(levels, "--levels", "4,2,1") if levels else None,
            stem=stem,
            norm=norm,
            pooling=pooling_of(network, pooling),
            whiten=whiten,
            epochs=epochs,
            batch_size=batch,
            sizes=sides,
            size_order=size_order,
            test_size=test_size or (sides[0] if whiten else None),
            rate=rate,
            warmup=warmup,
            schedule=schedule,
            momentum=momentum,
            weight_decay=weight_decay,
            label_smoothing=label_smoothing,
            dropout=dropout,
            average=average,
            mixed_precision=_mixed_precision(amp, where),
            seed=seed,
            augmentation=Augmentation(
                smallest_crop, ratio, object_crops, flip, color, shift, cutout
            ),
        )
    except ValueError as error:
        raise SppdetError(str(error)) from None
    processes.part(batch)
    if processes.first:
        check_outputs(output / name for name in RUN_FILES)
    training_data, test_data = open_split(data, "train"), open_split(data, "test")
    if test_data.classes != training_data.classes:
        raise SppdetError(f"{data}: train and test have different classes (folders)")
    training = _start(
        output / "last.safetensors", settings, training_data.classes, where, processes
    )
    check_sizes(settings, len(test_data.classes), test_data)
    if settings.levels:
        tell_repeats(settings.levels, f"an image of {min(settings.sizes)} px", map_cells(settings))
    parameters = sum(p.numel() for p in training.network.parameters())
    console.print(
        f"{network}: {parameters:,} parameters, {counted(len(training_data), 'image')} of "
        f"{counted(len(training_data.classes), 'class', 'classes')} on {where}, "
        + counted(torch.get_num_threads(), "thread")
    )
    if processes.first:
        layers = summary(training.network, max(settings.sizes))
        write_text(output / "summary.txt", f"{MARK}: the layers of {network}\n{layers}\n")
    _run(training, training_data, test_data, output, stop_after)
    leave_processes()
    skipped = [*training_data.skipped.values(), *test_data.skipped.values()]
    finish_batch(skipped, len(training_data) + len(test_data))


def _mixed_precision(wanted: bool | None, device: "torch.device") -> bool:
    if wanted is not None:
        return wanted
    import torch

    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def _start(
    last: Path,
    settings: ClassifySettings,
    classes: tuple[str, ...],
    device: "torch.device",
    processes: "Processes",
) -> "Training":
    """A new training, or the one in the file, which may change its length and sizes only."""
    from sppdet.classification.training import Training
    from sppdet.cli.progress import console

    if not last.is_file():
        return Training(settings, classes, device, processes)
    training = Training.load(last, device, processes)
    found = training.settings
    same = replace(
        found, epochs=settings.epochs, sizes=settings.sizes, size_order=settings.size_order
    )
    if same != settings or training.classes != classes:
        raise SppdetError(
            f"{last.parent}: holds a run with other settings ({command_line(found)}); "
            "give those, or another --output"
        )
    console.print(f"going on after epoch {len(training.history)}")
    training.settings = settings
    return training


def _run(
    training: "Training",
    train_data: "LabelledImages",
    test_data: "LabelledImages",
    output: Path,
    stop_after: int | None,
) -> None:
    from sppdet.classification.report import TensorBoard, write_history
    from sppdet.cli.progress import progress_bar

    epochs = training.settings.epochs
    best = max((epoch.test_accuracy for epoch in training.history), default=-1.0)
    drawn = -float("inf")
    board = TensorBoard(output / "tensorboard") if training.processes.first else None
    with progress_bar() as bar:
        while not training.finished and len(training.history) != stop_after:
            title = f"epoch {len(training.history) + 1}/{epochs}"
            epoch = training.run_epoch(train_data, test_data, _steps(bar, title))
            if board is None:
                continue
            training.save(output / "last.safetensors")
            if epoch.test_accuracy > best:
                best = epoch.test_accuracy
                training.save(output / "best.safetensors")
            last = training.finished or len(training.history) == stop_after
            curves = last or time.monotonic() - drawn > BETWEEN_CURVES
            write_history(output, training.history, curves)
            drawn = time.monotonic() if curves else drawn
            board.add(epoch)
            bar.console.print(
                f"{time.strftime('%H:%M:%S')} epoch {epoch.number:3d}  {epoch.sizes} px  "
                f"train {epoch.train_loss:.3f} {epoch.train_accuracy:6.2%}  "
                f"test {epoch.test_loss:.3f} {epoch.test_accuracy:6.2%}  {epoch.seconds:.0f} s"
            )
    if board:
        board.close()


def _steps(bar: "Progress", title: str) -> Callable[[int, int, float, float], None]:
    task = bar.add_task(title)

    def report(step: int, steps: int, loss: float, accuracy: float) -> None:
        text = f"{title} {loss:.3f} {accuracy:.1%}"
        bar.update(task, total=steps, completed=step, description=text)
        if step == steps:
            bar.remove_task(task)

    return report
