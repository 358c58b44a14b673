"""Detections as pictures, as crops, and in a notebook."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageShow

from sppdet.detections import Detections
from sppdet.errors import SppdetError
from sppdet.images import read_image


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    values = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(values).save(path)
    return path


@pytest.fixture
def found() -> Detections:
    boxes = [[10.4, 5, 30.2, 25], [-5, -5, 3, 3], [58, 38, 90, 90], [20, 20, 20, 20]]
    return Detections(boxes, [1, 0, 0, 1], [0.9, 0.8, 0.7, 0.6], ("cat", "<dog>"))


def test_plot(photo: Path, found: Detections) -> None:
    image = read_image(photo)
    drawn = found.plot(image)
    assert drawn.shape == image.shape
    assert not np.array_equal(drawn, image)
    assert np.array_equal(drawn, found.with_image(photo).plot())
    assert np.array_equal(drawn, found.with_image(image[:, :, ::-1], channels="BGR").plot())


def test_crops_are_the_pixels_of_the_boxes(photo: Path, found: Detections) -> None:
    image = read_image(photo)
    crops = found.with_image(photo).crops()
    assert np.array_equal(crops[0], image[5:25, 10:31])
    assert np.array_equal(crops[1], image[:3, :3])
    assert np.array_equal(crops[2], image[38:, 58:])
    assert crops[3].shape == (1, 1, 3)


def test_an_image_that_is_unknown_or_another(photo: Path, found: Detections) -> None:
    with pytest.raises(SppdetError, match="unknown"):
        found.plot()
    with pytest.raises(SppdetError, match="60 x 40"):
        found.with_image(photo).plot(np.zeros((5, 5, 3), np.uint8))


def test_save(photo: Path, found: Detections, tmp_path: Path) -> None:
    known = found.with_image(photo)
    for name in ("out.png", "out.JPG", "out.json"):
        known.save(tmp_path / name)
    assert np.array_equal(read_image(tmp_path / "out.png"), known.plot())
    assert Detections.from_dict(json.loads((tmp_path / "out.json").read_text())) == known
    with pytest.raises(SppdetError, match="suffix"):
        known.save(tmp_path / "out.xyz")


def test_show(photo: Path, found: Detections, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Image.Image] = []

    class Viewer(ImageShow.Viewer):
        def show(self, image: Image.Image, **options: object) -> int:
            shown.append(image)
            return 1

    monkeypatch.setattr(ImageShow, "_viewers", [Viewer()])
    found.with_image(photo).show()
    assert np.array_equal(np.asarray(shown[0]), found.plot(photo))
    monkeypatch.setattr(ImageShow, "_viewers", [])
    with pytest.raises(SppdetError, match="no program"):
        found.show(photo)


def test_notebook(photo: Path, found: Detections) -> None:
    assert found._repr_png_() is None
    assert "<img" not in found._repr_html_()
    known = found.with_image(photo)
    assert str(known._repr_png_()).startswith(r"b'\x89PNG")
    page = known._repr_html_()
    assert "data:image/png;base64," in page
    assert "&lt;dog&gt;" in page
    assert "<dog>" not in page
    photo.unlink()
    assert known._repr_png_() is None


def test_a_long_list_is_cut() -> None:
    many = Detections(np.zeros((40, 4)), [0] * 40, [0.5] * 40, ("cat",))
    assert "and 10 more" in many._repr_html_()
