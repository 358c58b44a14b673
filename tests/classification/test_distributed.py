import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sppdet.classification.distributed import ALONE, Processes, SharedBatchNorm, join_processes
from sppdet.errors import SppdetError

OPTIONS = (
    *("--network", "spp5", "--levels", "1,2", "--batch", "12", "--sizes", "16,20", "--seed", "3"),
    *("--epochs", "2", "--rate", "0.02", "--average", "0.5", "--color", "0.2", "--device", "cpu"),
)


def test_parts_of_a_batch() -> None:
    assert ALONE.part(7) == slice(None)
    assert [Processes(rank, 3).part(12) for rank in range(3)] == [
        slice(0, 4),
        slice(4, 8),
        slice(8, 12),
    ]
    with pytest.raises(SppdetError, match="multiple of 3"):
        Processes(0, 3).part(8)


def test_alone_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    device = torch.device("cpu")
    assert join_processes(device) == (ALONE, device)


def test_shared_batch_norm_of_one_process(tmp_path: Path) -> None:
    """With one process it is batch norm itself, forwards, backwards and in its statistics."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1
    )
    try:
        plain, shared = torch.nn.BatchNorm2d(5), SharedBatchNorm(5)
        with torch.no_grad():
            plain.weight.uniform_(0.5, 2)
            plain.bias.uniform_(-1, 1)
        shared.load_state_dict(plain.state_dict())
        results = []
        for norm in (plain, shared):
            images = torch.linspace(-1, 3, 2 * 5 * 4 * 3).reshape(2, 5, 4, 3).requires_grad_()
            result = norm(images)
            (result * torch.arange(3.0)).square().sum().backward()
            results.append([result, images.grad, norm.weight.grad, norm.eval()(images)])
        for one, other in zip(*results, strict=True):
            assert torch.allclose(one, other, rtol=1e-3, atol=1e-3)
        for name, tensor in plain.state_dict().items():
            assert torch.allclose(tensor, shared.state_dict()[name], atol=1e-5), name
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one(square_folder: Path, tmp_path: Path) -> None:
    """With gloo on the CPU, batch norm included, in a run that stops and goes on."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    module = ["-m", "sppdet", "classify", "train", str(square_folder), *OPTIONS]
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

    def call(*words: str) -> str:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stderr

    call(sys.executable, *module, "--output", str(tmp_path / "one"))
    call(*start, *module, "--output", str(tmp_path / "two"), "--stop-after", "1")
    told = call(*start, *module, "--output", str(tmp_path / "two"))
    assert told.count("parameters, 48 images") == 1
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for key, tensor in one.items():
        assert torch.allclose(tensor.float(), two[key].float(), rtol=1e-3, atol=2e-5), key
    first, second = (
        json.loads((tmp_path / name / "history.json").read_text()) for name in ("one", "two")
    )
    for ours, theirs in zip(first, second, strict=True):
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-4)
        assert ours["train_accuracy"] == theirs["train_accuracy"]
