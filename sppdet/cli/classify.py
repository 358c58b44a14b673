"""``sppdet classify train|test|predict|export``: classification networks."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import Progress

from sppdet.classification.batches import normalized, whole_image
from sppdet.classification.classifier import Classifier, export_weights, load_classifier
from sppdet.classification.data import LabelledImages, open_split
from sppdet.classification.settings import command_line
from sppdet.classification.testing import evaluate
from sppdet.classification.views import Views, multi_view_scores
from sppdet.cli.classify_train import Data, Device, train
from sppdet.cli.common import choose_device, console, finish_batch, parse_numbers, progress_bar
from sppdet.errors import SppdetError
from sppdet.images import read_image
from sppdet.runtime.files import write_text

Checkpoint = Annotated[
    Path, typer.Option(help="RUN/best.safetensors, RUN/last.safetensors, or exported weights.")
]
View = Annotated[
    int | None,
    typer.Option(help="Side of views pooled from the map, in pixels; default: no views."),
]


def check(
    data: Data,
    checkpoint: Checkpoint,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here.")
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            help="Shorter sides, each tested; with --view they vote. Default: training's."
        ),
    ] = None,
    view: View = None,
    device: Device = None,
) -> None:
    """Test on whole images of any size, or on many views pooled from one map per image.

    Example: [bold]python tools/classify.py test cifar10 --checkpoint run/last.safetensors[/bold]
    """
    where = choose_device(device)
    classifier = load_classifier(checkpoint, where)
    images = open_split(data, "test")
    if images.classes != classifier.classes:
        raise SppdetError(f"{data}: its classes are not those that {checkpoint} was trained on")
    sides = parse_numbers(sizes, "--sizes") if sizes else (classifier.test_size,)
    results = {}
    with progress_bar() as bar:
        if view:
            views = _views(sides, view)
            results["views"] = _evaluate(bar, classifier, images, None, views, where)
        else:
            for side in sides:
                key = "as they are" if side is None else str(side)
                results[key] = _evaluate(bar, classifier, images, side, None, where)
    for key, result in results.items():
        print(f"{key:>12}  top-1 {result['top1']:.2%}  top-5 {result['top5']:.2%}")
    if json_file:
        first = next(iter(results.values()))
        report = {**first, "checkpoint": str(checkpoint), "view": view, "sizes": results}
        write_text(json_file, json.dumps(report, indent=1) + "\n")


def _evaluate(
    bar: Progress,
    classifier: Classifier,
    images: LabelledImages,
    side: int | None,
    views: Views | None,
    device: torch.device,
) -> dict[str, float]:
    task = bar.add_task("views" if views else f"{side or 'own size'}")
    result = evaluate(
        classifier.network,
        images,
        classifier.preprocessing,
        side,
        device,
        views=views,
        listener=lambda done, total: bar.update(task, completed=done, total=total),
    )
    return result.to_dict()


def _views(sides: Sequence[int | None], view: int) -> Views:
    known = tuple(side for side in sides if side is not None)
    if not known:
        raise SppdetError("--view: give --sizes too, the sides at which the images are seen")
    return Views(known, view)


def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    checkpoint: Checkpoint,
    size: Annotated[
        int | None, typer.Option(help="Shorter side in pixels; default: the training's.")
    ] = None,
    view: View = None,
    top: Annotated[int, typer.Option(min=1, help="Classes to name per image.")] = 5,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the answers here.")
    ] = None,
    device: Device = None,
) -> None:
    """Name the most probable classes of photographs.

    Example: [bold]python tools/classify.py predict cat.jpg --checkpoint run/last.safetensors[/bold]
    """
    where = choose_device(device)
    classifier = load_classifier(checkpoint, where)
    answers, failures = [], []
    for path in images:
        try:
            scores = _scores(classifier, path, size or classifier.test_size, view, where)
        except SppdetError as error:
            failures.append(str(error))
            continue
        values, indices = scores.topk(min(top, len(scores)))
        named = [
            {"label": classifier.classes[i], "probability": round(p, 6)}
            for p, i in zip(values.tolist(), indices.tolist(), strict=True)
        ]
        answers.append({"image": str(path), "classes": named})
        print(path, *(f"{entry['label']} {entry['probability']:.1%}" for entry in named), sep="  ")
    if json_file:
        write_text(json_file, json.dumps(answers, indent=1) + "\n")
    finish_batch(failures, len(images))


@torch.inference_mode()
def _scores(
    classifier: Classifier, path: Path, side: int | None, view: int | None, device: torch.device
) -> torch.Tensor:
    pixels = torch.from_numpy(whole_image(read_image(path), side).copy())
    batch = pixels.permute(2, 0, 1)[None].to(device, torch.float32) / 255
    batch = normalized(batch, classifier.preprocessing)
    if view:
        return multi_view_scores(classifier.network, batch, view, flip=True)[0].cpu()
    output = classifier.network(batch)
    return getattr(output, "logits", output)[0].float().softmax(dim=0).cpu()


def export(
    checkpoint: Checkpoint,
    output: Annotated[Path, typer.Option(help="The safetensors file to write.")],
    data: Annotated[str, typer.Option(help="What it was trained on, in words.")] = "",
    command: Annotated[str, typer.Option(help="Default: made from the settings.")] = "",
    top1: Annotated[str, typer.Option(help="Accuracy to note, in words.")] = "",
    commit: Annotated[str, typer.Option(help="Version of the code to note.")] = "",
) -> None:
    """Write the weights alone, in half precision, for use as a classifier or a trunk.

    Example: [bold]python tools/classify.py export --checkpoint run/last.safetensors --output
    weights.safetensors[/bold]
    """
    classifier = load_classifier(checkpoint, torch.device("cpu"))
    notes = {
        "origin": f"trained from scratch by sppdet on {data}" if data else "trained by sppdet",
        "data": data,
        "command": command or command_line(classifier.settings),
        "top1": top1,
        "commit": commit,
    }
    export_weights(classifier, output, {key: text for key, text in notes.items() if text})
    console.print(f"{output}: {output.stat().st_size / 1e6:.2f} MB", markup=False)


COMMANDS = {"train": train, "test": check, "predict": predict, "export": export}


def make_app() -> typer.Typer:
    """The four commands as one program."""
    from sppdet.cli.app import guarded

    app = typer.Typer(
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        help="Classification networks with spatial pyramid pooling.",
    )
    for name, command in COMMANDS.items():
        app.command(name)(guarded(command))
    return app


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> None:
    """The script tools/classify.py, and ``sppdet classify``."""
    make_app()(list(sys.argv[1:] if arguments is None else arguments), prog_name=program)
