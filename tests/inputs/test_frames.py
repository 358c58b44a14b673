"""Sources to images: files, animations, pages, videos, URLs, the standard input."""

import io
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from sppdet.errors import SppdetError, SppdetWarning
from sppdet.images import read_image
from sppdet.inputs import find_sources, frames_of, images_of
from sppdet.inputs.video import Video, VideoWriter
from sppdet.inputs.web import fetch

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (30, 200, 200)]


def png(colour: tuple[int, int, int] = COLOURS[0]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(stream, "PNG")
    return stream.getvalue()


def read(name: object, every: int | None = None) -> list[np.ndarray]:
    (source,), problems = find_sources([str(name)])
    assert problems == []
    return [frame.image for frame in frames_of(source, every)]


def many(path: Path) -> Path:
    first, *rest = (Image.new("RGB", (8, 6), colour) for colour in COLOURS)
    first.save(path, save_all=True, append_images=rest)
    return path


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    writer = VideoWriter(path, 10, (64, 48))
    for colour in COLOURS:
        writer.add(np.full((48, 64, 3), colour, np.uint8))
    writer.close()
    return path


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("name", ["pages.tif", "moving.gif", "moving.png", "moving.webp"])
def test_frames_of_files_with_several(name: str, tmp_path: Path) -> None:
    path = many(tmp_path / name)
    with pytest.warns(SppdetWarning, match=f"{name}: has 5 frames"):
        (only,) = read(path)
    assert np.array_equal(only, read_image(path))
    for every in (1, 2, 7):
        images = read(path, every)
        assert len(images) == len(COLOURS[::every])
        for image, colour in zip(images, COLOURS[::every], strict=True):
            assert np.abs(image.astype(int) - colour).max() < 12


def test_one_picture_is_one_frame_without_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read(tmp_path / "a.png")) == len(read(tmp_path / "a.png", 1)) == 1


def test_a_cut_animation_gives_frames_or_one_line(tmp_path: Path) -> None:
    path = many(tmp_path / "moving.gif")
    path.write_bytes(path.read_bytes()[:-60])
    with suppress(SppdetError):  # or Pillow reads what there is
        assert 1 <= len(read(path, 1)) <= 5


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6), COLOURS[0]).save(tmp_path / "a.avif")
    (image,) = read(tmp_path)
    assert image.shape == (6, 8, 3)


def test_heic_without_its_package(tmp_path: Path) -> None:
    if ".heic" in Image.registered_extensions():
        pytest.skip("pillow-heif is installed")
    (tmp_path / "a.heic").write_bytes(b"....ftypheic")
    with pytest.raises(SppdetError, match="pip install pillow-heif"):
        read(tmp_path)


# ---------------------------------------------------------------- videos


@pytest.mark.parametrize(("every", "expected"), [(None, 5), (1, 5), (2, 3), (9, 1)])
def test_frames_of_a_video(film: Path, every: int | None, expected: int) -> None:
    images = read(film, every)
    assert len(images) == expected
    for image, colour in zip(images, COLOURS[:: every or 1], strict=True):
        assert image.shape == (48, 64, 3)
        assert np.abs(image.astype(int) - colour).max() < 30
    with Video(find_sources([film])[0][0]) as video:
        assert video.rate == pytest.approx(10)


def test_a_video_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(SppdetError, match=r"a\.mp4: is not a video"):
        read(tmp_path / "a.mp4")
    with pytest.raises(SppdetError, match=r"b\.mp4: no such file"):
        read(tmp_path / "b.mp4")


# ---------------------------------------------------------------- addresses


@pytest.fixture
def address() -> Iterator[str]:
    """A server on this machine; the path says what it does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/moved"):
                self.send_response(302)
                self.send_header("Location", "/photo.png")
                self.end_headers()
                return
            if self.path.startswith("/none"):
                self.send_error(404)
                return
            content = png() if "photo" in self.path else b"x" * 3000
            self.send_response(200)
            kind = "text/html; charset=utf-8" if "page" in self.path else "image/png"
            self.send_header("Content-Type", kind)
            if "unsaid" not in self.path:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if "slow" in self.path:
                for byte in content:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(0.05)
                return
            if "stuck" in self.path:
                time.sleep(1.5)
            self.wfile.write(content)

        def log_message(self, *rest: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError):  # the reader has gone
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["photo.png", "moved", "unsaid-photo"])
def test_an_image_at_an_address(path: str, address: str) -> None:
    (image,) = read(f"{address}/{path}")
    assert image[0, 0].tolist() == list(COLOURS[0])


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("none", "answers 404"),
        ("page", "is a page"),
        ("text", "is not an image"),
    ],
)
def test_what_is_no_image(path: str, reason: str, address: str) -> None:
    with pytest.raises(SppdetError, match=reason) as caught:
        read(f"{address}/{path}")
    assert str(caught.value).startswith(f"{address}/{path}: ")


@pytest.mark.parametrize("path", ["large", "large-unsaid"])
def test_the_limit_of_the_size(path: str, address: str) -> None:
    with pytest.raises(SppdetError, match="more than"):
        fetch(f"{address}/{path}", most=2999)
    assert len(fetch(f"{address}/{path}", most=3000)) == 3000


@pytest.mark.parametrize(("path", "reason"), [("stuck", "timed out"), ("slow", "longer than")])
def test_the_limits_of_the_time(path: str, reason: str, address: str) -> None:
    with pytest.raises(SppdetError, match=reason):
        fetch(f"{address}/{path}", wait=0.4, longest=0.6)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/a.png", "http://host.invalid/a.png", "http:///a"]
)
def test_no_connection(url: str) -> None:
    with pytest.raises(SppdetError, match="cannot be fetched"):
        fetch(url, wait=2)


# ---------------------------------------------------------------- the standard input


class Stdin:
    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)

    def isatty(self) -> bool:
        return False


@pytest.mark.parametrize(("content", "reason"), [(b"", "is empty"), (b"text", "is not an image")])
def test_the_standard_input(content: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Stdin(png()))
    assert read("-")[0].shape == (6, 8, 3)
    monkeypatch.setattr("sys.stdin", Stdin(content))
    with pytest.raises(SppdetError, match=reason):
        read("-")


# ---------------------------------------------------------------- from Python


def test_images_of_names_and_of_what_programs_hold(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "b.png").write_text("no image")
    array = np.zeros((6, 8, 3), np.uint8)
    with pytest.warns(SppdetWarning, match=r"b\.png"):
        found = list(images_of([tmp_path, array, png(), Image.fromarray(array)]))
    assert [image.shape for image, _ in found] == [(6, 8, 3)] * 4
    assert found[0][1] == tmp_path / "a.png"
    assert found[1][1] is array
    for alone in (array, png(), io.BytesIO(png()), Image.fromarray(array), tmp_path / "a.png"):
        assert len(list(images_of(alone))) == 1  # type: ignore[arg-type]
    with pytest.raises(SppdetError, match="no file fits"):
        list(images_of([f"{tmp_path}/*.gif"]))
