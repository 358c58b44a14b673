"""``sppdet classify predict``: the most probable classes of photographs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sppdet.cli.classify.options import Checkpoint, View
from sppdet.cli.options import Device, Quiet
from sppdet.errors import SppdetError

if TYPE_CHECKING:
    import torch

    from sppdet.classification.classifier import Classifier


def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    checkpoint: Checkpoint,
    size: Annotated[
        int | None,
        typer.Option(help="Shorter side of the images in pixels. Default: the training's."),
    ] = None,
    view: View = None,
    top: Annotated[int, typer.Option(min=1, help="Classes to name per image.")] = 5,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the answers to this file.")
    ] = None,
    quiet: Quiet = False,
    device: Device = None,
) -> None:
    """Name the most probable classes of photographs.

    \b
    Example:
      python tools/classify.py predict cat.jpg --checkpoint run/last.safetensors
    """
    from sppdet.classification.classifier import load_classifier
    from sppdet.cli.common import choose_device
    from sppdet.cli.progress import finish_batch
    from sppdet.runtime.names import visible
    from sppdet.runtime.outputs import check_outputs, write_recorded

    check_outputs([json_file], [*images, checkpoint])
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
        shown = (f"{entry['label']} {entry['probability']:.1%}" for entry in named)
        print(*map(visible, (path, *shown)), sep="  ")
    if json_file:
        write_recorded(json_file, json.dumps(answers, indent=1) + "\n")
    finish_batch(failures, len(images), 1 if answers else 2)


def _scores(
    classifier: "Classifier",
    path: Path,
    side: int | None,
    view: int | None,
    device: "torch.device",
) -> "torch.Tensor":
    """The probabilities of all classes for one image, (classes,) float32 on the CPU."""
    import torch

    from sppdet.classification.batches import normalized, whole_image
    from sppdet.classification.image_sizes import scores_of
    from sppdet.classification.views import multi_view_scores
    from sppdet.images import read_image

    pixels = torch.from_numpy(whole_image(read_image(path), side).copy())
    batch = pixels.permute(2, 0, 1)[None].to(device, torch.float32) / 255
    batch = normalized(batch, classifier.preprocessing)
    with torch.inference_mode():
        if view:
            return multi_view_scores(classifier.network, batch, view, flip=True)[0].cpu()
        return scores_of(classifier.network, batch)[0].float().softmax(dim=0).cpu()
