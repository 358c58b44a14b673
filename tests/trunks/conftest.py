import pytest
import torch

from sppdet.trunks import build_trunk


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    """The tensors of a squeezenet1_1 with the random weights of seed 0."""
    tensors = build_trunk("squeezenet1_1", None).state()
    return {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
