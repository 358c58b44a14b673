"""The script that measures the waiting times of the page: the folder that it makes."""

import importlib
import sys
from pathlib import Path

import pytest

from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.serving.folder import PhotoFolder

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize(("labelled", "total"), [(3, 5), (0, 1), (8, 12)])
def test_a_folder_has_labels_behind_photographs_without(
    labelled: int, total: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    script = importlib.import_module("label_speed")
    assert sys.modules["label_speed"] is script
    write_scenes(tmp_path / "scenes", 5, seed=0, size=(160, 120))
    dataset = read_dataset(tmp_path / "scenes")
    script.fill(tmp_path / "folder", [dataset], labelled, total)
    found = PhotoFolder(tmp_path / "folder")
    assert len(found.images) == total
    counts = found.files.counts()
    assert [image in counts for image in found.images] == [False] * (total - labelled) + [
        True
    ] * labelled
    open_ones = [image.read_bytes() for image in found.images if image not in counts]
    assert len(set(open_ones)) == min(len(open_ones), 5)
    assert sum(counts.values()) > 0 or not labelled
