import hashlib
from pathlib import Path

import pytest
import safetensors.torch
import torch

from sppdet.errors import SppdetError
from sppdet.trunks import load_trunk
from sppdet.trunks.weights import digest, read_weights


class Evil:
    def __reduce__(self):
        return (Path("pwned").touch, ())


@pytest.mark.parametrize("content", ["text", "empty", "pickle", "tensor", "missing"])
def test_other_files_are_refused_and_never_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w.pth"
    if content == "pickle":
        torch.save({"a": Evil()}, path)
    elif content == "tensor":
        torch.save(torch.zeros(3), path)
    elif content != "missing":
        path.write_text("" if content == "empty" else "hello")
    with pytest.raises(SppdetError, match=r"w\.pth") as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "pwned").exists()


def test_broken_metadata_is_named(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "w", {"preprocessing": "{}"})
    with pytest.raises(SppdetError, match="metadata"):
        read_weights(tmp_path / "w")


@pytest.mark.parametrize(
    "kind",
    [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8,
     torch.bool, torch.complex64],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (), (0, 3)])
def test_the_digest_follows_the_content(kind: torch.dtype, shape: tuple[int, ...]) -> None:
    values = torch.ones(shape).to(kind)
    found = digest({"b": values, "a": torch.zeros(1)})
    assert found == digest({"a": torch.zeros(1), "b": values.clone()})
    assert found != digest({"b": values, "c": torch.zeros(1)})
    if values.numel():
        changed = values.clone()
        changed.view(-1)[-1] = 0
        assert found != digest({"b": changed, "a": torch.zeros(1)})


def test_the_digest_hashes_names_types_shapes_and_bytes_in_the_order_of_the_names() -> None:
    """Detector files hold digests, so that they must never change."""
    tensors = {"b": torch.randn(2, 3, 4, 5), "a": torch.arange(6)}
    hashed = hashlib.sha256(b"a torch.int64 (6,)" + tensors["a"].numpy().tobytes())
    hashed.update(b"b torch.float32 (2, 3, 4, 5)" + tensors["b"].numpy().tobytes())
    assert digest(tensors) == hashed.hexdigest()[:16]
    tensors["b"] = tensors["b"].to(memory_format=torch.channels_last)
    assert digest(tensors) == hashed.hexdigest()[:16]


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module.model."])
@pytest.mark.parametrize("container", ["", "state_dict", "model", "model_state_dict"])
def test_checkpoints_of_trainings_are_read(prefix: str, container: str, tmp_path: Path) -> None:
    tensors = {f"{prefix}{name}": torch.ones(2) for name in ("features.0.weight", "fc.bias")}
    content = {container: tensors, "epoch": 3} if container else tensors
    torch.save(content, tmp_path / "w.pth")
    assert sorted(read_weights(tmp_path / "w.pth").tensors) == ["fc.bias", "features.0.weight"]


def test_messages_name_the_file_that_is_wrong(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "w.pth")
    with pytest.raises(SppdetError, match=r"/w\.pth: .*has no .*are these the weights of small"):
        load_trunk("small", tmp_path / "w.pth")
