from collections.abc import Callable
from html import escape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.datasets import read_dataset
from sppdet.datasets.base import Dataset, RawObject, Record
from sppdet.detections import Detections

XML = """<annotation><size><width>{width}</width><height>{height}</height></size>
{objects}</annotation>"""
OBJECT = """<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>
<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes images with VOC XML.

    Takes {stem: [(class, xmin, ymin, xmax, ymax[, difficult])]} and returns the folder.
    """

    def make(images: dict[str, list[tuple]], name: str = "data", side: int = 100) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        for seed, (stem, objects) in enumerate(images.items()):
            noise = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / f"{stem}.png")
            text = "".join(
                OBJECT.format(escape(o[0]), o[5] if len(o) > 5 else 0, *o[1:5]) for o in objects
            )
            xml = XML.format(width=side, height=side, objects=text)
            (folder / f"{stem}.xml").write_text(xml)
        return folder

    return make


@pytest.fixture
def make_image() -> Callable[[Path], Path]:
    """Writes a grey image of 100 x 80 px."""

    def make(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (100, 80), "gray").save(path)
        return path

    return make


IMAGES = {
    "000007": [("cat", 11, 11, 50, 50)],
    "b_2": [("traffic light", 1, 1, 20, 20), ("cat", 30, 30, 60, 60)],
    "empty": [],
}

CLASSES = ["../../x", " cat ", "a/b", "<i>", "50%", "%41", "\x1b[31m", "[/bold]", "a\nb", "3", "猫"]


@pytest.fixture
def dataset(make_folder):
    return read_dataset(make_folder(IMAGES))


@pytest.fixture
def found(dataset):
    random = np.random.default_rng(0)
    corner = random.uniform(0, 50, (3, 4, 2))
    boxes = np.concatenate([corner, corner + random.uniform(5, 40, (3, 4, 2))], axis=2)
    return [
        Detections(boxes[k], [0, 1, 1, 0], random.normal(size=4), dataset.classes) for k in (0, 1)
    ] + [Detections([], [], [], dataset.classes)]


@pytest.fixture
def odd(make_image, tmp_path):
    """Two images of one name in different folders, one with a space, classes with odd names."""
    images = [tmp_path / "set" / name for name in ("a/1.png", "b/1.png", "b/in  two.png")]
    records = []
    for image in images:
        objects = [
            RawObject(name, (k * 5.0, 1.0, k * 5 + 20.0, 60.0)) for k, name in enumerate(CLASSES)
        ]
        records.append(Record(make_image(image), image, (100, 80), objects))
    return Dataset(tmp_path / "set", "folder", None, records, CLASSES)
