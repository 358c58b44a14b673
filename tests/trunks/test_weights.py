from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from sppdet.errors import SppdetError
from sppdet.trunks import Preprocessing, build_trunk, load_trunk
from sppdet.trunks.weights import digest, read_weights

IMAGE = np.random.default_rng(0).integers(0, 255, (80, 96, 3)).astype(np.uint8)


def random_state() -> dict[str, torch.Tensor]:
    state = build_trunk("squeezenet1_1", None).network.state_dict()
    return {
        name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()
    }


@pytest.mark.parametrize("kind", ["safetensors", "state dict", "checkpoint", "half"])
def test_files_of_every_kind(tmp_path: Path, kind: str) -> None:
    state, path = random_state(), tmp_path / "weights"
    state["classifier.1.weight"] = torch.zeros(3)  # a head that is not needed
    if kind == "safetensors":
        safetensors.torch.save_file(state, path)
    elif kind == "half":
        safetensors.torch.save_file({k: v.half() for k, v in state.items()}, path)
    else:
        torch.save({"state_dict": state} if kind == "checkpoint" else state, path)
    expected = build_trunk("squeezenet1_1", None).map(IMAGE)
    found = load_trunk("squeezenet1_1", path).map(IMAGE)
    torch.testing.assert_close(found, expected, atol=1e-2 if kind == "half" else 0, rtol=1e-2)


def test_the_preprocessing_of_the_metadata_is_used(tmp_path: Path) -> None:
    wanted = Preprocessing("BGR", 255.0, (104.0, 117.0, 123.0), (1.0, 2.0, 1.0))
    metadata = {"preprocessing": wanted.to_json()}
    safetensors.torch.save_file(random_state(), tmp_path / "w", metadata)
    trunk = load_trunk("squeezenet1_1", tmp_path / "w")
    assert trunk.preprocessing == wanted
    expected = (IMAGE[:, :, ::-1].astype("f4") - wanted.mean) / wanted.std
    np.testing.assert_allclose(
        trunk.input_tensor(IMAGE)[0].permute(1, 2, 0).numpy(), expected, atol=1e-4
    )


def test_the_default_preprocessing_is_torchvisions() -> None:
    trunk = build_trunk("squeezenet1_1", None)
    expected = (IMAGE / 255 - (0.485, 0.456, 0.406)) / np.array((0.229, 0.224, 0.225))
    np.testing.assert_allclose(
        trunk.input_tensor(IMAGE)[0].permute(1, 2, 0).numpy(), expected, atol=1e-5
    )


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


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    safetensors.torch.save_file(random_state(), tmp_path / "w")
    with pytest.raises(SppdetError, match="are these the weights of resnet18"):
        load_trunk("resnet18", tmp_path / "w")
    with pytest.raises(SppdetError, match="shape"):
        load_trunk("squeezenet1_0", tmp_path / "w")


def test_broken_metadata_is_named(tmp_path: Path) -> None:
    safetensors.torch.save_file(random_state(), tmp_path / "w", {"preprocessing": "{}"})
    with pytest.raises(SppdetError, match="metadata"):
        load_trunk("squeezenet1_1", tmp_path / "w")


def test_nan_in_the_weights_is_noticed() -> None:
    trunk = build_trunk("squeezenet1_1", None)
    next(trunk.network.parameters()).fill_(torch.nan)
    with pytest.raises(SppdetError, match="not finite"):
        trunk.map(IMAGE)


def test_unknown_trunks_and_trunks_without_ready_weights() -> None:
    with pytest.raises(SppdetError, match="unknown; choose one of"):
        load_trunk("resnet9000")
    with pytest.raises(SppdetError, match="--weights FILE"):
        load_trunk("zf5")


def test_offline_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(SppdetError, match=r"could not be downloaded from https://.*--weights FILE"):
        load_trunk("squeezenet1_1")


def test_the_digest_follows_the_content() -> None:
    a, b = random_state(), random_state()
    assert digest(a) == digest(b)
    b["features.0.bias"] += 1e-6
    assert digest(a) != digest(b)


def test_the_shared_weights(shared_data: Path) -> None:
    trunk = load_trunk("squeezenet1_0", shared_data / "squeezenet1_0.safetensors")
    assert trunk.preprocessing.channels == "BGR"
    assert trunk.channels == 512
    assert trunk.geometry.first_center == 17
