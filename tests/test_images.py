import io
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sppdet.errors import SppdetError
from sppdet.images import as_image, find_images, image_size, read_image


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


def png(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "form", [bytes, bytearray, memoryview, io.BytesIO], ids=lambda form: form.__name__
)
@pytest.mark.parametrize("read", [read_image, as_image])
def test_encoded_images_in_memory(form: Any, read: Any) -> None:
    np.testing.assert_array_equal(read(form(png(Image.fromarray(gradient())))), gradient())


@pytest.mark.parametrize("read", [read_image, as_image])
def test_paths_and_open_files(tmp_path: Path, read: Any) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(Image.fromarray(gradient())))
    np.testing.assert_array_equal(read(path), gradient())
    np.testing.assert_array_equal(read(str(path)), gradient())
    with path.open("rb") as file:
        np.testing.assert_array_equal(read(file), gradient())
    with path.open("r", errors="replace") as text, pytest.raises(TypeError, match="'rb'"):
        read(text)


@pytest.mark.parametrize("read", [read_image, as_image])
def test_damaged_content_is_one_line(tmp_path: Path, read: Any) -> None:
    content = png(Image.fromarray(gradient()))
    for wrong in (b"", b"no image", content[:80], io.BytesIO(content[:80]), tmp_path / "no.png"):
        with pytest.raises(SppdetError) as caught:
            read(wrong)
        assert "\n" not in str(caught.value)
    (tmp_path / "cut.png").write_bytes(content[:80])
    with Image.open(tmp_path / "cut.png") as lazy, pytest.raises(SppdetError, match=r"cut\.png"):
        as_image(lazy)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "F", "RGB"])
def test_a_pil_image_is_as_its_file(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(gradient()[:, :, 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(gradient()).convert(mode)
    image.save(tmp_path / "a.tif")
    np.testing.assert_array_equal(as_image(image), read_image(tmp_path / "a.tif"))


def test_a_pil_image_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(gradient()).transpose(Image.Transpose.ROTATE_90)
    with Image.open(io.BytesIO(png(stored, exif=exif))) as image:
        np.testing.assert_array_equal(as_image(image), gradient())
    with pytest.raises(ValueError, match="pixel"):
        as_image(Image.new("RGB", (0, 4)))


GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)


@pytest.mark.parametrize("kind", ["array", "tensor"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (gradient(), gradient()),
        (gradient()[::-1, ::2], gradient()[::-1, ::2]),
        (GREY, np.stack([GREY] * 3, 2)),
        (GREY[:, :, None], np.stack([GREY] * 3, 2)),
        (gradient(2, 5), gradient(2, 5)),
    ],
)
def test_arrays_and_tensors(kind: str, values: np.ndarray, expected: np.ndarray) -> None:
    image = as_image(values if kind == "array" else torch.from_numpy(values.copy()))
    np.testing.assert_array_equal(image, expected)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous


def test_opacity_is_laid_on_white_as_in_files(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.integers(0, 256, (5, 7, 4), np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    expected = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(as_image(values), expected)
    np.testing.assert_array_equal(as_image(values[:, :, [2, 1, 0, 3]], "BGR"), expected)
    np.testing.assert_array_equal(
        as_image(torch.from_numpy(values).permute(2, 0, 1), channels="RGB"), expected
    )


def test_bgr_turns_arrays_only(tmp_path: Path) -> None:
    bgr = gradient()[:, :, ::-1]
    np.testing.assert_array_equal(as_image(bgr, channels="BGR"), gradient())
    np.testing.assert_array_equal(
        as_image(torch.from_numpy(bgr.copy()).permute(2, 0, 1), channels="BGR"), gradient()
    )
    np.testing.assert_array_equal(as_image(GREY, channels="BGR"), as_image(GREY))
    for itself in (Image.fromarray(gradient()), png(Image.fromarray(gradient()))):
        np.testing.assert_array_equal(as_image(itself, channels="BGR"), gradient())
    with pytest.raises(ValueError, match="'BGR'"):
        as_image(bgr, channels="bgr")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tensors_with_the_channels_first(channels: int) -> None:
    values = np.random.default_rng(1).integers(0, 256, (6, 9, channels), np.uint8)
    image = as_image(torch.from_numpy(values).permute(2, 0, 1))
    np.testing.assert_array_equal(image, as_image(values))


def test_a_tensor_of_two_meanings_is_refused() -> None:
    with pytest.raises(ValueError, match="channels"):
        as_image(torch.zeros(3, 5, 3, dtype=torch.uint8))
    assert as_image(np.zeros((3, 5, 3), np.uint8)).shape == (3, 5, 3)


@pytest.mark.parametrize(
    ("value", "error", "remedy"),
    [
        (np.zeros((4, 5, 3)), TypeError, "255 * image"),
        (np.zeros((4, 5, 3), "f4"), TypeError, "255 * image"),
        (np.zeros((4, 5, 3), bool), TypeError, "255 * image"),
        (np.zeros((4, 5, 3), np.uint16), TypeError, "257"),
        (np.zeros((4, 5, 3), int), TypeError, "uint8"),
        (torch.zeros(3, 4, 5), TypeError, "255 * image"),
        (torch.zeros(3, 4, 5, dtype=torch.bfloat16), TypeError, "255 * image"),
        (torch.zeros(4, 5, 3, dtype=torch.uint8, device="meta"), TypeError, "cpu()"),
        (np.zeros((0, 5, 3), np.uint8), ValueError, "no pixel"),
        (np.zeros((5, 0), np.uint8), ValueError, "no pixel"),
        (np.zeros((3, 4, 5), np.uint8), ValueError, "transpose(1, 2, 0)"),
        (np.zeros((4, 5, 2), np.uint8), ValueError, "(H, W, 3)"),
        (np.zeros((1, 4, 5, 3), np.uint8), ValueError, "one image"),
        (np.zeros(5, np.uint8), ValueError, "(H, W, 3)"),
        ([[0, 1], [2, 3]], TypeError, "list"),
        (None, TypeError, "NoneType"),
        (7, TypeError, "int"),
    ],
)
def test_what_is_not_obvious_is_refused(value: Any, error: type[Exception], remedy: str) -> None:
    with pytest.raises(error, match="image") as caught:
        as_image(value)
    assert remedy in str(caught.value)


def test_read_image_takes_files_only() -> None:
    with pytest.raises(TypeError, match="ndarray"):
        read_image(gradient())  # type: ignore[arg-type]


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


@pytest.mark.parametrize("name", ["a.jpg", "no_suffix"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "nowhere", "hidden"])
def test_what_is_no_file_is_not_found_nor_opened(kind: str, name: str, tmp_path: Path) -> None:
    Image.new("RGB", (3, 3)).save(tmp_path / "b.png")
    (tmp_path / "link.png").symlink_to("b.png")
    odd = tmp_path / name
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "folder":
        odd.mkdir()
    elif kind == "hidden":
        (tmp_path / f".{name}").touch()
    else:
        odd.symlink_to(name if kind == "loop" else "nothing")
    assert [file.name for file in find_images(tmp_path)] == ["b.png", "link.png"]


def test_twenty_thousand_links_are_listed_soon(tmp_path: Path) -> None:
    Image.new("RGB", (3, 3)).save(tmp_path / "a.png")
    (tmp_path / "many").mkdir()
    for number in range(20_000):
        os.symlink("../a.png", tmp_path / "many" / f"{number}.png")
    begin = time.process_time()
    assert len(find_images(tmp_path / "many")) == 20_000
    assert time.process_time() - begin < 5  # 0.5 on a quiet machine


@pytest.mark.parametrize("mode", ["I;16", "F", "RGBA", "P"])
def test_a_large_image_in_strips_is_that_at_once(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(0).integers(0, 60_000, (37, 23))
    if mode in ("I;16", "F"):
        image = Image.fromarray(values.astype(np.uint16 if mode == "I;16" else np.float32))
    else:
        image = Image.fromarray((values % 256).astype(np.uint8)).convert("RGBA")
        image.putalpha(Image.fromarray((values // 250).astype(np.uint8)))
        image = image.quantize(50) if mode == "P" else image
    file = tmp_path / ("a.tif" if mode == "F" else "a.png")
    image.save(file)
    whole = read_image(file)
    monkeypatch.setattr("sppdet.images._STRIP_PIXELS", 50)
    np.testing.assert_array_equal(read_image(file), whole)
    assert len(np.unique(whole)) > 20


@pytest.mark.parametrize("read", [read_image, image_size])
def test_a_side_that_no_camera_makes_is_refused(read: Any, tmp_path: Path) -> None:
    """The header of a small file can claim millions of pixels."""
    Image.new("1", (70_000, 1)).save(tmp_path / "a.png")
    with pytest.raises(SppdetError, match=r"a\.png: is 70000 x 1 pixels; cut it"):
        read(tmp_path / "a.png")
