import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.proposals import cache as cache_module
from sppdet.proposals import propose
from sppdet.proposals.cache import ProposalCache


@pytest.fixture
def photographs(tmp_path: Path) -> list[Path]:
    paths = []
    for seed in range(4):
        tiles = np.random.default_rng(seed).integers(0, 255, (5, 6, 3), np.uint8)
        path = tmp_path / f"{seed}.png"
        Image.fromarray(tiles.repeat(20, 0).repeat(20, 1)).save(path)
        paths.append(path)
    return paths


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def forbid_search(monkeypatch):
    def fail(*_args, **_kwargs):
        raise AssertionError("searched again")

    monkeypatch.setattr(cache_module, "propose", fail)


def test_second_time_is_read_from_disk(photographs, tmp_path, monkeypatch):
    cache = ProposalCache(tmp_path / "cache")
    first = cache.get(photographs[0])
    np.testing.assert_array_equal(first, propose(np.array(Image.open(photographs[0]))))
    forbid_search(monkeypatch)
    np.testing.assert_array_equal(cache.get(photographs[0]), first)
    np.testing.assert_array_equal(cache.get(np.array(Image.open(photographs[0]))), first)


def test_content_settings_and_number_have_their_own_entries(photographs, tmp_path):
    cache = ProposalCache(tmp_path / "cache")
    cache.get(photographs[0])
    cache.get(photographs[1])
    cache.get(photographs[0], max_boxes=3)
    cache.get(photographs[0], "quality")
    assert len(entries(cache.folder)) == 4


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_damaged_entry_is_searched_again(photographs, tmp_path, damage):
    cache = ProposalCache(tmp_path / "cache")
    expected = cache.get(photographs[0])
    (entry,) = entries(cache.folder)
    content = bytearray(entry.read_bytes())
    if damage == "flip":
        content[40] ^= 1
    entry.write_bytes({"truncate": content[:-16], "flip": content, "empty": b""}[damage])
    np.testing.assert_array_equal(cache.get(photographs[0]), expected)
    assert len(entry.read_bytes()) == 16 + expected.nbytes


def test_threads_asking_for_the_same_image(photographs, tmp_path):
    cache = ProposalCache(tmp_path / "cache")
    found: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: found.append(cache.get(photographs[0]))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for boxes in found:
        np.testing.assert_array_equal(boxes, found[0])
    assert len(entries(cache.folder)) == 1


def test_a_folder_that_cannot_be_written_costs_time_only(photographs, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    cache = ProposalCache(blocked)
    np.testing.assert_array_equal(cache.get(photographs[0]), propose(photographs[0]))
    assert "cannot be written" in str(cache.disk.problem)
    (said,) = cache.disk.summary("proposals")[1:]
    assert "SPPDET_CACHE" in said


def test_the_code_is_part_of_the_key(photographs, tmp_path, monkeypatch):
    cache = ProposalCache(tmp_path / "cache")
    cache.get(photographs[0])
    cache.get(photographs[0])
    assert (cache.disk.found, cache.disk.made) == (1, 1)
    monkeypatch.setattr(cache_module, "code_digest", lambda module: b"edited")
    cache.get(photographs[0])
    assert (cache.disk.found, cache.disk.made) == (1, 2)
    assert cache.disk.summary("proposals")[0].startswith("proposals: 1 of 3 from the cache (")
