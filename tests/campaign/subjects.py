"""Mutations of images and of data sets: kinds, each a function of a case.

A kind writes mutated files into the folder of the case and returns the works to do with them: words
of a command, or a function of the library.
"""

import importlib.util
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mutate import bomb, mutate_bytes, mutate_place, mutated
from PIL import Image

from sppdet.datasets.writers import WRITERS
from sppdet.images import image_size, read_image

ROOT = Path(__file__).resolve().parents[2]

Work = list[str] | Callable[[], Any]


def _samples() -> dict[str, tuple[str, dict[str, Any]]]:
    """Data sets of every format: those of the tests of the readers."""
    place = ROOT / "tests" / "datasets" / "test_mutations.py"
    spec = importlib.util.spec_from_file_location("samples", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SAMPLES


SAMPLES = _samples()
FOLDERS = {"kitti": "image_2", "supervisely": "ds/img", "voc": "JPEGImages"}
CLASSES = ("cat", "dog")


@dataclass(frozen=True)
class Case:
    """A random generator, a new folder for the input, and a folder for outputs beside it."""

    rng: random.Random
    folder: Path
    output: Path

    def write(self, name: str, content: bytes) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file


def picture(seed: int = 0, size: tuple[int, int] = (100, 80)) -> Image.Image:
    """Noise with a smooth part, so that every codec has something to do."""
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    noise[: size[1] // 2] = np.arange(size[0], dtype=np.uint8)[:, None]
    return Image.fromarray(noise)


def _encoded() -> dict[str, bytes]:
    small = picture(0, (48, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(np.arange(48 * 40, dtype=np.uint16).reshape(40, 48) * 30)
    plans: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "a.jpg": (small, "JPEG", {"exif": exif}),
        "b.jpg": (small, "JPEG", {"progressive": True}),
        "c.jpg": (small.convert("CMYK"), "JPEG", {}),
        "a.png": (small, "PNG", {"exif": exif}),
        "b.png": (small.quantize(20), "PNG", {"transparency": 3}),
        "c.png": (deep, "PNG", {}),
        "a.webp": (small, "WEBP", {}),
        "b.webp": (small, "WEBP", {"save_all": True, "append_images": [picture(1, (48, 40))]}),
        "a.bmp": (small, "BMP", {}),
        "a.tif": (small, "TIFF", {"compression": "tiff_lzw"}),
        "b.tif": (small, "TIFF", {"compression": "jpeg"}),
        "c.tiff": (deep, "TIFF", {"compression": "tiff_deflate", "exif": exif}),
        "a.gif": (small, "GIF", {"save_all": True, "append_images": [small]}),
        "a.ppm": (small, "PPM", {}),
    }
    encoded = {}
    for name, (image, kind, options) in plans.items():
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        encoded[name] = buffer.getvalue()
    return encoded


ENCODED = _encoded()
PLAIN = ENCODED["a.jpg"]


def images(case: Case) -> list[Work]:
    name = case.rng.choice(sorted(ENCODED))
    file = case.write(name, mutate_bytes(case.rng, ENCODED[name]))
    works: list[Work] = [partial(read_image, file), partial(image_size, file)]
    works.append(partial(read_image, file.read_bytes()))
    if case.rng.random() < 0.2:
        case.write("sound.jpg", PLAIN)
        works.append(["detect", str(case.folder), "--output", str(case.output / "found")])
    return works


def lay_out(case: Case, sample: str, change: bool = True) -> tuple[str, list[Path]]:
    format, files = SAMPLES[sample]
    written = []
    for name in ("a.jpg", "b.jpg"):
        buffer = io.BytesIO()
        picture(len(name)).save(buffer, "JPEG")
        folder = "." if sample == "labelme beside" else FOLDERS.get(format, "images")
        written.append(case.write(f"{folder}/{name}", buffer.getvalue()))
    victim = case.rng.choice(sorted(files)) if change else None
    for name, content in files.items():
        plain = content if isinstance(content, str | bytes) else json.dumps(content)
        raw = plain.encode("utf-8", "surrogatepass") if isinstance(plain, str) else plain
        written.append(case.write(name, mutated(case.rng, content) if name == victim else raw))
    return format, written


def _look(case: Case, format: str) -> list[Work]:
    """One of the commands that read a data set."""
    named = ["--format", format] if case.rng.random() < 0.5 else []
    named += ["--background"] if case.rng.random() < 0.2 else []
    where, to = str(case.folder), str(case.output / "set")
    choice = case.rng.randrange(4)
    if choice == 0:
        sheet = ["--contact-sheet", str(case.output / "sheet.png")]
        return [["data", "check", where, "--json", str(case.output / "c.json"), *sheet, *named]]
    written = ["--to", case.rng.choice(sorted(WRITERS)), *named]
    if choice == 1:
        return [["convert", where, to, *written], ["data", "check", to]]
    if choice == 2:
        return [["split", where, to, *written, "--test", "0.5"]]
    return [["data", "check", where, *named]]


def data_sets(case: Case) -> list[Work]:
    sample = case.rng.choice(sorted(SAMPLES))
    format, _ = lay_out(case, sample)
    return _look(case, format)


def pictures_in_data_sets(case: Case) -> list[Work]:
    format, written = lay_out(case, case.rng.choice(sorted(SAMPLES)), change=False)
    victim = next(file for file in written if file.suffix == ".jpg")
    victim.write_bytes(mutate_bytes(case.rng, case.rng.choice(sorted(ENCODED.values()))))
    return _look(case, format)


def places(case: Case) -> list[Work]:
    """Pipes, devices, loops, folders and odd names among the files of a data set."""
    if case.rng.random() < 0.3:
        for name in ("a.jpg", "b.png"):
            case.write(name, ENCODED[name])
        mutate_place(case.rng, case.folder / case.rng.choice(("a.jpg", "c.jpg", "d", "b.png")))
        return [["detect", str(case.folder), "--output", str(case.output / "found")]]
    format, written = lay_out(case, case.rng.choice(sorted(SAMPLES)), change=False)
    for file in case.rng.sample(written, 1 + (case.rng.random() < 0.3)):
        mutate_place(case.rng, file)
    for stray in ("classes.txt", "data.yaml", "x.json", "x.xml", "x.csv"):
        if case.rng.random() < 0.1 and not (case.folder / stray).exists():
            mutate_place(case.rng, case.folder / stray)
    return _look(case, format)


def names(case: Case) -> list[Work]:
    """Odd names of classes and of files, in formats that hold any text."""
    strange = (
        "../x", "/", "a/b", "", " ", ".", "..", "con", "a\nb", "\x1b[2J", "[/bold]", "é\u202e",
        "<b>", "n" * 300, "a,b", 'a"b', "'", "%41", "0", "\ud800", "名", "-x", "a:b", "a\0b",
        "x" * 100_000,
    )  # fmt: skip
    sample = case.rng.choice(("coco", "createml", "labelme beside", "csv", "via 2", "cvat"))
    format, written = lay_out(case, sample, change=False)
    file = next(one for one in written if one.suffix != ".jpg")
    old = case.rng.choice(("cat", "cat", "a.jpg"))
    new = case.rng.choice(strange)
    text = file.read_text("utf-8")
    if file.suffix == ".json":
        new = json.dumps(new)[1:-1]
    file.write_bytes(text.replace(old, new).encode("utf-8", "surrogatepass"))
    return _look(case, format)


def bombs(case: Case) -> list[Work]:
    """What grows in a careless parser, in every text of every format."""
    texts = [
        name
        for name in sorted(SAMPLES)
        if any(isinstance(v, str) for v in SAMPLES[name][1].values())
    ]
    format, written = lay_out(case, case.rng.choice(texts), change=False)
    file = case.rng.choice([one for one in written if one.suffix != ".jpg"])
    file.write_bytes(bomb(case.rng, file.read_text("utf-8")))
    return _look(case, format)
