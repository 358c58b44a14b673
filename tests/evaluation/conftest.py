from collections.abc import Callable
from html import escape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
