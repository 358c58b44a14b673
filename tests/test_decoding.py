import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.decoding import orientation
from sppdet.errors import SppdetError, SppdetWarning
from sppdet.images import as_image, find_images, image_size, read_image


def photograph(width: int = 320, height: int = 240) -> Image.Image:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    noise = np.random.default_rng(0).integers(0, 40, (height, width, 3))
    return Image.fromarray((np.stack([x / 2, y / 2, x / 4 + y / 4], 2) + noise).astype(np.uint8))


def jpeg(mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    photograph().convert(mode).save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("lost", [1, 2, 20, 400])
def test_a_jpeg_without_its_last_bytes_is_read(
    mode: str, progressive: bool, lost: int, tmp_path: Path
) -> None:
    content = jpeg(mode, progressive=progressive)
    path = tmp_path / "cut.jpg"
    path.write_bytes(content[:-lost])
    whole = read_image(content)
    forms = (path, content[:-lost], io.BytesIO(content[:-lost]))
    for form in forms:
        with pytest.warns(SppdetWarning, match="lacks its last bytes"):
            read = read_image(form)
        assert read.shape == whole.shape
        if lost <= 2:  # the marker of the end alone
            np.testing.assert_array_equal(read, whole)
        if not progressive:
            np.testing.assert_array_equal(read[:200], whole[:200])
        assert np.abs(read.astype(int) - whole).mean() < 6
    assert image_size(path) == (320, 240)


@pytest.mark.parametrize(("part", "read"), [(0.97, True), (0.80, False), (0.3, False)])
def test_nine_tenths_of_the_rows_must_be_there(part: float, read: bool) -> None:
    content = jpeg()
    cut = content[: int(part * len(content))]
    if read:
        with pytest.warns(SppdetWarning, match=r"\d+ of 240 rows"):
            read_image(cut)
    else:
        with pytest.raises(SppdetError, match=r"only \d+ of 240 rows are there"):
            read_image(cut)


def test_a_progressive_jpeg_with_few_scans_is_refused() -> None:
    content = jpeg(progressive=True)
    with pytest.raises(SppdetError, match="only 1 scan is there"):
        read_image(content[: content.index(b"\xff\xda") + 100])


def exif(kind: int, count: int, value: bytes, more: int = 0) -> bytes:
    """An EXIF block with the tag of the orientation and nothing else."""
    entry = struct.pack("<HHI", 0x0112, kind, count) + value.ljust(4, b"\0")
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1 + more) + entry + b"\0\0\0\0"


ODD = {
    "6 as it should be": (exif(3, 1, b"\x06\0"), 6),
    "of a wide type": (exif(4, 1, b"\x06\0\0\0"), 6),
    "text": (exif(2, 2, b"6\0"), 1),
    "text of letters": (exif(2, 4, b"abc\0"), 1),
    "bytes": (exif(7, 2, b"\x06\0"), 1),
    "two values": (exif(3, 2, b"\x06\0\x03\0"), 6),
    "no value": (exif(3, 0, b""), 1),
    "zero": (exif(3, 1, b"\0\0"), 1),
    "nine": (exif(3, 1, b"\x09\0"), 1),
    "a fraction elsewhere": (exif(5, 1, b"\xff\xff\xff\x7f"), 1),
    "an unknown type": (exif(99, 1, b"\x06\0"), 1),
    "a far offset": (b"Exif\0\0II*\0\xff\xff\xff\x7f", 1),
    "cut": (exif(3, 1, b"\x06\0")[:17], 1),
    "more entries than there are": (exif(3, 1, b"\x06\0", more=40), 6),
    "no header": (b"Exif\0\0", 1),
    "noise": (b"Exif\0\0" + bytes(range(255, 0, -1)), 1),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_odd_exif_is_read_tolerantly(name: str, format: str, tmp_path: Path) -> None:
    block, expected = ODD[name]
    path = tmp_path / "a"
    photograph().save(path, format, exif=block)
    with Image.open(path) as image:
        assert orientation(image) in (1, expected)
        turned = orientation(image) == 6
    size = (240, 320) if turned else (320, 240)
    assert turned == (expected == 6)
    assert read_image(path).shape[1::-1] == size == image_size(path)
    with Image.open(path) as image:
        assert as_image(image).shape[1::-1] == size


@pytest.mark.parametrize("number", range(1, 9))
def test_a_tiff_is_turned_once(number: int, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    photograph().save(path, tiffinfo={0x0112: number})
    assert image_size(path) == read_image(path).shape[1::-1]
    assert image_size(path) == ((240, 320) if number > 4 else (320, 240))


def test_the_content_says_what_an_image_is(tmp_path: Path) -> None:
    for name in ("png.jpg", "no suffix", "gif.gif", "x.jfif", "png.tif"):
        format = {"g": "GIF", "x": "JPEG"}.get(name[0], "PNG")
        photograph().save(tmp_path / name, format)
        assert read_image(tmp_path / name).shape == (240, 320, 3)
    (tmp_path / "README").write_text("no image")
    (tmp_path / "a.txt").write_bytes(jpeg())
    found = [path.name for path in find_images(tmp_path)]
    assert found == ["gif.gif", "no suffix", "png.jpg", "png.tif", "x.jfif"]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_what_never_ends_is_not_opened(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    for read in (read_image, image_size):
        with pytest.raises(SppdetError, match=r"a\.jpg: is a pipe or a device"):
            read(path)
    assert find_images(tmp_path) == []


def test_a_large_image_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    photograph().save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)
    for read in (read_image, image_size):
        with pytest.raises(SppdetError, match="--max-pixels"):
            read(path)
