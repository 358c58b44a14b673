from pathlib import Path

import numpy as np
import pytest

from sppdet.benchmark.proposal_file import read_proposals, write_proposals
from sppdet.errors import SppdetError


def test_what_is_written_is_read(tmp_path: Path) -> None:
    boxes = np.float32([[1, 2, 30.5, 40], [0, 0, 5, 5.25]])
    write_proposals(tmp_path / "p.json", {"a.jpg": boxes, "b.jpg": boxes[:1]})
    read = read_proposals(tmp_path / "p.json", [Path("x/b.jpg"), Path("y/a.jpg")])
    assert [len(one) for one in read] == [1, 2]
    assert read[1].dtype == np.float32
    np.testing.assert_allclose(read[1], boxes, atol=0.051)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1, 2]",
        "{}",
        '{"a.jpg": 3}',
        '{"a.jpg": [[1, 2, 3]]}',
        '{"a.jpg": []}',
        '{"a.jpg": [[5, 5, 5, 9]]}',
        '{"a.jpg": [["x", 1, 2, 3]]}',
        '{"a.jpg": [[0, 0, NaN, 3]]}',
        '{"a.jpg": [[0, 0, 1e30, 3]]}',
        pytest.param(f'{{"a.jpg": [[0, 0, 1{"0" * 400}, 3]]}}', id="400 digits"),
        pytest.param("[" * 100_000, id="nested"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(SppdetError, match=r"p\.json"):
        read_proposals(path, [Path("a.jpg")])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SppdetError, match=r"none\.json"):
        read_proposals(tmp_path / "none.json", [Path("a.jpg")])
