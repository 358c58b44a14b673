"""``sppdet info``: what a detector's file holds, and what is known about its training."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sppdet.cli.options import JsonFile, Quiet
from sppdet.errors import SppdetError
from sppdet.runtime.words import counted

if TYPE_CHECKING:
    from rich.console import Console

    from sppdet.detector import Detector


def info(
    model: Annotated[Path, typer.Argument(help="A file that tools/train.py wrote.")],
    json_file: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Show the card of a detector: classes, features, thresholds, and its honest precision.

    The average precision is that of folds of the training images: each image is looked at with SVMs
    and box regression that have not learned from it.

    \b
    Example:
      sppdet info fruit.safetensors
    """
    from sppdet.cli.progress import PlainConsole
    from sppdet.detector import Detector
    from sppdet.runtime.outputs import check_outputs

    check_outputs([json_file], [model])
    detector = Detector.load(model, "cpu")
    out = PlainConsole()
    out.print(f"{model}: {detector!r}", markup=False, soft_wrap=True)
    features = describe(detector)["features"]
    out.print(f"features: {feature_words(features)}", markup=False, soft_wrap=True)
    card = detector.card
    try:
        if "data" in card:
            data = card["data"]
            out.print(
                f"trained on {data['name']} ({counted(data['images'], 'image')}, "
                f"{counted(data['objects'], 'object')}, "
                f"digest {data['digest']}) on {card['date']} with sppdet {card['version']}",
                markup=False,
                soft_wrap=True,
            )
        tell_card(detector, out)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SppdetError(
            f"{model}: its card is not one that training writes ({error!r}); train it again"
        ) from None
    if json_file is not None:
        write_description(detector, json_file)


def write_description(detector: "Detector", path: Path) -> None:
    """Write :func:`describe` to a JSON file."""
    from sppdet.runtime.files import write_text

    write_text(path, json.dumps(describe(detector), indent=1) + "\n")


def describe(detector: "Detector") -> dict[str, Any]:
    """The card with what the file itself says."""
    from sppdet.features.regions import with_defaults

    trunk = detector.extractor.trunk
    return {
        "classes": list(detector.classes),
        "thresholds": dict(zip(detector.classes, detector.thresholds, strict=True)),
        "trunk": {"name": trunk.name, "origin": trunk.origin, "digest": trunk.digest},
        "features": with_defaults(detector.extractor.to_json()),
        "heads": detector.scorer.name,
        "card": detector.card,
    }


def feature_words(features: Mapping[str, Any]) -> str:
    """The settings of region features, as :func:`describe` gives them, in words."""
    from sppdet.features.pyramid import bin_count

    levels = features["levels"]
    pyramid = f"pyramid levels {','.join(map(str, levels))} ({counted(bin_count(levels), 'bin')}), "
    pyramid += f"{features['pooling']} pooling"
    if features["normalize_levels"]:
        pyramid += ", each level scaled to norm 1"
    if features["method"] == "rcnn":
        crops = f"{features['mode']} crops of {features['size']} px"
        return f"R-CNN, {crops}, context {features['context']} px; {pyramid}"
    scales = f"scales {','.join(map(str, features['scales']))} px"
    longest = f"longer side at most {features['longest_side']} px"
    return f"SPP-net, {scales}, {longest}; {pyramid}; window mapping {features['mapping']}"


def tell_card(detector: "Detector", out: "Console") -> None:
    """Print the figures of the folds and the thresholds, a line for each class; and the history."""
    told: set[str] = set()
    if "folds" in detector.card:
        told |= _tell_folds(detector.card["folds"], detector.classes, out)
    for event in detector.card.get("history", ()):
        out.print(_sentence(event), markup=False, soft_wrap=True)
        if event.get("folds"):
            told |= _tell_folds(event["folds"], detector.classes, out)
    rest = [name for name in detector.classes if name not in told]
    if rest:
        out.print("no figures of folds are stored; thresholds:", markup=False)
        thresholds = dict(zip(detector.classes, detector.thresholds, strict=True))
        for name in rest:
            out.print(f"  {name:<20} {thresholds[name]:.2f}", markup=False)


def _tell_folds(folds: Mapping[str, Any], classes: Sequence[str], out: "Console") -> set[str]:
    """Print the figures of the classes that the detector still has; returns their names."""
    from sppdet.training.folds import FEW

    own = {name: one for name, one in folds["classes"].items() if name in classes}
    if not own:
        return set()
    out.print(
        f"on folds of {counted(folds['images'], 'training image')}, not learned from: mean AP "
        f"{_figure(folds['map_11'])} (11 points), {_figure(folds['map_area'])} (area), IoU "
        f"{folds['iou']}",
        markup=False,
        soft_wrap=True,
    )
    for name, one in own.items():
        few = "  too few objects to trust" if one["objects"] < FEW else ""
        out.print(
            f"  {name:<20} AP {_figure(one['ap_11'])}  {one['objects']:>5} objects  "
            f"threshold {one['threshold']:.2f} (F1 {one['f1']:.2f}){few}",
            markup=False,
            soft_wrap=True,
        )
    return set(own)


def _sentence(event: Mapping[str, Any]) -> str:
    """An entry of the history in one line."""
    what = event["what"]
    if what == "renamed":
        said = f"{event['old']} is now called {event['new']}"
    else:
        said = f"{what} {', '.join(event['classes'])}"
    data = event.get("data")
    source = f", trained on {data['name']} ({counted(data['images'], 'image')})" if data else ""
    return f"{event['date']}, sppdet {event['version']}: {said}{source}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
