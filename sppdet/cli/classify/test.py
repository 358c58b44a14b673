"""``sppdet classify test``: how often a classification network is right."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sppdet.cli.classify.options import Checkpoint, Data, View
from sppdet.cli.options import Device, JsonFile, NoCache, Quiet, parse_numbers
from sppdet.errors import SppdetError

if TYPE_CHECKING:
    import torch
    from rich.progress import Progress

    from sppdet.classification.classifier import Classifier
    from sppdet.classification.data import LabelledImages
    from sppdet.classification.views import Views


def check(
    data: Data,
    checkpoint: Checkpoint,
    json_file: JsonFile = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            help="Shorter sides of the test images in pixels. Each is tested, or all vote with "
            "--view. Default: the training's."
        ),
    ] = None,
    view: View = None,
    quiet: Quiet = False,
    no_cache: NoCache = False,
    device: Device = None,
) -> None:
    """Test a classification network.

    It sees whole images of any size, or many views that are pooled from one feature map per
    image.

    \b
    Example:
      python tools/classify.py test cifar10 --checkpoint run/last.safetensors
    """
    from sppdet.classification.classifier import load_classifier
    from sppdet.classification.data import open_split
    from sppdet.cli.common import choose_device
    from sppdet.cli.progress import finish_batch, progress_bar
    from sppdet.runtime.files import write_text
    from sppdet.runtime.outputs import check_outputs

    check_outputs([json_file], [checkpoint])
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
    finish_batch(list(images.skipped.values()), len(images))


def _evaluate(
    bar: "Progress",
    classifier: "Classifier",
    images: "LabelledImages",
    side: int | None,
    views: "Views | None",
    device: "torch.device",
) -> dict[str, float]:
    from sppdet.classification.testing import evaluate

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


def _views(sides: Sequence[int | None], view: int) -> "Views":
    from sppdet.classification.views import Views

    known = tuple(side for side in sides if side is not None)
    if not known:
        raise SppdetError("--view: give --sizes too, the sides at which the images are seen")
    return Views(known, view)
