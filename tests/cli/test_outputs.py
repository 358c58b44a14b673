"""No command writes over a file that sppdet did not make, and none does work before it says so."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.cli import main
from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.detections import Detections
from sppdet.evaluation.export import export

COMMANDS = {
    "detect": "detect {data}/a.png --output {out}",
    "detect a folder": "detect {data} --output {data}",
    "detect into a file": "detect {data} --output {mine}",
    "train": "train {data} --output {mine}",
    "train on its weights": "train {data} --output {weights} --weights {weights}",
    "evaluate": "evaluate {data} --results {results} --json {mine}",
    "evaluate its results": "evaluate {data} --results {results} --export {results}",
    "compare": "evaluate {data} --results {results} --compare {other} --export {other}",
    "report": "evaluate {data} --results {results} --report {out}",
    "export": "evaluate {data} --results {results} --export {out}",
    "export texts": "evaluate {data} --results {results} --export {out} --export-format text",
    "proposals": "evaluate {data} --proposals fast --json {mine}",
    "two outputs": "evaluate {data} --results {results} --json {new}.json --export {new}.json",
    "output in an output": "evaluate {data} --results {results} --json {new} --export {new}",
    "check": "data check {data} --json {mine}",
    "contact sheet": "data check {data} --contact-sheet {mine}",
    "picture": "benchmark {data}/a.png --picture {mine}",
    "growth": "benchmark {data}/a.png --scaling {mine}",
    "figures": "benchmark {data}/a.png --json {mine}",
    "boxes": "benchmark {data}/a.png --save-proposals {mine}",
    "classify": "classify train {classes} --output {out}",
    "predict": "classify predict {data}/a.png --checkpoint {weights} --json {mine}",
    "test": "classify test {classes} --checkpoint {weights} --json {mine}",
    "info": "info {weights} --json {mine}",
    "explain": "explain {weights} {data}/a.png --output {mine}",
    "find": "find {data}/a.png {data} --box 1,1,20,20 --output {mine}",
    "detections beside one": "detect {data}/a.png --output {data} --save txt",
    "classes beside one": "detect {data}/a.png --output {data} --save json,voc",
    "report beside images": "evaluate {data} --results {results} --report {data}",
    "export beside images": "evaluate {data} --results {results} --export {data}",
    "labels beside images": "evaluate {data} --results {results} --export {data} "
    "--export-format yolo",
    "sheet beside images": "data check {data} --contact-sheet {data}/sheet.jpg",
    "explain beside": "explain {weights} {data}/b.png --output {data}/../data",
    "find beside": "find {data}/a.png {data} --box 1,1,20,20 --output {data}",
    "suspects beside": "data suspects {data} --output {data}",
    "weights": "classify export --checkpoint {weights} --output {mine}",
}
REASONS = ("did not make", "an input", "the images", "is a file", "two outputs", "lies in")


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    data = tmp_path / "data"
    write_scenes(data, 2, seed=1, size=(60, 50))
    for old, new in zip(sorted(data.glob("*.jpg")), ("a", "b"), strict=True):
        Image.open(old).save(data / f"{new}.png")
        old.unlink()
        old.with_suffix(".xml").rename(data / f"{new}.xml")
    dataset = read_dataset(data)
    found = [Detections([[1, 1, 30, 30]], [0], [0.01], dataset.classes) for _ in dataset.images]
    for name in ("results", "other"):
        export(tmp_path / f"{name}.json", "coco", dataset, found)
    for split in ("train", "test"):
        (tmp_path / "classes" / split / "x").mkdir(parents=True)
        shutil.copy(data / "a.png", tmp_path / "classes" / split / "x")
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a.jpg", "curves.csv", "curves.png", "a.txt"):
        (out / name).write_text("mine")
    for name in dataset.classes:
        (out / f"comp4_det_test_{name}.txt").write_text("mine")
    (tmp_path / "mine.jpg").write_bytes(b"\xff\xd8\xff mine")
    (tmp_path / "weights").write_text("weights")
    return {
        "data": data,
        "out": out,
        "mine": tmp_path / "mine.jpg",
        "classes": tmp_path / "classes",
        "results": tmp_path / "results.json",
        "other": tmp_path / "other.json",
        "weights": tmp_path / "weights",
        "new": tmp_path / "new",
    }


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_files_of_the_user_stay(
    name: str, places: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main([word.format(**places) for word in COMMANDS[name].split()])
    assert stop.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ")
    assert any(reason in said for reason in REASONS)
    assert content(tmp_path) == before


@pytest.mark.slow
def test_the_same_command_twice(
    places: dict[str, Path], tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What sppdet has written may be written again."""
    out = tmp_path / "new"
    lines = [
        f"detect {places['data']} --output {out}/found --model {model_file}",
        f"evaluate {places['data']} --results {places['results']} --json {out}/ap.json "
        f"--export {out}/voc --report {out}/report",
        f"evaluate {places['data']} --results {places['results']} --export {out}/texts "
        "--export-format text",
        f"evaluate {places['data']} --results {places['results']} --export {out}/coco.json",
        f"data check {places['data']} --json {out}/check.json --contact-sheet {out}/sheet.webp",
    ]
    for line in lines * 2:
        with pytest.raises(SystemExit) as stop:
            main(line.split())
        assert not stop.value.code, capsys.readouterr().err


@pytest.mark.slow
def test_names_that_are_long_or_differ_in_case_only(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    names = ["a" * 251, "a" * 250 + "b", "Cat", "cat"]
    for name in names:
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(photos / f"{name[:251]}.png")
    with pytest.raises(SystemExit) as stop:
        main(["detect", str(photos), "--model", str(model_file), "-o", str(tmp_path / "out")])
    assert not stop.value.code
    found = {path.stem for path in (tmp_path / "out").glob("*.json")}
    assert len({name.casefold() for name in found}) == len(names)
    shown = {json.loads(p.read_text())["image"] for p in (tmp_path / "out").glob("*.json")}
    assert shown == {str(photos / f"{name}.png") for name in names}
