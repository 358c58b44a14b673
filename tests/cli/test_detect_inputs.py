"""``sppdet detect`` with every kind of input and output; the detector is the one that ships."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.cli import run
from sppdet.cli.saving import Saver
from sppdet.detections import Detections
from sppdet.errors import SppdetError
from sppdet.images import read_image
from sppdet.inputs.sources import Source
from sppdet.inputs.video import Video, VideoWriter
from sppdet.runtime.words import counted, verb

FRUIT = Path(__file__).resolve().parents[2] / "data" / "sample" / "fruit.jpg"


def detect(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        run("detect", [str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def names_in(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(found)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two small photographs of fruit, one of them in a folder, and a plain one."""
    folder = tmp_path / "photos"
    (folder / "inner").mkdir(parents=True)
    fruit = Image.open(FRUIT).convert("RGB")
    fruit.resize((256, 192)).save(folder / "1.jpg", quality=95)
    fruit.resize((192, 144)).save(folder / "inner" / "1.jpg", quality=95)
    Image.new("RGB", (40, 30), "white").save(folder / "2.png")
    return folder


def test_every_output(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    save = "pictures,json,jsonl,csv,txt,voc,coco,crops"
    assert detect(photos, "--recursive", "-o", out, "--save", save, "--threshold", 0.2) == 0
    entries = [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]
    assert [Path(entry["image"]).name for entry in entries] == ["1.jpg", "2.png", "1.jpg"]
    order = ("1", "2", "inner/1")
    assert entries == [json.loads((out / f"{name}.json").read_text()) for name in order]
    total = sum(len(entry["detections"]) for entry in entries)
    assert total > 0
    with (out / "detections.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len([row for row in rows if row["class"]]) == total
    assert {"filename", "width", "height", "class", "xmin", "ymax", "score"} <= rows[0].keys()
    assert len(json.loads((out / "detections.coco.json").read_text())) == total
    lines = [(out / "labels" / f"{name}.txt").read_text().splitlines() for name in order]
    assert [len(one) for one in lines] == [len(entry["detections"]) for entry in entries]
    trees = [ET.parse(out / "annotations" / f"{name}.xml") for name in order]
    assert sum(len(tree.findall("object")) for tree in trees) == total
    assert "names:" in (out / "data.yaml").read_text()
    crops = [name for name in names_in(out) if name.startswith("crops/")]
    assert len(crops) == total
    assert read_image(out / "inner" / "1.jpg").shape == (144, 192, 3)
    before = {name: (out / name).read_bytes() for name in names_in(out)}
    assert detect(photos, "--recursive", "-o", out, "--save", save, "--threshold", 0.2) == 0
    assert names_in(out) == sorted(before)


def test_without_pictures_and_quiet(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, summary = tmp_path / "out", tmp_path / "summary.json"
    options = ("--no-pictures", "--quiet", "--json", summary, "--threshold", 0.2)
    assert detect(photos, "-o", out, *options) == 0
    assert names_in(out) == ["1.json", "2.json"]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.strip() == ""
    figures = json.loads(summary.read_text())
    assert (figures["images"], figures["failed"]) == (2, [])
    found = json.loads((out / "1.json").read_text())["detections"]
    assert sum(figures["detections"].values()) == len(found)
    assert figures["photographs_per_second"] > 0
    assert detect(photos, "-o", out, *options) == 0  # its own summary may be written over


def test_classes_and_max(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    everything = ("--threshold", 0, "--no-pictures", "--quiet", "-o", out)
    assert detect(photos / "1.jpg", *everything, "--classes", "apple,orange", "--max", 4) == 0
    labels = [one["label"] for one in json.loads((out / "1.json").read_text())["detections"]]
    assert len(labels) == 4
    assert set(labels) <= {"apple", "orange"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--classes", "pear"), "--classes pear: choose from"),
        (("--save", "json,gif"), "--save json,gif: choose from"),
        (("--save", "pictures", "--no-pictures"), "nothing is left"),
        (("--save", "pictures", "--skip-existing"), "needs json or jsonl"),
    ],
)
def test_options_that_make_no_sense(
    options: tuple[str, ...],
    reason: str,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert detect(photos, "-o", tmp_path / "out", *options) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("broken", "code"), [([], 0), (["a.jpg"], 1), (["a.jpg", "1.jpg", "2.png"], 2)]
)
def test_exit_codes(
    broken: list[str],
    code: int,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in broken:
        (photos / name).write_text("no image")
    assert detect(photos, "-o", tmp_path / "out") == code
    assert capsys.readouterr().err.count("is not an image") == len(broken)


def test_skip_existing(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    for save in ("pictures,json,csv", "jsonl"):
        command = ("--save", save, "-o", out / save, "--skip-existing", "--threshold", 0.2)
        assert detect(photos / "1.jpg", *command) == 0
        before = {name: (out / save / name).stat().st_mtime_ns for name in names_in(out / save)}
        capsys.readouterr()
        assert detect(photos, *command) == 0
        assert "2 images done, 1 of them before" in " ".join(capsys.readouterr().err.split())
        for name in ("1.jpg", "1.json"):
            if name in before:
                assert (out / save / name).stat().st_mtime_ns == before[name]
    text = (out / "pictures,json,csv" / "detections.csv").read_text()
    assert "1.jpg" in text
    assert "2.png" in text
    assert len((out / "jsonl" / "detections.jsonl").read_text().splitlines()) == 2


def test_equal_names_of_two_folders(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert detect(photos / "1.jpg", photos / "inner", "-o", out, "--quiet") == 0
    assert names_in(out) == ["1.jpg", "1.json", "inner/1.jpg", "inner/1.json"]


def test_no_input_is_written_over(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: (photos / name).read_bytes() for name in names_in(photos)}
    (tmp_path / "list.txt").write_text(f"{photos}/1.jpg\n{photos}/inner/1.jpg\n")
    for given in (f"{photos}/*.jpg", f"@{tmp_path}/list.txt"):
        assert detect(given, "-o", photos) == 2
        assert "input of this command" in capsys.readouterr().err
    assert {name: (photos / name).read_bytes() for name in names_in(photos)} == before


def test_the_outputs_in_the_folder_are_not_read_again(photos: Path) -> None:
    out = photos / "found"
    for _ in range(2):
        assert detect(photos, "--recursive", "-o", out, "--quiet") == 0
    assert names_in(out) == ["1.jpg", "1.json", "2.jpg", "2.json", "inner/1.jpg", "inner/1.json"]
    assert detect(photos, "--recursive", "-o", photos.parent / "other", "--quiet") == 0
    assert len(names_in(photos.parent / "other")) == 6


# ---------------------------------------------------------------- frames


@pytest.fixture
def film(photos: Path, tmp_path: Path) -> Path:
    image = read_image(photos / "1.jpg")
    path = tmp_path / "film.mp4"
    writer = VideoWriter(path, 10, (256, 192))
    for shift in range(5):
        writer.add(np.roll(image, 4 * shift, axis=1))
    writer.close()
    return path


def test_a_video(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    save = ("--save", "pictures,json,csv,txt", "--every", 2, "--threshold", 0.1)
    assert detect(film, "-o", out, *save) == 0
    entries = [json.loads(line) for line in (out / "film.jsonl").read_text().splitlines()]
    assert [entry["frame"] for entry in entries] == [0, 2, 4]
    with Video(Source("video", "film", "film.mp4", out / "film.mp4")) as video:
        assert video.rate == pytest.approx(5)
        assert len(list(video.frames())) == 3
    assert (out / "labels" / "film_000004.txt").is_file()
    assert "film.mp4#4" in (out / "detections.csv").read_text()
    before = (out / "film.mp4").stat().st_mtime_ns
    assert detect(film, "-o", out, *save, "--skip-existing") == 0
    assert (out / "film.mp4").stat().st_mtime_ns == before
    assert detect(film, "-o", out, *save) == 0  # its own outputs may be written over


def test_an_animation(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = Image.open(photos / "1.jpg")
    path, out = tmp_path / "moving.gif", tmp_path / "out"
    first.save(path, save_all=True, append_images=[first.rotate(90), first.rotate(180)])
    assert detect(path, "-o", out) == 0
    assert "has 3 frames; the first one is used" in capsys.readouterr().err
    assert names_in(out) == ["moving.jpg", "moving.json"]
    every = ("-o", tmp_path / "all", "--every", 2)
    assert detect(path, *every) == 0
    expected = [f"moving_00000{k}.{suffix}" for k in (0, 2) for suffix in ("jpg", "json")]
    assert names_in(tmp_path / "all") == expected
    assert json.loads((tmp_path / "all" / "moving_000002.json").read_text())["frame"] == 2
    assert detect(path, *every, "--skip-existing") == 0


# ---------------------------------------------------------------- addresses, the standard input


@pytest.fixture
def address(photos: Path) -> Iterator[str]:
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *rest: object) -> None:
            pass

    handler = partial(Handler, directory=str(photos))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_addresses(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert detect(f"{address}/1.jpg", f"{address}/none.jpg", f"{address}/", "-o", out) == 1
    assert names_in(out) == ["1.jpg", "1.json"]
    assert json.loads((out / "1.json").read_text())["image"] == f"{address}/1.jpg"
    said = capsys.readouterr().err
    assert "answers 404" in said
    assert "is a page" in said


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "sppdet", "detect", *map(str, arguments)]


def test_the_standard_input(photos: Path, tmp_path: Path) -> None:
    content = (photos / "1.jpg").read_bytes()
    done = subprocess.run(command("-", "-o", tmp_path), input=content, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert {"stdin.jpg", "stdin.json"} <= set(names_in(tmp_path))
    done = subprocess.run(command("-", "-o", tmp_path), input=b"", capture_output=True, text=False)
    assert done.returncode == 2
    assert b"standard input is empty" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a signal")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_an_interruption_keeps_what_is_done(photos: Path, tmp_path: Path, threads: str) -> None:
    """With one thread the work is the main thread's, which a signal reaches in compiled code."""
    for number in range(300):
        (photos / f"more{number}.jpg").symlink_to(photos / "1.jpg")
    out = tmp_path / "out"
    options = ("-o", out, "--save", "json,jsonl", "--threshold", 0.2)
    words, variables = command(photos, *options), {**os.environ, "OMP_NUM_THREADS": threads}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=variables)
    while process.poll() is None and len(list(out.glob("*.json"))) < 3:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = " ".join(process.communicate(timeout=120)[1].split())
    assert process.returncode == 130
    assert "done and kept" in said
    assert "left; the same command with --skip-existing goes on" in said
    lines, files = (out / "detections.jsonl").read_text().splitlines(), list(out.glob("*.json"))
    assert 1 <= len(lines) <= len(files) < 302
    assert threads == "1" or len(lines) == len(files)  # workers end in another order
    assert f"{counted(len(lines), 'image')} {verb(len(lines))} done" in said
    assert not list(out.glob(".*"))


# ---------------------------------------------------------------- pairs of files


def test_a_picture_that_cannot_be_written_leaves_no_json(tmp_path: Path) -> None:
    saver = Saver(tmp_path, {"pictures", "json", "txt"}, ("cat",), [])
    image = np.zeros((2, 65_501, 3), np.uint8)
    found = Detections.none(("cat",)).with_image(image)
    with pytest.raises(SppdetError, match=r"a\.jpg: a JPEG has at most 65,500 pixels"):
        saver.save("a", "a.png", image, found)
    assert names_in(tmp_path) == []
    Saver(tmp_path, {"json"}, ("cat",), []).save("a", "a.png", image, found)
    assert names_in(tmp_path) == ["a.json"]


def test_an_earlier_pair_stays_when_a_new_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver = Saver(tmp_path, {"pictures", "json"}, ("cat",), [])
    image = np.zeros((20, 30, 3), np.uint8)
    found = Detections([[1, 1, 9, 9]], [0], [0.5], ("cat",)).with_image(image)
    saver.save("a", "a.png", image, found)
    before = {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(SppdetError, match=r"a\.json: .*No space left"):
        saver.save("a", "b.png", image, found)
    assert {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)} == before


@pytest.mark.parametrize(
    ("kinds", "where", "refused"),
    [
        ("voc", "photos/found", True),
        ("pictures,txt", "photos/a/b", True),
        ("voc", "found", False),
        ("pictures,json", "photos/found", False),
    ],
)
def test_labels_are_not_written_into_a_folder_of_photographs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kinds: str, where: str, refused: bool
) -> None:
    """They would be the ground truth of the photographs beside them afterwards."""
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 48), "grey").save(tmp_path / "photos" / "a.png")
    output = tmp_path / where
    words = [str(tmp_path / "photos"), "--save", kinds, "-o", str(output), "--device", "cpu"]
    with pytest.raises(SystemExit) as stop:
        run("detect", words)
    assert (stop.value.code or 0) == (2 if refused else 0)
    if refused:
        told = " ".join(capsys.readouterr().err.split())
        assert "writes labels, which would be read as those of" in told
        assert not output.exists()
