from pathlib import Path

import numpy as np
import pytest

from sppdet.boxes import as_boxes
from sppdet.features.spp import SppRegionFeatures
from sppdet.settings import SppSettings
from sppdet.training.region_store import RegionStore, image_key
from sppdet.trunks import build_trunk

BOXES = as_boxes([[0, 0, 60, 60], [20, 10, 90, 64]])
IMAGE = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)


def store(folder: Path, side: int = 64, limit: int = 1 << 20) -> RegionStore:
    extractor = SppRegionFeatures(build_trunk("small", None), SppSettings((side,)))
    return RegionStore(folder, extractor, limit)


def never() -> np.ndarray:
    raise AssertionError("the image was read although its regions are stored")


def values(regions) -> np.ndarray:
    return regions.features(regions.keys).numpy()


def test_the_second_start_computes_nothing(tmp_path: Path) -> None:
    first = store(tmp_path).get(lambda: IMAGE, b"key", BOXES)
    again = store(tmp_path).get(never, b"key", BOXES)
    np.testing.assert_array_equal(values(first), values(again))


@pytest.mark.parametrize("change", ["image", "boxes", "settings", "precision"])
def test_anything_else_is_computed(tmp_path: Path, change: str) -> None:
    store(tmp_path).get(lambda: IMAGE, b"key", BOXES)
    other = store(tmp_path, 96 if change == "settings" else 64)
    if change == "precision":
        trunk = build_trunk("small", None).in_precision("bfloat16")
        other = RegionStore(tmp_path, SppRegionFeatures(trunk, SppSettings((64,))), 1 << 20)
    with pytest.raises(AssertionError, match="was read"):
        other.get(
            never,
            b"else" if change == "image" else b"key",
            BOXES[:1] if change == "boxes" else BOXES,
        )


def test_a_damaged_file_is_computed_again(tmp_path: Path) -> None:
    first = store(tmp_path).get(lambda: IMAGE, b"key", BOXES)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(
        values(store(tmp_path).get(lambda: IMAGE, b"key", BOXES)), values(first)
    )


def test_the_limit_is_kept_and_changes_nothing(tmp_path: Path) -> None:
    kept = store(tmp_path / "a").get(lambda: IMAGE, b"key", BOXES)
    not_kept = store(tmp_path / "b", limit=10).get(lambda: IMAGE, b"key", BOXES)
    assert not (tmp_path / "b").exists()
    np.testing.assert_array_equal(values(kept), values(not_kept))


def test_clear_removes_what_was_used(tmp_path: Path) -> None:
    (tmp_path / "foreign.txt").touch()
    used = store(tmp_path)
    used.get(lambda: IMAGE, b"key", BOXES)
    used.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["foreign.txt"]


def test_image_keys_follow_the_content(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    keys = [image_key(tmp_path / name) for name in "abc"]
    assert keys[0] == keys[1] != keys[2]
