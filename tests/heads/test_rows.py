"""Vectors in blocks against one tensor."""

import numpy as np
import pytest
import torch

from sppdet.heads import rows as module
from sppdet.heads.rows import Rows


@pytest.fixture(params=[3, 1, 1000], ids=["three to a block", "one", "all in one"])
def per_block(request, monkeypatch) -> int:
    monkeypatch.setattr(module, "BLOCK_BYTES", request.param * 2 * 5)
    monkeypatch.setattr(module, "DEVICE_BLOCK_BYTES", request.param * 2 * 5)
    return request.param


@pytest.fixture(params=[None, "cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request) -> torch.device | None:
    return request.param and torch.device(request.param)


def some(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(count).standard_normal((count, 5))).half()


@pytest.mark.parametrize("counts", [[], [0], [1], [7], [2, 0, 1, 9, 3]])
def test_rows_are_the_vectors_one_behind_the_other(per_block, device, counts) -> None:
    rows = Rows(5, device)
    for count in counts:
        rows.append(some(count).double())
    whole = torch.cat([torch.zeros(0, 5).half(), *map(some, counts)])
    assert len(rows) == len(whole)
    assert torch.equal(rows[:].cpu(), whole)
    assert torch.equal(rows[1:5].cpu(), whole[1:5])
    assert torch.equal(rows[4:2].cpu(), whole[:0])
    index = np.random.default_rng(0).permutation(len(whole))
    assert torch.equal(rows[index].cpu(), whole[index])


@pytest.mark.parametrize("index", [[], [0], [11], [0, 1, 2, 3], [2, 5, 6, 7, 10], list(range(12))])
def test_kept_rows_move_up_and_others_can_follow(per_block, device, index) -> None:
    rows, whole = Rows.of(some(12), device), some(12)
    rows.keep(np.array(index, np.int64))
    assert torch.equal(rows[:].cpu(), whole[index])
    assert len(rows._blocks) == -(-len(index) // per_block)
    rows.append(some(4))
    assert torch.equal(rows[:].cpu(), torch.cat([whole[index], some(4)]))


def test_scale(per_block, device) -> None:
    rows = Rows.of(some(7), device)
    rows.scale(0.5)
    assert torch.equal(rows[:].cpu(), some(7) * 0.5)


def test_a_vector_may_be_longer_than_a_block(monkeypatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 4)
    assert torch.equal(Rows.of(some(3))[:], some(3))
