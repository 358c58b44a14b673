import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.cli import run
from sppdet.cli.thresholds import parse_thresholds
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.images import read_image

pytestmark = pytest.mark.slow


def detect(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        run("detect", [str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.fixture
def photos(scenes: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted((scenes / "test").glob("*.jpg"))[:3]:
        shutil.copy(path, folder)
    return folder


def test_one_image_gives_a_picture_and_json(
    photos: Path,
    model_file: Path,
    detector: Detector,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    thresholds = dict(zip(detector.classes, detector.thresholds, strict=True))
    image, out = photos / "scene_0000.jpg", tmp_path / "out"
    assert detect(image, "--model", model_file, "--output", out) == 0
    report = json.loads((out / "scene_0000.json").read_text())
    assert set(report) == {"image", "width", "height", "detections", "seconds"}
    assert (report["width"], report["height"]) == (320, 240)
    assert report["detections"]
    for entry in report["detections"]:
        assert set(entry) == {"label", "score", "box"}
        assert entry["label"] in ("apple", "banana", "orange")
        assert thresholds[entry["label"]] - 1e-4 <= entry["score"] <= 1
        x1, y1, x2, y2 = entry["box"]
        assert 0 <= x1 < x2 <= 320
        assert 0 <= y1 < y2 <= 240
    assert {"proposals", "convolution", "total"} <= set(report["seconds"])
    drawn = read_image(out / "scene_0000.jpg")
    assert drawn.shape == (240, 320, 3)
    assert np.abs(drawn.astype(int) - read_image(image)).max() > 50
    assert report["detections"][0]["label"] in capsys.readouterr().out


def test_threshold_and_max(photos: Path, model_file: Path, tmp_path: Path) -> None:
    counts = []
    for name, options in (
        ("a", ["--threshold", "0"]),
        ("b", ["--threshold", "0.9"]),
        ("c", ["--threshold", "0", "--max", "2"]),
    ):
        out = tmp_path / name
        image = photos / "scene_0001.jpg"
        assert detect(image, "--model", model_file, "--output", out, *options) == 0
        counts.append(len(json.loads((out / "scene_0001.json").read_text())["detections"]))
    assert counts[0] > counts[1]
    assert counts[2] == 2


def test_a_folder_goes_on_past_bad_files(
    photos: Path, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "scene_0001.jpg").write_bytes((photos / "scene_0001.jpg").read_bytes()[:2000])
    (photos / "text.jpg").write_text("no picture")
    out = tmp_path / "out"
    assert detect(photos, tmp_path / "missing.png", "--model", model_file, "--output", out) == 1
    assert sorted(p.name for p in out.glob("*.json")) == ["scene_0000.json", "scene_0002.json"]
    said = capsys.readouterr().err
    for name in ("scene_0001.jpg", "text.jpg", "missing.png"):
        assert name in said
    assert "3 of 5 failed" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("size", [(3000, 40), (40, 3000), (1, 1), (7, 2)])
def test_odd_sizes(size: tuple[int, int], model_file: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3))
    Image.fromarray(random.astype(np.uint8)).save(tmp_path / "odd.png")
    assert detect(tmp_path / "odd.png", "--model", model_file, "--output", tmp_path / "out") == 0
    assert read_image(tmp_path / "out" / "odd.jpg").shape[:2] == size[::-1]


@pytest.mark.parametrize("bad", ["cut", "text", "missing", "folder", "empty"])
def test_one_bad_input_is_one_line(
    bad: str,
    photos: Path,
    model_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / f"{bad}.jpg"
    if bad == "cut":
        path.write_bytes((photos / "scene_0000.jpg").read_bytes()[:3000])
    elif bad == "text":
        path.write_text("hello")
    elif bad == "empty":
        path.touch()
    elif bad == "folder":
        path.mkdir()
    assert detect(path, "--model", model_file, "--output", tmp_path / "out") == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert str(path) in said
    assert "\n" not in said


@pytest.mark.parametrize("content", [None, "", "not a model"])
def test_a_model_that_is_none(
    content: str | None, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.safetensors"
    if content is not None:
        model.write_text(content)
    assert detect(photos, "--model", model, "--output", tmp_path / "out") == 2
    said = capsys.readouterr().err.strip()
    assert "model.safetensors" in said
    assert "\n" not in said


def test_equal_names_do_not_overwrite_each_other(
    photos: Path, model_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(photos / "scene_0000.jpg", other)
    Image.open(photos / "scene_0000.jpg").save(other / "scene_0000.png")
    out = tmp_path / "out"
    assert detect(photos, other, "--model", model_file, "--output", out) == 0
    kept = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.json"))
    assert kept == [
        "other/scene_0000.jpg.json",
        "other/scene_0000.png.json",
        "photos/scene_0000.json",
        "scene_0001.json",
        "scene_0002.json",
    ]


def test_a_full_disk_is_said(
    photos: Path,
    model_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert detect(photos, "--model", model_file, "--output", tmp_path / "out") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_done_and_what_failed_adds_up(
    photos: Path, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "empty").mkdir()
    given = (photos, tmp_path / "empty")
    assert detect(*given, "--model", model_file, "--output", tmp_path / "out") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "3 images done" in said
    assert "2 of 5 failed" in said


def test_a_photograph_without_its_last_bytes_is_a_note(
    photos: Path, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = photos / "scene_0001.jpg"
    photo.write_bytes(photo.read_bytes()[:-20])
    assert detect(photos, "--model", model_file, "--output", tmp_path / "out") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("scene_0001.jpg: lacks its last bytes") == 1
    assert "note: " in said
    assert "Warning" not in said


def test_max_pixels(
    photos: Path,
    model_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    options = ("--model", model_file, "--output", tmp_path / "out", "--max-pixels")
    assert detect(photos / "scene_0000.jpg", *options, 320 * 240) == 0
    assert detect(photos / "scene_0000.jpg", *options, 320 * 240 - 2) == 2
    assert "--max-pixels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], {}),
        (["0.5"], {"a": 0.5, "b=c": 0.5}),
        (["a=0.6"], {"a": 0.6}),
        (["0.5", "b=c=1"], {"a": 0.5, "b=c": 1.0}),
        (["a=0.6", "0.5"], {"a": 0.5, "b=c": 0.5}),
    ],
)
def test_thresholds_of_classes(given: list[str], expected: dict[str, float]) -> None:
    assert parse_thresholds(given, ("a", "b=c")) == expected


@pytest.mark.parametrize("text", ["high", "1.5", "-1", "nan", "a=", "a=2", "pear=0.5", "=0.5"])
def test_a_wrong_threshold_is_refused(text: str) -> None:
    with pytest.raises(SppdetError, match=f"--threshold {text}: "):
        parse_thresholds([text], ("a", "b"))
