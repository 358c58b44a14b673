from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.errors import SppdetError
from sppdet.images import find_images, image_size, read_image


def gradient(width: int = 40, height: int = 30) -> np.ndarray:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x * 6, y * 8, x + y], axis=2).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "jpg"])
def test_formats_give_the_same_pixels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {"quality": 98, "subsampling": 0}
    Image.fromarray(gradient()).save(path, **(options if suffix in ("webp", "jpg") else {}))
    read = read_image(path)
    assert read.dtype == np.uint8
    assert read.shape == (30, 40, 3)
    difference = np.abs(read.astype(int) - gradient()).max()
    assert difference <= (6 if suffix == "jpg" else 0)
    assert image_size(path) == (40, 30)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "I;16", "F", "I"])
def test_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    grey = np.linspace(0, 255, 1200).astype(np.uint8).reshape(30, 40)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode in ("F", "I"):
        image = Image.fromarray(grey.astype(np.float32)).convert(mode)
    elif mode == "P":
        image = Image.fromarray(np.repeat(grey[:, :, None], 3, 2)).quantize(256)
    else:
        image = Image.fromarray(np.repeat(grey[:, :, None], 3, 2)).convert(mode)
    path = tmp_path / (
        "a.jpg" if mode in ("CMYK", "YCbCr") else "a.tif" if mode != "P" else "a.png"
    )
    image.save(path)
    read = read_image(path)
    assert read.shape == (30, 40, 3)
    if mode != "1":
        assert np.abs(read[:, :, 0].astype(int) - grey).max() <= 4


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4] = (200, 10, 10, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read[0, 0].tolist() == [200, 10, 10]
    assert read[7, 7].tolist() == [255, 255, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = Image.fromarray(gradient())
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), gradient())
    assert image_size(tmp_path / "a.png") == (40, 30)


def test_bad_files_are_named(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    Image.fromarray(gradient(400, 300)).save(whole)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:3000])
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    empty = tmp_path / "empty.png"
    empty.touch()
    for path in (cut, text, empty, tmp_path / "missing.jpg", tmp_path):
        with pytest.raises(SppdetError, match=str(path)) as caught:
            read_image(path)
        assert "\n" not in str(caught.value)


def test_find_images(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "c.xml", ".hidden.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in find_images(tmp_path)] == ["a.png", "b.JPG"]
    with pytest.raises(SppdetError, match="no such folder"):
        find_images(tmp_path / "nowhere")


def test_the_fruit_photographs_can_all_be_read(shared_data: Path) -> None:
    files = find_images(shared_data / "fruit" / "train")
    assert len(files) == 240
    for path in files[::8]:
        image = read_image(path)
        assert image.shape[2] == 3
        assert image_size(path) == image.shape[1::-1]
