"""``sppdet classify train|test|predict``: classification networks."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import Progress

from sppdet.classification.augment import Augmentation
from sppdet.classification.data import open_split
from sppdet.classification.training import ClassifySettings, Training
from sppdet.cli.common import choose_device, console, parse_numbers, progress_bar
from sppdet.errors import SppdetError
from sppdet.files import write_text

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.command()
def train(
    data: Annotated[str, typer.Argument(help="Folder with train/CLASS/IMAGE, or cifar10.")],
    output: Annotated[Path, typer.Option(help="Folder of the run; resumed if it has a state.")],
    network: Annotated[str, typer.Option(help="Name of the network.")] = "small",
    levels: Annotated[str | None, typer.Option(help="Pyramid, such as 4,2,1.")] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 20,
    batch: Annotated[int, typer.Option(min=2)] = 128,
    sizes: Annotated[str, typer.Option(help="Sides of the training images, in pixels.")] = "32",
    size_order: Annotated[str, typer.Option(help="epoch, batch or rising.")] = "epoch",
    test_size: Annotated[int | None, typer.Option(help="Shorter side in tests.")] = None,
    rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 0.1,
    warmup: Annotated[float, typer.Option(help="Part of the training.")] = 0.05,
    schedule: Annotated[str, typer.Option(help="cosine, linear or step.")] = "cosine",
    momentum: Annotated[float, typer.Option()] = 0.9,
    weight_decay: Annotated[float, typer.Option()] = 5e-4,
    label_smoothing: Annotated[float, typer.Option()] = 0.0,
    dropout: Annotated[float, typer.Option()] = 0.0,
    average: Annotated[float, typer.Option(help="Decay of the weights' average; 0: none.")] = 0.0,
    smallest_crop: Annotated[float, typer.Option(help="Part of the area; 1: no crops.")] = 0.4,
    object_crops: Annotated[float, typer.Option(help="Part of crops around boxes.csv.")] = 0.0,
    flip: Annotated[float, typer.Option(help="Probability of a mirror image.")] = 0.5,
    color: Annotated[float, typer.Option(help="Variation of the colours.")] = 0.0,
    seed: Annotated[int, typer.Option()] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...")] = None,
    stop_after: Annotated[int | None, typer.Option(help="Pause after so many epochs.")] = None,
) -> None:
    """Train a network; run the same command again to go on after an interruption."""
    where = choose_device(device)
    settings = ClassifySettings(
        network=network,
        levels=parse_numbers(levels, "--levels") if levels else None,
        epochs=epochs,
        batch_size=batch,
        sizes=parse_numbers(sizes, "--sizes"),
        size_order=size_order,
        test_size=test_size,
        rate=rate,
        warmup=warmup,
        schedule=schedule,
        momentum=momentum,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        dropout=dropout,
        average=average,
        seed=seed,
        augmentation=Augmentation(
            smallest_crop=smallest_crop, object_crops=object_crops, flip=flip, color=color
        ),
    )
    training_data, test_data = open_split(data, "train"), open_split(data, "test")
    last = output / "last.safetensors"
    if last.is_file():
        training = Training.load(last, where)
        if training.settings != settings:
            raise SppdetError(f"{output}: holds a run with other settings; give another --output")
    else:
        training = Training(settings, training_data.classes, where)
    console.print(
        f"{network}: {sum(p.numel() for p in training.network.parameters()):,} parameters, "
        f"{len(training_data)} images of {len(training_data.classes)} classes on {where}, "
        f"{torch.get_num_threads()} threads"
    )
    best = max((epoch.test_accuracy for epoch in training.history), default=-1.0)
    with progress_bar() as bar:
        while not training.finished and (stop_after is None or len(training.history) < stop_after):
            report = _steps(bar, f"epoch {len(training.history) + 1}/{epochs}")
            epoch = training.run_epoch(training_data, test_data, report)
            training.save(last)
            if epoch.test_accuracy > best:
                best = epoch.test_accuracy
                training.save(output / "best.safetensors")
            history = [asdict(e) for e in training.history]
            write_text(output / "history.json", json.dumps(history, indent=1))
            bar.console.print(
                f"{time.strftime('%H:%M:%S')} epoch {epoch.number:3d}  {epoch.sizes} px  "
                f"train {epoch.train_loss:.3f} {epoch.train_accuracy:6.2%}  "
                f"test {epoch.test_loss:.3f} {epoch.test_accuracy:6.2%}  {epoch.seconds:.0f} s"
            )


def _steps(bar: Progress, title: str):  # noqa: ANN202
    task = bar.add_task(title)

    def report(step: int, steps: int, loss: float, accuracy: float) -> None:
        bar.update(
            task, total=steps, completed=step, description=f"{title} {loss:.3f} {accuracy:.1%}"
        )
        if step == steps:
            bar.remove_task(task)

    return report


@app.command()
def version() -> None:
    """Print the version."""


def main() -> None:
    """Run the command line; errors are one line and exit code 2."""
    try:
        app()
    except SppdetError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        raise SystemExit(2) from None
