from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from sppdet.errors import SppdetError
from sppdet.trunks import SPECS, Preprocessing, build_trunk, load_trunk, packaged_weights
from sppdet.trunks.loading import comes_installed, cut_behind

IMAGE = np.random.default_rng(0).integers(0, 255, (80, 96, 3)).astype(np.uint8)


@pytest.mark.parametrize("kind", ["safetensors", "state dict", "checkpoint", "half"])
def test_files_of_every_kind(tmp_path: Path, state: dict[str, torch.Tensor], kind: str) -> None:
    path = tmp_path / "weights"
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


def test_weights_of_another_network_are_refused(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    safetensors.torch.save_file(state, tmp_path / "w")
    with pytest.raises(SppdetError, match="are these the weights of resnet18"):
        load_trunk("resnet18", tmp_path / "w")
    with pytest.raises(SppdetError, match="shape"):
        load_trunk("squeezenet1_0", tmp_path / "w")


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


def test_the_shared_weights(shared_data: Path) -> None:
    trunk = load_trunk("squeezenet1_0", shared_data / "squeezenet1_0.safetensors")
    assert trunk.preprocessing.channels == "BGR"
    assert trunk.channels == 512
    assert trunk.geometry.first_center == 17


def test_the_preprocessing_of_the_metadata_is_used(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    wanted = Preprocessing("BGR", 255.0, (104.0, 117.0, 123.0), (1.0, 2.0, 1.0))
    metadata = {"preprocessing": wanted.to_json()}
    safetensors.torch.save_file(state, tmp_path / "w", metadata)
    trunk = load_trunk("squeezenet1_1", tmp_path / "w")
    assert trunk.preprocessing == wanted
    expected = (IMAGE[:, :, ::-1].astype("f4") - wanted.mean) / wanted.std
    np.testing.assert_allclose(
        trunk.input_tensor(IMAGE)[0].permute(1, 2, 0).numpy(), expected, atol=1e-4
    )


@pytest.mark.parametrize("name", sorted(SPECS))
def test_the_packaged_weights_are_those_that_the_specs_name(name: str) -> None:
    file = packaged_weights(name)
    assert (file is not None) == (SPECS[name].weights == "packaged")
    assert file is None or file.is_file()


def test_a_name_without_a_spec_has_no_packaged_weights() -> None:
    assert packaged_weights("detector") is None  # a file of this name lies beside the weights


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("small", True),
        ("lite0", True),
        ("lite2", False),
        ("alexnet", False),
        ("zf5", False),
        ("mine", False),
    ],
)
def test_which_weights_are_installed(name: str, expected: bool) -> None:
    assert comes_installed(name) == expected


def test_a_layer_that_the_trunk_lacks_is_refused_before_its_weights_are_read() -> None:
    with pytest.raises(SppdetError, match="no fully connected layers"):
        load_trunk("small", "no such file", layer="fc6")


class Chain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.features = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 5, 1), nn.ReLU())
        self.classifier = nn.Linear(5, 2)


@pytest.mark.parametrize(
    ("last", "names"),
    [
        ("first", ["first.weight", "first.bias"]),
        ("features.0", ["first.weight", "first.bias"]),
        (
            "features.1",
            ["first.weight", "first.bias", "features.1.weight", "features.1.bias"],
        ),
    ],
)
def test_a_cut_network_ends_behind_the_layer_and_keeps_its_names(
    last: str, names: list[str]
) -> None:
    network = Chain()
    cut = cut_behind(network, last)
    assert list(cut.state_dict()) == names
    assert list(cut.modules())[-1] is network.get_submodule(last)


@pytest.mark.parametrize("last", ["second", "features.7", "first.weight"])
def test_a_layer_to_cut_behind_must_exist(last: str) -> None:
    with pytest.raises(ValueError, match="no child"):
        cut_behind(Chain(), last)
