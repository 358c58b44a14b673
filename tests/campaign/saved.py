"""Mutations of what programs wrote: results, proposals, models, weights, checkpoints, caches."""

import io
import json
import os
import random
from functools import partial
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from mutate import mutate_bytes, mutate_json, mutate_place, mutated
from subjects import CLASSES, ENCODED, PLAIN, ROOT, Case, Work, lay_out, picture

from sppdet.classification.data import open_split
from sppdet.classification.settings import ClassifySettings
from sppdet.classification.training import Training
from sppdet.proposals.cache import ProposalCache
from sppdet.proposals.files import read_proposals
from sppdet.runtime.tensor_files import CHECKSUM, checksum
from sppdet.trunks import load_trunk

MODEL = ROOT / "sppdet" / "weights" / "detector.safetensors"
TRUNK = ROOT / "sppdet" / "weights" / "small.safetensors"


def results(case: Case) -> list[Work]:
    """Detections of other programs beside a sound data set."""
    data = case.folder / "data"
    inner = Case(case.rng, data, case.output)
    lay_out(inner, "coco", change=False)
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
                lambda: torch.atleast_1d(tensor)[:1].clone(),
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


def checkpoint() -> bytes:
    if not _CHECKPOINT:
        place = Path(os.environ["SPPDET_CACHE"]) / "campaign.safetensors"
        place.parent.mkdir(parents=True, exist_ok=True)
        settings = ClassifySettings(network="small", epochs=1, batch_size=2, sizes=(32,))
        Training(settings, CLASSES, torch.device("cpu")).save(place)
        _CHECKPOINT.append(place.read_bytes())
    return _CHECKPOINT[0]


def classifiers(case: Case) -> list[Work]:
    content = _safetensors(case.rng, checkpoint(), ("about", "about", "about", "format"))
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
