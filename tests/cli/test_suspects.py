"""The command on scenes, some labels of which are broken."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sppdet.cli import main
from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.datasets.writers import write_dataset
from sppdet.evaluation.suspects_report import FILES


def run(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as stop:
        main([*map(str, words)])
    return int(stop.value.code or 0)


@pytest.mark.slow
def test_a_label_of_another_class_comes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scenes(tmp_path / "scenes", 24, seed=3, size=(200, 150))
    dataset = read_dataset(tmp_path / "scenes")
    entries = dataset.all_annotations()
    broken = next(k for k, entry in enumerate(entries) if len(entry))
    entry = entries[broken]
    labels = entry.labels.copy()
    labels[0] = (labels[0] + 1) % len(dataset.classes)
    entries[broken] = replace(entry, labels=labels)
    dataset._annotations = entries
    write_dataset({"": dataset}, "coco", tmp_path / "data")

    words = ["data", "suspects", tmp_path / "data", "-o", tmp_path / "out", "--trunk", "small"]
    assert run(*words, "--workers", "1", "--pictures", "3") == 0
    said = capsys.readouterr().err
    count = sum(map(len, entries))
    assert f"{count} labels in 24 images" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    listed = json.loads((tmp_path / "out" / "suspects.json").read_bytes())["suspects"]
    doubts = [one["doubt"] for one in listed]
    assert doubts == sorted(doubts, reverse=True)
    about = [
        (one["image"], one["label"]["number"])
        for one in listed[: max(count // 10, 3)]
        if one["kind"] == "wrong class"
    ]
    assert (dataset.images[broken].name, 0) in about


def test_a_page_that_is_not_ours_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scenes(tmp_path / "scenes", 2, seed=0, size=(100, 80))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.html").write_text("mine")
    assert run("data", "suspects", tmp_path / "scenes", "-o", tmp_path / "out") == 2
    assert "sppdet did not make it" in capsys.readouterr().err
    assert (tmp_path / "out" / "index.html").read_text() == "mine"
