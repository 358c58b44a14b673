from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from sppdet.errors import SppdetError
from sppdet.runtime.tensor_files import load_tensors, make, save_tensors
from sppdet.settings import RcnnSettings, SelectionSettings, SppSettings

TENSORS = {
    "a": torch.arange(200, dtype=torch.float32).reshape(10, 20).T,
    "half": torch.ones(40, dtype=torch.float16),
    "bfloat": torch.ones(40, dtype=torch.bfloat16),
    "whole": torch.arange(9),
}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a", TENSORS, {"key": "text é"})
    tensors, metadata = load_tensors(tmp_path / "a")
    assert metadata == {"key": "text é"}
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_equal_content_gives_equal_files(tmp_path: Path) -> None:
    metadata = {f"key {number}": 'text "é" \x1f \u2028 /' for number in range(9)}
    for name in "abc":
        save_tensors(tmp_path / name, TENSORS, metadata)
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1
    assert load_tensors(tmp_path / "a")[1] == metadata


def test_every_flipped_bit_of_the_tensors_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a"
    save_tensors(path, TENSORS, {"key": "text"})
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    random = np.random.default_rng(0)
    for place in random.integers(header, len(content), 60):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(random.integers(8))
        path.write_bytes(flipped)
        with pytest.raises(SppdetError, match="is damaged"):
            load_tensors(path)


def test_changed_metadata_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a"
    save_tensors(path, TENSORS, {"key": "text"})
    path.write_bytes(path.read_bytes().replace(b'"text"', b'"next"'))
    with pytest.raises(SppdetError, match="is damaged"):
        load_tensors(path)


def test_a_file_without_a_checksum_is_read(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "a", {"key": "text"})
    assert load_tensors(tmp_path / "a")[1] == {"key": "text"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    save_tensors(tmp_path / "a", {"w": torch.tensor([1.0, value]).half()}, {})
    with pytest.raises(SppdetError, match="w has values that are not finite"):
        load_tensors(tmp_path / "a")


def test_a_dataclass_from_json() -> None:
    assert make(SppSettings, {"scales": [480, 576]}) == SppSettings((480, 576))
    assert make(SelectionSettings, {"nms_iou": 1}) == SelectionSettings(nms_iou=1)


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (SppSettings, {"scales": 480}),
        (SppSettings, {"scales": ["480"]}),
        (SppSettings, {"scales": [True]}),
        (SppSettings, {"longest_side": 1.5}),
        (SppSettings, {"normalize_levels": "yes"}),
        (SppSettings, {"unknown": 1}),
        (RcnnSettings, {"mode": "magic"}),
        (RcnnSettings, {"mode": []}),
        (SelectionSettings, {"nms_iou": "0.3"}),
        (SelectionSettings, {"nms_iou": None}),
    ],
)
def test_wrong_types_are_refused(cls: type, values: dict) -> None:
    with pytest.raises((TypeError, ValueError)):
        make(cls, values)
