from pathlib import Path

import pytest

from sppdet.errors import SppdetError
from sppdet.runtime.files import atomic_path, write_text


def test_the_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.json"
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".json"
        temporary.write_text("half")
        assert not target.exists()
    assert target.read_text() == "half"
    assert [path.name for path in target.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path: Path, failure: type) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(failure), atomic_path(target) as temporary:
        temporary.write_text("new")
        raise failure
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    target = tmp_path / "a.txt"
    with pytest.raises(SppdetError, match=r"a\.txt: cannot be written \(No space left") as caught:
        with atomic_path(target), full.open("w") as disk:
            disk.write("x")
            disk.flush()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SppdetError, match="cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "x")
