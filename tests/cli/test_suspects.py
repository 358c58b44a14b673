"""The command on scenes."""

import json
from pathlib import Path

import pytest

from sppdet.cli import main
from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.evaluation.suspects_report import FILES
from sppdet.runtime.outputs import check_outputs


def run(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as stop:
        main([*map(str, words)])
    return int(stop.value.code or 0)


@pytest.mark.slow
def test_the_list_is_in_order_and_its_page_is_written_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scenes(tmp_path / "scenes", 6, seed=7, size=(120, 90))
    dataset = read_dataset(tmp_path / "scenes")
    words = ["data", "suspects", tmp_path / "scenes", "-o", tmp_path / "out", "--trunk", "small"]
    assert run(*words, "--workers", "1", "--pictures", "3") == 0
    said = capsys.readouterr().err
    assert f"{sum(map(len, dataset.all_annotations()))} labels in 6 images, " in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    content = json.loads((tmp_path / "out" / "suspects.json").read_bytes())
    assert sum(content["kinds"].values()) == len(content["suspects"])
    doubts = [one["doubt"] for one in content["suspects"]]
    assert doubts == sorted(doubts, reverse=True)
    names = {path.name for path in dataset.images}
    assert {one["image"] for one in content["suspects"]} <= names
    check_outputs([tmp_path / "out" / name for name in FILES])  # the same command may write again


def test_a_page_that_is_not_ours_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scenes(tmp_path / "scenes", 2, seed=0, size=(100, 80))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.html").write_text("mine")
    assert run("data", "suspects", tmp_path / "scenes", "-o", tmp_path / "out") == 2
    assert "sppdet did not make it" in capsys.readouterr().err
    assert (tmp_path / "out" / "index.html").read_text() == "mine"
