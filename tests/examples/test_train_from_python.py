from pathlib import Path

import pytest

from sppdet.datasets.scenes import write_scenes


@pytest.mark.slow
def test_it_trains_and_finds(example, tmp_path: Path, capsys) -> None:
    write_scenes(tmp_path / "train", 24, seed=0, size=(240, 180))
    write_scenes(tmp_path / "test", 10, seed=1, size=(240, 180))
    found = example("train_from_python").main(str(tmp_path))
    assert set(found) == {"apple", "banana", "orange"}
    assert sum(found.values()) / 3 > 0.5
    out = capsys.readouterr().out
    assert "mining: 48" in out
    assert "95 %" in out
