"""``sppdet explain``: why a detector finds what it finds in a photograph."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sppdet.cli.options import Device, MaxPixels, Quiet, parse_box
from sppdet.errors import SppdetError

if TYPE_CHECKING:
    from sppdet.explaining import Explanation


def explain(
    model: Annotated[Path, typer.Argument(help="A file that tools/train.py wrote.")],
    image: Annotated[Path, typer.Argument(help="The photograph.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the picture and the JSON.")
    ] = Path("explanations"),
    threshold: Annotated[
        list[str] | None,
        typer.Option(help="Least probability of a detection, as for sppdet detect."),
    ] = None,
    max: Annotated[int, typer.Option("--max", min=1, help="Most detections, the best.")] = 10,
    box: Annotated[
        str | None,
        typer.Option(help="Explain this box instead, x1,y1,x2,y2 in pixels; with --class."),
    ] = None,
    label: Annotated[str | None, typer.Option("--class", help="The class of --box.")] = None,
    neighbours: Annotated[
        int, typer.Option(min=0, help="Nearest training examples of each kind to show.")
    ] = 3,
    quiet: Quiet = False,
    max_pixels: MaxPixels = None,
    device: Device = None,
) -> None:
    """Show what each part of an object adds to its score.

    The score of a linear SVM is its bias and the sum over the bins of the pyramid. For the image
    NAME.jpg, the output folder gets NAME.png, which draws the sum as grids and as a heat map, and
    NAME.json. A model that was trained with --keep-examples shows the nearest training examples
    too.

    \b
    Example:
      sppdet explain fruit.safetensors photo.jpg --output why
    """
    if (box is None) != (label is None):
        raise SppdetError("--box and --class belong together; give both, or neither")
    corners = parse_box(box) if box is not None else None

    from sppdet.cli.common import choose_device, limit_pixels
    from sppdet.cli.progress import console
    from sppdet.cli.thresholds import parse_thresholds
    from sppdet.detector import Detector
    from sppdet.drawing import save_picture
    from sppdet.explaining import check_explainable, explain_box
    from sppdet.explaining import explain as explain_detections
    from sppdet.explaining.picture import explanation_picture
    from sppdet.images import read_image
    from sppdet.runtime.files import atomic_paths, write_text
    from sppdet.runtime.outputs import check_outputs, keep_apart

    limit_pixels(max_pixels)
    if output.exists() and not output.is_dir():
        raise SppdetError(f"{output}: is a file; --output names a folder")
    picture, report = output / f"{image.stem}.png", output / f"{image.stem}.json"
    check_outputs([picture, report], [model, image])
    keep_apart(output, [image], "--output")
    explained: tuple[Explanation, ...]
    detector = Detector.load(model, choose_device(device))
    try:
        check_explainable(detector)
    except SppdetError as error:
        raise SppdetError(f"{model}: {error}") from None
    pixels = read_image(image)
    if corners is not None and label is not None:
        try:
            explained = (explain_box(detector, pixels, corners, label, neighbours=neighbours),)
        except ValueError as error:
            raise SppdetError(f"--box {box}: {error}") from None
    else:
        least = parse_thresholds(threshold or [], detector.classes)
        found = detector.detect(pixels, least)[:max]
        explained = explain_detections(detector, pixels, found, neighbours=neighbours)
    content = {
        "image": str(image),
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "explanations": [to_json(one) for one in explained],
    }
    with atomic_paths(picture, report) as (first, second):
        save_picture(explanation_picture(pixels, explained, detector.classes), first)
        write_text(second, json.dumps(content, indent=1) + "\n")
    for one in explained:
        sums = " ".join(f"{float(grid.sum()):+.3f}" for grid in one.grids())
        lowered = f"; lowered by {one.lowered:.3f}: it holds two others" if one.lowered else ""
        print(
            f"{one.label} {one.probability:.3f}: score {one.score:+.3f} = bias {one.bias:+.3f}, "
            f"levels {','.join(map(str, one.levels))}: {sums}{lowered}"
        )
    if not explained:
        console.print("nothing is found; lower --threshold, or give --box and --class")
    if detector.kept is None and neighbours:
        console.print(
            "note: the model keeps no training examples; train it with --keep-examples to see the "
            "nearest",
            soft_wrap=True,
        )
    console.print(f"see {picture} and {report}", soft_wrap=True)


def to_json(one: "Explanation") -> dict[str, Any]:
    """An explanation for a JSON file."""
    return {
        "label": one.label,
        "probability": one.probability,
        "score": one.score,
        "bias": one.bias,
        "lowered": one.lowered,
        "levels": list(one.levels),
        "parts": [grid.tolist() for grid in one.grids()],
        "box": list(one.box),
        "proposal": list(one.proposal),
        "window": list(one.window),
        "window_box": list(one.window_box),
        "map_rows": one.map_size[0],
        "map_columns": one.map_size[1],
        "seen_width": one.seen_size[0],
        "seen_height": one.seen_size[1],
        "neighbours": [
            {
                "positive": other.positive,
                "product": other.product,
                "image": other.image,
                "box": list(other.box),
            }
            for other in one.neighbours
        ],
    }
