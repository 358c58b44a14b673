"""``sppdet export``: a detector without the search as a file of ONNX."""

from pathlib import Path
from typing import Annotated

import typer

from sppdet.cli.choices import EXPORT_TARGETS
from sppdet.cli.options import Quiet, one_of


def export(
    model: Annotated[Path, typer.Argument(help="A file that tools/train.py wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    to: Annotated[str, one_of("--to", EXPORT_TARGETS, "Format to write")] = "onnx",
    quiet: Quiet = False,
) -> None:
    """Write a detector for onnxruntime: image and boxes in, probabilities and moved boxes out.

    The search for boxes and the suppression are the caller's. The detector is SPP-net with one
    scale.

    \b
    Example:
      sppdet export fruit.safetensors --to onnx --output fruit.onnx
    """
    from sppdet.cli.progress import console
    from sppdet.detector import Detector
    from sppdet.export import export_onnx
    from sppdet.runtime.outputs import check_outputs

    check_outputs([output], [model])
    detector = Detector.load(model, "cpu")
    export_onnx(detector, output)
    console.print(
        f"{output}: {output.stat().st_size / 1e6:.1f} MB, finds {', '.join(detector.classes)}",
        markup=False,
        soft_wrap=True,
    )
