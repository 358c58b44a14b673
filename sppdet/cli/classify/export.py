"""``sppdet classify export``: the weights of a classification network alone."""

from pathlib import Path
from typing import Annotated

import typer

from sppdet.cli.classify.options import Checkpoint
from sppdet.cli.options import Quiet


def export(
    checkpoint: Checkpoint,
    output: Annotated[Path, typer.Option("--output", "-o", help="The safetensors file to write.")],
    data: Annotated[str, typer.Option(help="What it was trained on, to note in words.")] = "",
    command: Annotated[
        str,
        typer.Option(help="The command of the training to note. Default: made from its settings."),
    ] = "",
    top1: Annotated[str, typer.Option(help="The accuracy to note, in words.")] = "",
    commit: Annotated[str, typer.Option(help="The version of the code to note.")] = "",
    quiet: Quiet = False,
) -> None:
    """Write the weights of a classification network alone.

    They are written in half precision, for use as a classifier or as a trunk.

    \b
    Example:
      python tools/classify.py export --checkpoint run/last.safetensors -o weights.safetensors
    """
    import torch

    from sppdet.classification.classifier import export_weights, load_classifier
    from sppdet.classification.settings import command_line
    from sppdet.cli.progress import console
    from sppdet.runtime.outputs import check_outputs

    check_outputs([output], [checkpoint])
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
