from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def make_image() -> Callable[..., Path]:
    """Writes a random image file and returns its path."""

    def make(path: Path, width: int = 100, height: int = 80, **options: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path, **options)
        return path

    return make


@pytest.fixture
def make_xml() -> Callable[..., Path]:
    """Writes a VOC XML file with objects (class, xmin, ymin, xmax, ymax[, difficult])."""

    def make(path: Path, *objects: tuple, size: tuple[int, int] | None = (100, 80)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "<annotation>"
        if size is not None:
            text += f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
        for name, x1, y1, x2, y2, *rest in objects:
            text += f"<object><name>{name}</name><difficult>{rest[0] if rest else 0}</difficult>"
            text += f"<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax>"
            text += f"<ymax>{y2}</ymax></bndbox>"
            text += "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>"
            text += "<ymax>9</ymax></bndbox></part></object>"
        path.write_text(text + "</annotation>")
        return path

    return make
