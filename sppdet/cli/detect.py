"""``sppdet detect``: pictures in, annotated pictures and JSON out."""

import json
import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sppdet.cli.options import Device, MaxPixels
from sppdet.errors import SppdetError

if TYPE_CHECKING:
    from sppdet.detections import Detections
    from sppdet.images import Rgb


def detect(
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the pictures and the JSON.")
    ] = Path("detections"),
    model: Annotated[
        Path | None,
        typer.Option(help="A file that tools/train.py wrote. Default: the model that ships."),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            help="Least probability of a detection, 0 to 1; apple=0.6 for one class, several times "
            "for several. Default: what training chose for each class."
        ),
    ] = None,
    max: Annotated[int, typer.Option("--max", min=1, help="Most detections in an image.")] = 100,
    max_pixels: MaxPixels = None,
    device: Device = None,
) -> None:
    """Find objects and draw them.

    For every image NAME.jpg, the output folder gets NAME.jpg with the detections drawn, and
    NAME.json.

    \b
    Example:
      python tools/detect.py photo.jpg --output found
    """
    from sppdet.cli.common import choose_device, images_at_a_time, limit_pixels
    from sppdet.cli.progress import console, finish_batch, progress_bar
    from sppdet.detector import Detector
    from sppdet.drawing import draw, save_picture
    from sppdet.images import read_image
    from sppdet.runtime.files import atomic_paths
    from sppdet.runtime.outputs import check_outputs
    from sppdet.runtime.threads import ordered_map

    files, empty = _files(images)
    items = list(zip(files, _output_names(files), strict=True))
    if any(path.is_dir() and output.exists() and output.samefile(path) for path in images):
        raise SppdetError(f"{output}: holds the images; choose another folder as --output")
    if output.exists() and not output.is_dir():
        raise SppdetError(f"{output}: is a file; --output names a folder")
    written = (output / f"{name}.{suffix}" for _, name in items for suffix in ("jpg", "json"))
    check_outputs(written, [*files, model])
    failures = list(empty)
    limit_pixels(max_pixels)
    where = choose_device(device)
    detector = Detector.load(model or shipped_model(), where)
    least = parse_thresholds(threshold or [], detector.classes)
    single = len(files) == 1
    workers = images_at_a_time(where) if not single else 1

    def work(item: tuple[Path, str]) -> "Detections | SppdetError":
        file, name = item
        try:
            image = read_image(file)
        except SppdetError as error:
            return error
        found = detector.detect(image, least)
        found = found.select(slice(0, max))  # type: ignore[arg-type]
        with atomic_paths(output / f"{name}.jpg", output / f"{name}.json") as (picture, text):
            save_picture(draw(image, found), picture)
            text.write_text(json.dumps(report(file, image, found), indent=1), encoding="utf-8")
        return found

    with progress_bar() as bar:
        task = bar.add_task("detecting", total=len(files), visible=not single)
        for file, found in zip(files, ordered_map(work, items, workers), strict=True):
            if isinstance(found, SppdetError):
                failures.append(str(found))
            elif single:
                _print(file, found)
            bar.advance(task)
    done = len(files) + len(empty) - len(failures)
    if not single:
        console.print(f"{done} images done, see {output}", markup=False, soft_wrap=True)
    if single and failures and len(images) == 1:
        raise SppdetError(failures[0])
    finish_batch(failures, len(files) + len(empty))


def parse_thresholds(given: list[str], classes: tuple[str, ...]) -> dict[str, float]:
    """``["0.5", "apple=0.6"]`` as thresholds of classes; a later entry wins over an earlier one.

    Raises:
        SppdetError: an entry is not a number from 0 to 1, or its class is unknown to the detector.
    """
    result: dict[str, float] = {}
    for text in given:
        name, equals, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise SppdetError(
                f"--threshold {text}: give a number from 0 to 1, or one for a class: apple=0.6"
            )
        if equals and name not in classes:
            raise SppdetError(
                f"--threshold {text}: the detector has no class {name!r}; it knows "
                f"{', '.join(classes)}"
            )
        result |= {name: value} if equals else dict.fromkeys(classes, value)
    return result


def report(file: Path, image: "Rgb", found: "Detections") -> dict[str, object]:
    """The JSON of one image."""
    return {
        "image": str(file),
        "width": image.shape[1],
        "height": image.shape[0],
        "detections": found.to_json(),
        "seconds": {name: round(value, 4) for name, value in found.seconds.items()},
    }


def shipped_model() -> Path:
    """The model that comes with the package.

    Raises:
        SppdetError: this installation has none.
    """
    path = Path(str(resources.files("sppdet") / "weights" / "detector.safetensors"))
    if not path.is_file():
        raise SppdetError("no model comes with this installation; train one and give it as --model")
    return path


def _files(given: list[Path]) -> tuple[list[Path], list[str]]:
    """The image files named, folders opened; and a line for each name that leads to none."""
    from sppdet.images import find_images

    files: list[Path] = []
    failures = []
    for path in given:
        if path.is_dir():
            inside = find_images(path)
            files += inside
            if not inside:
                failures.append(f"{path}: holds no images")
        else:
            files.append(path)
    if not files:
        raise SppdetError(failures[0])
    return list(dict.fromkeys(files)), failures


LONGEST_NAME = 200
"""Bytes of an output's name without its suffix; most file systems allow 255 in all."""


def _output_names(files: list[Path]) -> list[str]:
    """A name per file: its stem; where stems collide, the suffix or a number is added.

    Names that differ in their case only collide too, as on the file systems that ignore it. A very
    long stem is cut.
    """
    names: list[str] = []
    taken: set[str] = set()
    for file in files:
        name = _cut(file.stem)
        if name.casefold() in taken:
            name = _cut(file.name.replace(".", "_"))
        base, number = name, 2
        while name.casefold() in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name.casefold())
        names.append(name)
    return names


def _cut(name: str) -> str:
    content = os.fsencode(name)
    return (
        name if len(content) <= LONGEST_NAME else content[:LONGEST_NAME].decode("utf-8", "ignore")
    )


def _print(file: Path, found: "Detections") -> None:
    from sppdet.cli.progress import console
    from sppdet.runtime.names import visible

    for entry in found.to_json():
        box = ", ".join(f"{value:.0f}" for value in entry["box"])
        print(f"{visible(entry['label']):<16} {entry['score']:.2f}  [{box}]")
    stages = ", ".join(f"{name} {value:.3f}" for name, value in found.seconds.items())
    console.print(
        f"{file.name}: {len(found)} found; seconds: {stages}", markup=False, soft_wrap=True
    )
