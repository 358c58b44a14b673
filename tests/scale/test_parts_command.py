"""``sppdet detect --save parquet`` and ``sppdet merge-results`` as a user runs them."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sppdet.scale.places import Place
from sppdet.scale.rows import from_bytes

Command = Callable[..., tuple[int, str]]
SAVE = ("--save", "parquet", "--device", "cpu")


def rows_of(file: Path) -> list[dict[str, Any]]:
    rows = from_bytes(file.read_bytes()).to_pylist()
    for row in rows:
        assert row.pop("seconds") > 0
    return sorted(rows, key=lambda row: (row["image"], -(row["score"] or 0)))


def test_the_rows_are_those_of_the_plain_command(
    photos: Path, tmp_path: Path, command: Command
) -> None:
    """Shards in one form and another, and the JSON of each image."""
    assert command("detect", photos, "--save", "json", "-o", tmp_path / "plain")[0] == 1
    for number in (1, 2, 3):
        code, told = command(
            "detect", photos, "--shard", f"{number}/3", *SAVE, "-o", tmp_path / "out"
        )
        assert code == ("bad.jpg" in told)
    code, told = command("merge-results", tmp_path / "out", "-o", tmp_path / "all.parquet")
    assert code == 1
    assert "1 of 6 failed:\n  bad.jpg: is not an image" in told
    rows = rows_of(tmp_path / "all.parquet")
    assert {row["image"] for row in rows} == {path.name for path in photos.glob("[!.]*.[jp]*")}
    for file in (tmp_path / "plain").glob("*.json"):
        content = json.loads(file.read_text("utf-8"))
        own = [row for row in rows if row["image"] == Path(content["image"]).name]
        assert {(row["width"], row["height"]) for row in own} == {
            (content["width"], content["height"])
        }
        found = [row for row in own if row["label"] is not None]
        assert [row["label"] for row in found] == [one["label"] for one in content["detections"]]
        for row, one in zip(found, content["detections"], strict=True):
            assert row["score"] == pytest.approx(one["score"], abs=6e-5)
            assert row["box"] == pytest.approx(one["box"], abs=0.06)


def test_evaluate_reads_the_merged_json(tmp_path: Path, command: Command) -> None:
    from sppdet.datasets.scenes import write_scenes

    write_scenes(tmp_path / "data", 3, seed=1, size=(160, 120))
    plain = ("--save", "coco", "-o", tmp_path / "plain", "--device", "cpu")
    assert command("detect", tmp_path / "data", *plain)[0] == 0
    assert command("detect", tmp_path / "data", *SAVE, "-o", tmp_path / "out")[0] == 0
    assert command("merge-results", tmp_path / "out", "-o", tmp_path / "all.json")[0] == 0
    figures = []
    for results in (tmp_path / "all.json", tmp_path / "plain" / "detections.coco.json"):
        file = tmp_path / f"{results.stem}.figures.json"
        words = ("--results", results, "--intervals", 0, "--json", file)
        assert command("evaluate", tmp_path / "data", *words)[0] == 0
        figures.append(json.loads(file.read_text("utf-8")))
    assert figures[0] == figures[1]
    assert figures[0]["map_area"] > 0.3


def test_a_folder_in_memory_and_a_second_run(tiny: Path, tmp_path: Path, command: Command) -> None:
    name = uuid.uuid4().hex
    source = Place.at(f"memory://{name}/photos")
    for path in tiny.rglob("*.*"):
        source.write(path.relative_to(tiny).as_posix(), path.read_bytes())
    words = ("detect", source.name, *SAVE, "--recursive", "--part-images", 3)
    file = tmp_path / "figures.json"
    for run in (0, 1):
        code, told = command(*words, "-o", f"memory://{name}/found", "--json", file)
        assert code == 1
        assert "note: videos are left out: 1" in told
        figures = json.loads(file.read_text("utf-8"))
        assert (figures["images"], figures["skipped"], figures["frames"]) == (
            6,
            7 * run,
            7 - 7 * run,
        )
        assert [line.split(":")[0] for line in figures["failed"]] == ["bad.jpg"]
    place = Place.at(f"memory://{name}/found")
    assert sum(name.endswith(".parquet") for name in place.files(deep=True)) == 3
    merged = ("merge-results", place.name, "--quiet", "-o", tmp_path / "all.parquet")
    code, told = command(*merged, "--json", tmp_path / "merged.json")
    assert (code, told.splitlines()[0]) == (1, "1 of 7 failed:")
    assert json.loads((tmp_path / "merged.json").read_text("utf-8"))["merged_images"] == 7
    assert command(*merged, "--json", tmp_path / "merged.json")[0] == 1  # over its own files
    local = tmp_path / "local"
    assert command("detect", tiny, *SAVE, "--recursive", "-o", local)[0] == 1
    assert command("merge-results", local, "-o", tmp_path / "local.parquet")[0] == 1
    assert rows_of(tmp_path / "local.parquet") == rows_of(tmp_path / "all.parquet")


def test_images_that_failed_are_tried_again_when_asked(
    photos: Path, tmp_path: Path, command: Command
) -> None:
    out, file = tmp_path / "out", tmp_path / "figures.json"
    words = ("detect", photos, *SAVE, "--part-images", 3, "-o", out, "--json", file)

    def run(*more: str) -> tuple[int, int, list[str]]:
        code, _ = command(*words, *more)
        figures = json.loads(file.read_text("utf-8"))
        return code, figures["skipped"], [line.split(":")[0] for line in figures["failed"]]

    assert run() == (1, 0, ["bad.jpg"])
    before = {path.name: path.stat().st_mtime_ns for path in out.rglob("part-*")}
    assert run("--retry-failed") == (1, 5, ["bad.jpg"])  # still bad
    good = photos / "scene_0000.jpg"
    bad = (photos / "bad.jpg").read_bytes()
    try:
        (photos / "bad.jpg").write_bytes(good.read_bytes())
        assert run() == (1, 6, ["bad.jpg"])  # not tried
        assert run("--retry-failed") == (0, 5, [])
        assert run("--retry-failed") == (0, 6, [])
    finally:
        (photos / "bad.jpg").write_bytes(bad)
    assert command("merge-results", out, "-o", tmp_path / "all.parquet")[0] == 0
    rows = rows_of(tmp_path / "all.parquet")
    own = [row for row in rows if row["image"] == "bad.jpg"]
    same = [row for row in rows if row["image"] == good.name]
    assert [row["box"] for row in own] == [row["box"] for row in same]
    assert len({row["image"] for row in rows}) == 6
    after = {path.name: path.stat().st_mtime_ns for path in out.rglob("part-*")}
    assert any(after.get(name) == time for name, time in before.items())  # whole parts stay


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is one of POSIX")
def test_a_worker_that_is_killed_is_started_again(
    photos: Path, tmp_path: Path, command: Command
) -> None:
    out = tmp_path / "out"
    words = ["detect", str(photos), *SAVE, "--part-images", "1", "-o", str(out), "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sppdet", *words], stderr=subprocess.DEVNULL, cwd=tmp_path
    )
    deadline = time.monotonic() + 120
    while not list(out.rglob("part-*.json")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() in (-signal.SIGKILL, 1)
    before = {path.name: path.stat().st_mtime_ns for path in out.rglob("part-*.json")}
    assert before
    code, _ = command(*words)
    assert code == 1
    after = {path.name: path.stat().st_mtime_ns for path in out.rglob("part-*.json")}
    assert before.items() <= after.items()
    assert command("merge-results", out, "-o", tmp_path / "all.parquet")[0] == 1
    assert len({row["image"] for row in rows_of(tmp_path / "all.parquet")}) == 6
    names = {path.name for path in out.rglob("*.*") if path.name.startswith(".")}
    assert names == set()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("{photos} --save parquet --shard 0/4", "--shard 0/4: give the number of the shard"),
        ("{photos} --save parquet --shard x", "--shard x: give the number of the shard"),
        ("{photos} --shard 1/4", "--shard 1/4: needs --save parquet"),
        ("{photos} --part-images 3", "--part-images 3: needs --save parquet"),
        ("{photos} --retry-failed", "--retry-failed: needs --save parquet"),
        ("{photos} --save parquet,json", "--save parquet,json: parquet stands alone"),
        ("{photos} --save parquet --every 2", "--every 2: does not go with --save parquet"),
        ("{photos} --save parquet --window-mapping code", "code: does not go with --save parquet"),
        ("{photos} --save parquet --pooling max", "--pooling max: does not go with --save"),
        ("{photos}/empty.png --save parquet", "empty.png: is not a folder"),
        ("{photos} {photos} --save parquet", "takes one folder"),
        ("{photos} --save parquet -o {photos}", "holds the images; choose another"),
        ("{photos} --save parquet -o {photos}/bad.jpg", "bad.jpg: is a file"),
        ("memory://nothing --save parquet", "memory://nothing: holds no images"),
        ("xx://bucket --save parquet", "xx://bucket: cannot be reached"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    words: str, why: str, photos: Path, tmp_path: Path, command: Command
) -> None:
    out = [] if "-o" in words.split() else ["-o", tmp_path / "out"]
    code, told = command("detect", *words.format(photos=photos).split(), *out)
    (line,) = told.splitlines()
    assert code == 2
    assert line.startswith("error: ")
    assert why in line
    assert not (tmp_path / "out").exists()


def test_an_output_of_other_shards_and_another_setting(
    tiny: Path, tmp_path: Path, command: Command
) -> None:
    words = ("detect", tiny, *SAVE, "-o", tmp_path / "out")
    assert command(*words, "--shard", "1/2")[0] in (0, 1)
    for more, why in (
        (("--shard", "1/3"), "holds shard 1/2, and this is shard 1/3"),
        (("--shard", "2/2", "--max", 5), "holds shard 1/2 of another setting, --max 100, not 5"),
        (("--shard", "1/2", "--threshold", 0), "of another setting, thresholds"),
    ):
        code, told = command(*words, *more)
        assert (code, len(told.splitlines())) == (2, 1)
        assert why in told
    for name, why in (
        ("all.txt", "name a file that ends in"),
        ("all.json", "shard 2/2 is missing"),
    ):
        code, told = command("merge-results", tmp_path / "out", "-o", tmp_path / name)
        assert (code, len(told.splitlines())) == (2, 1)
        assert why in told


@pytest.mark.parametrize("package", ["pyarrow", "fsspec"])
def test_a_missing_package_gives_the_command_that_installs_it(
    package: str, photos: Path, tmp_path: Path
) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from sppdet.cli import main\n"
        f"main(['detect', {str(photos)!r}, '--save', 'parquet', '-o', {str(tmp_path / 'a')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert line.endswith(f"needs the package {package}; pip install 'sppdet[scale]'")
