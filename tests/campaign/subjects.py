"""What is mutated and what then reads it: a list of kinds, each a function of a case.

A kind writes mutated files into the folder of the case and returns the works to do with them: words
of a command, or a function of the library.
"""

import importlib.util
import io
import json
import os
import random
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from mutate import bomb, mutate_bytes, mutate_json, mutate_place, mutated
from PIL import Image

from sppdet.benchmark.proposal_file import read_proposals
from sppdet.classification.networks import build_network
from sppdet.classification.settings import ClassifySettings
from sppdet.classification.training import Training
from sppdet.datasets.writers import WRITERS
from sppdet.images import image_size, read_image
from sppdet.proposals.cache import ProposalCache
from sppdet.runtime.tensor_files import CHECKSUM, checksum
from sppdet.trunks import load_trunk

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "sppdet" / "weights" / "detector.safetensors"
TRUNK = ROOT / "sppdet" / "weights" / "small.safetensors"

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


def _lay_out(case: Case, sample: str, change: bool = True) -> tuple[str, list[Path]]:
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
    format, _ = _lay_out(case, sample)
    return _look(case, format)


def pictures_in_data_sets(case: Case) -> list[Work]:
    format, written = _lay_out(case, case.rng.choice(sorted(SAMPLES)), change=False)
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
    format, written = _lay_out(case, case.rng.choice(sorted(SAMPLES)), change=False)
    for file in case.rng.sample(written, 1 + (case.rng.random() < 0.3)):
        mutate_place(case.rng, file)
    for stray in ("classes.txt", "data.yaml", "x.json", "x.xml", "x.csv"):
        if case.rng.random() < 0.1 and not (case.folder / stray).exists():
            mutate_place(case.rng, case.folder / stray)
    return _look(case, format)


def results(case: Case) -> list[Work]:
    """Detections of other programs beside a sound data set."""
    data = case.folder / "data"
    inner = Case(case.rng, data, case.output)
    _lay_out(inner, "coco", change=False)
    kind = case.rng.choice(("coco", "voc", "text", "sppdet"))
    coco = [
        {"image_id": 1, "category_id": 2, "bbox": [10, 20, 30, 40], "score": 0.9},
        {"image_id": 1, "category_id": 3, "bbox": [1, 2, 29, 38], "score": 0.01},
    ]
    found = {
        "image": "a.jpg",
        "width": 100,
        "height": 80,
        "detections": [{"label": "cat", "score": 0.9, "box": [10, 20, 40, 60]}],
        "seconds": {"total": 0.1},
    }
    boxes = case.rng.choice(("xyxy", "xywh", "cxcywh", "yolo"))
    place = case.folder / "results"
    if kind == "coco":
        place = case.write("results.json", mutated(case.rng, coco))
    elif kind == "voc":
        case.write("results/comp4_det_val_cat.txt", mutated(case.rng, "a 0.9 11 21 40 60\n" * 3))
    elif kind == "text":
        case.write("results/a.txt", mutated(case.rng, "cat 0.9 10 20 40 60\ndog .1 1 2 3 4\n"))
    else:
        case.write("results/a.json", mutated(case.rng, found))
    if case.rng.random() < 0.1 and place.is_dir():
        mutate_place(case.rng, case.rng.choice(sorted(place.iterdir())))
    words = ["evaluate", str(data), "--results", str(place), "--boxes", boxes, "--intervals", "20"]
    words += ["--json", str(case.output / "ap.json")]
    words += ["--coco"] if case.rng.random() < 0.3 else []
    words += ["--report", str(case.output / "report")] if case.rng.random() < 0.1 else []
    if case.rng.random() < 0.5:
        kind = case.rng.choice(("coco", "voc", "text"))
        name = "out.json" if kind == "coco" else "out"
        words += ["--export", str(case.output / name), "--export-format", kind]
    return [words]


def proposals(case: Case) -> list[Work]:
    content = {"a.jpg": [[1, 2, 30, 40], [0, 0, 99, 79]], "b.jpg": [[5.5, 6, 30, 40]]}
    file = case.write("boxes.json", mutated(case.rng, content))
    if case.rng.random() < 0.05:
        mutate_place(case.rng, file)
    return [partial(read_proposals, file, [case.folder / name for name in content])]


def _repacked(rng: random.Random, content: bytes, texts: tuple[str, ...]) -> bytes:
    """A safetensors file with changed metadata or tensors, and a checksum that fits."""
    tensors = safetensors.torch.load(content)
    size = int.from_bytes(content[:8], "little")
    told = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    told.pop(CHECKSUM, None)
    if rng.random() < 0.75:
        key = rng.choice(texts)
        if key in told and told[key][:1] in "{[":
            told[key] = json.dumps(mutate_json(rng, json.loads(told[key])))
        else:
            told[key] = mutated(rng, told.get(key, "x")).decode("utf-8", "replace")
    else:
        name = rng.choice(sorted(tensors))
        tensor = tensors[name]
        tensors[name] = rng.choice(
            (
                lambda: tensor[:1].clone(),
                lambda: tensor.reshape(-1).clone(),
                lambda: tensor.double() * 1e30,
                lambda: tensor.to(torch.int32),
                lambda: torch.zeros(0),
                lambda: (
                    torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else tensor
                ),
                lambda: tensor[None].clone(),
                lambda: tensor.to(torch.complex64) if tensor.is_floating_point() else tensor,
                lambda: tensor.bool(),
            )
        )()
        if rng.random() < 0.3:
            tensors[rng.choice(("", "x", "trunk.x", name * 3))] = tensors.pop(name)
    told = {str(key): str(value) for key, value in told.items()}
    if rng.random() < 0.8:
        told[CHECKSUM] = checksum(tensors, told)
    return safetensors.torch.save(tensors, told)


def _safetensors(rng: random.Random, content: bytes, texts: tuple[str, ...]) -> bytes:
    if rng.random() < 0.5:
        try:
            return _repacked(rng, content, texts)
        except (UnicodeEncodeError, RuntimeError):  # what cannot be written is another case
            pass
    size = int.from_bytes(content[:8], "little")
    if rng.random() < 0.4:  # the header alone, with a length that fits
        header = mutated(rng, json.loads(content[8 : 8 + size]))
        return len(header).to_bytes(8, "little") + header + content[8 + size :]
    head = mutate_bytes(rng, content[: 8 + size])
    return head + content[8 + size :] if rng.random() < 0.7 else mutate_bytes(rng, content)


def models(case: Case) -> list[Work]:
    content = _safetensors(case.rng, MODEL.read_bytes(), ("sppdet", "sppdet", "sppdet", "x"))
    file = case.write("model.safetensors", content)
    photo = case.write("photo.jpg", PLAIN)
    to = ["--output", str(case.output / "found")]
    return [
        ["info", str(file), "--json", str(case.output / "info.json")],
        ["detect", str(photo), "--model", str(file), *to],
    ]


def weights(case: Case) -> list[Work]:
    rng = case.rng
    if rng.random() < 0.6:
        texts = ("preprocessing", "preprocessing", "origin", "format")
        file = case.write("w.safetensors", _safetensors(rng, TRUNK.read_bytes(), texts))
    else:
        state = {"features.0.weight": torch.zeros(3, 2), "n": torch.tensor(1)}
        wrapped = rng.choice((state, {"model": state, "epoch": 1}, {"state_dict": {"x": state}}))
        buffer = io.BytesIO()
        torch.save(wrapped, buffer, _use_new_zipfile_serialization=rng.random() < 0.5)
        file = case.write("w.pth", mutate_bytes(rng, buffer.getvalue()))
    if rng.random() < 0.03:
        mutate_place(rng, file)
    trunk = rng.choice(("small", "small", "lite0"))
    return [partial(load_trunk, trunk, str(file), "cpu")]


_CHECKPOINT: list[bytes] = []


def _checkpoint() -> bytes:
    if not _CHECKPOINT:
        place = Path(os.environ["SPPDET_CACHE"]) / "campaign.safetensors"
        place.parent.mkdir(parents=True, exist_ok=True)
        settings = ClassifySettings(network="small", epochs=1, batch_size=2, sizes=(32,))
        Training(settings, CLASSES, torch.device("cpu")).save(place)
        _CHECKPOINT.append(place.read_bytes())
    return _CHECKPOINT[0]


def classifiers(case: Case) -> list[Work]:
    content = _safetensors(case.rng, _checkpoint(), ("about", "about", "about", "format"))
    file = case.write("last.safetensors", content)
    photo = case.write("photo.jpg", PLAIN)
    if case.rng.random() < 0.3:
        return [partial(Training.load, file, torch.device("cpu"))]
    return [["classify", "predict", str(photo), "--checkpoint", str(file)]]


def classified_images(case: Case) -> list[Work]:
    """A classification data set with a mutated image, table of boxes, or place."""
    files = []
    for part in ("train", "test"):
        for name in CLASSES:
            for image in ("a.png", "b.png"):
                files.append(case.write(f"{part}/{name}/{image}", ENCODED["a.png"]))
    table = "path,xmin,ymin,xmax,ymax\n" + "".join(
        f"{file.relative_to(case.folder).as_posix()},1,1,20,20\n" for file in files
    )
    boxes = case.write("boxes.csv", table.encode())
    victim = case.rng.choice([*files, boxes, boxes])
    if case.rng.random() < 0.2:
        mutate_place(case.rng, victim)
    elif victim == boxes:
        boxes.write_bytes(mutated(case.rng, table))
    else:
        victim.write_bytes(mutate_bytes(case.rng, case.rng.choice(sorted(ENCODED.values()))))
    from sppdet.classification.data import open_split

    return [partial(open_split, case.folder, part) for part in ("train", "test")]


def caches(case: Case) -> list[Work]:
    """A damaged entry of a cache is made again: the proposals are those without a cache."""
    pixels = np.asarray(picture(case.rng.randrange(3)))
    folder = case.output / "proposals"
    expected = ProposalCache(folder).get(pixels, "fast", 50)
    entry = next(folder.rglob("*.boxes"))
    entry.write_bytes(mutate_bytes(case.rng, entry.read_bytes()))

    def again() -> None:
        np.testing.assert_array_equal(ProposalCache(folder).get(pixels, "fast", 50), expected)

    return [again, ["cache", "info"]]


def names(case: Case) -> list[Work]:
    """Odd names of classes and of files, in formats that hold any text."""
    strange = (
        "../x", "/", "a/b", "", " ", ".", "..", "con", "a\nb", "\x1b[2J", "[/bold]", "é\u202e",
        "<b>", "n" * 300, "a,b", 'a"b', "'", "%41", "0", "\ud800", "名", "-x", "a:b", "a\0b",
        "x" * 100_000,
    )  # fmt: skip
    sample = case.rng.choice(("coco", "createml", "labelme beside", "csv", "via 2", "cvat"))
    format, written = _lay_out(case, sample, change=False)
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
    format, written = _lay_out(case, case.rng.choice(texts), change=False)
    file = case.rng.choice([one for one in written if one.suffix != ".jpg"])
    file.write_bytes(bomb(case.rng, file.read_text("utf-8")))
    return _look(case, format)


KINDS: dict[str, tuple[Callable[[Case], list[Work]], int]] = {
    "images": (images, 20),
    "data sets": (data_sets, 30),
    "pictures in data sets": (pictures_in_data_sets, 5),
    "places": (places, 8),
    "names": (names, 4),
    "bombs": (bombs, 3),
    "results": (results, 12),
    "proposals": (proposals, 5),
    "models": (models, 12),
    "weights": (weights, 6),
    "classifiers": (classifiers, 5),
    "classified images": (classified_images, 4),
    "caches": (caches, 2),
}
"""The kinds, and how many of 116 cases each has."""


def prepare() -> None:
    """Import everything, so that no case pays for it."""
    for name in (
        "sppdet.cli.common",
        "sppdet.cli.data_tables",
        "sppdet.cli.evaluate_tables",
        "sppdet.detector",
        "sppdet.evaluation.coco",
        "sppdet.evaluation.report",
    ):
        importlib.import_module(name)
    warnings.simplefilter("ignore")
    _checkpoint()
    build_network("small", 2, None, 0.0)
    shutil.rmtree(os.environ["SPPDET_CACHE"], ignore_errors=True)
