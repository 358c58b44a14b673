import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from torch import nn

from sppdet.boxes import as_boxes
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.features.rcnn import RcnnRegionFeatures
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.calibration import uncalibrated
from sppdet.heads.linear import LinearScorer
from sppdet.settings import RcnnSettings, SppSettings
from sppdet.trunks import MapGeometry, Preprocessing, Trunk, load_trunk, make_trunk
from sppdet.trunks.timm_stage import working_multiple
from sppdet.trunks.weights import Weights, read_weights

IMAGE = np.random.default_rng(0).integers(0, 255, (131, 190, 3)).astype(np.uint8)

ROWS = [
    # name, full name, channels, stride, first centre, side, mean
    ("resnet18", "resnet18.a1_in1k@3", 256, 16, 0.0, 224, 0.485),
    ("resnet18@2", "resnet18.a1_in1k@2", 128, 8, 0.0, 224, 0.485),
    ("convnext_atto", "convnext_atto.d2_in1k@2", 160, 16, 7.5, 224, 0.485),
    ("tf_efficientnet_lite0", "tf_efficientnet_lite0.in1k@3", 112, 16, 15.0, 224, 0.5),
    (
        "vit_tiny_patch16_224",
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k@11",
        192,
        16,
        7.5,
        224,
        0.5,
    ),
    (
        "vit_tiny_patch16_224@3",
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k@3",
        192,
        16,
        7.5,
        224,
        0.5,
    ),
]


@pytest.fixture(scope="module")
def trunk_of() -> Callable[[str], Trunk]:
    """Trunks with random weights, each built once."""
    built: dict[str, Trunk] = {}

    def get(name: str) -> Trunk:
        if name not in built:
            built[name] = load_trunk(f"timm:{name}", "random")
        return built[name]

    return get


@pytest.mark.parametrize(("name", "full", "channels", "stride", "first", "side", "mean"), ROWS)
def test_a_stage_of_a_network(
    trunk_of: Callable[[str], Trunk],
    name: str,
    full: str,
    channels: int,
    stride: int,
    first: float,
    side: int,
    mean: float,
) -> None:
    trunk = trunk_of(name)
    assert (trunk.name, trunk.channels, trunk.multiple) == (f"timm:{full}", channels, stride)
    assert trunk.geometry == MapGeometry(stride, first)
    assert (trunk.spec.crop, trunk.spec.context, trunk.spec.scales) == (side, 16, (480,))
    assert trunk.preprocessing.mean[0] == mean
    assert not any(parameter.requires_grad for parameter in trunk.network.parameters())
    rows, columns = (-(-length // stride) for length in IMAGE.shape[:2])
    assert trunk.map(IMAGE).shape == (rows, columns, channels)


@pytest.mark.parametrize(
    ("name", "patch", "side"),
    [("vit_small_patch14_dinov2", 14, 518), ("vit_small_patch16_dinov3", 16, 256)],
)
def test_transformers_of_today(name: str, patch: int, side: int) -> None:
    trunk = load_trunk(f"timm:{name}@0", "random")
    assert trunk.geometry == MapGeometry(patch, (patch - 1) / 2)
    assert (trunk.multiple, trunk.spec.crop) == (patch, side)
    assert trunk.map(IMAGE).shape[:2] == (-(-131 // patch), -(-190 // patch))


class Branches(nn.Module):
    """A branch of stride 8 meets one of stride 2, which only images of some sizes allow."""

    def __init__(self, size: int | None) -> None:
        super().__init__()
        self.near = nn.Conv2d(3, 4, 2, stride=2)
        self.far = nn.Conv2d(4, 4, 4, stride=4)
        self.size = size

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        near = self.near(batch)
        if self.size and near.shape[3] not in (self.size, 448, 224):
            raise ValueError("a size of its own")
        result: torch.Tensor = near + nn.functional.interpolate(self.far(near), scale_factor=4)
        return result


def test_a_network_may_want_a_multiple_of_its_stride() -> None:
    assert working_multiple(make_trunk(Branches(None), Preprocessing(), MapGeometry(2, 0.5))) == 8
    trunk = make_trunk(Branches(32), Preprocessing(), MapGeometry(2, 0.5), name="mine")
    with pytest.raises(SppdetError, match=r"trunk mine: .*any size \(.*; choose another network"):
        working_multiple(trunk)


def test_the_map_is_that_of_timm(trunk_of: Callable[[str], Trunk]) -> None:
    trunk = trunk_of("resnet18")
    torch.manual_seed(0)
    whole = timm.create_model("resnet18", features_only=True, out_indices=[3]).eval()
    batch = trunk.input_tensor(np.zeros((160, 224, 3), np.uint8))
    with torch.inference_mode():
        (expected,) = whole(batch)
    assert torch.equal(trunk.maps(batch), expected)


def test_the_token_of_a_patch_lies_on_the_patch() -> None:
    """Attention lets every patch change every token, its own one most."""
    trunk = load_trunk("timm:vit_tiny_patch16_224", "random")
    random = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, 96, 144, generator=random)
    before = trunk.maps(image)
    for row, column in ((0, 0), (2, 5), (5, 8)):
        changed = image.clone()
        changed[:, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] += 1
        moved = (trunk.maps(changed) - before).square().sum(dim=1)[0]
        assert int(moved.argmax()) == 9 * row + column
        assert bool((moved > 0).all())


def test_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(5)
    whole = timm.create_model("resnet18")
    safetensors.torch.save_file(whole.state_dict(), tmp_path / "w.safetensors")
    trunk = load_trunk("timm:resnet18", tmp_path / "w.safetensors")
    assert torch.equal(
        trunk.state()["network.layer3.1.conv2.weight"], whole.state_dict()["layer3.1.conv2.weight"]
    )
    assert trunk.origin == "w.safetensors"
    with pytest.raises(
        SppdetError, match=r"w\.safetensors: are these the weights of timm:resnet34"
    ):
        load_trunk("timm:resnet34", tmp_path / "w.safetensors")


def test_a_failed_download_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("no route\nto the host")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", fails)
    with pytest.raises(SppdetError, match=r"weights \(no route to the host\); give --weights FILE"):
        load_trunk("timm:resnet18")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("resnet9000", r"has no network 'resnet9000'; it has .*resnet"),
        ("", r"has no network ''"),
        ("hf-hub:timm/resnet18.a1_in1k", r"has no network 'hf-hub:timm"),
        ("resnet18.nobody", r"resnet18\.nobody"),
        ("resnet18@7", r"no stage 7; its stages 0 to 4 have the strides 2, 4, 8, 16, 32"),
        ("resnet18@last", r"no stage last"),
        ("mixer_s16_224", r"model \(224\)\.\); choose another --stage or another network"),
    ],
)
def test_what_timm_cannot_give_is_one_line(name: str, line: str) -> None:
    with pytest.raises(SppdetError, match=line) as caught:
        load_trunk(f"timm:{name}", "random")
    assert "\n" not in str(caught.value)


def test_there_are_no_fully_connected_layers() -> None:
    with pytest.raises(SppdetError, match="has no fully connected layers"):
        load_trunk("timm:vgg11", "random", layer="fc7")


def detector_on(trunk: Trunk) -> Detector:
    extractor = SppRegionFeatures(trunk, SppSettings((160,), levels=(1, 2)))
    scorer = LinearScorer(torch.randn(2, extractor.dimension), torch.zeros(2), uncalibrated(2))
    return Detector(extractor, scorer, ("a", "b"))


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224@3"])
def test_a_saved_detector_loads_by_its_name(
    trunk_of: Callable[[str], Trunk], name: str, tmp_path: Path
) -> None:
    detector = detector_on(trunk_of(name))
    detector.save(tmp_path / "m")
    loaded = Detector.load(tmp_path / "m", "cpu")
    trunk, again = detector.extractor.trunk, loaded.extractor.trunk
    assert (again.name, again.geometry, again.digest, again.preprocessing, again.multiple) == (
        trunk.name, trunk.geometry, trunk.digest, trunk.preprocessing, trunk.multiple
    )  # fmt: skip
    boxes = [[10, 10, 100, 90], [50, 20, 180, 130]]
    before, after = (one.detect(IMAGE, boxes=boxes) for one in (detector, loaded))
    assert np.array_equal(before.scores, after.scores)


def test_a_file_of_other_tensors_is_damaged(
    trunk_of: Callable[[str], Trunk], tmp_path: Path
) -> None:
    detector_on(trunk_of("resnet18")).save(tmp_path / "m")
    with safetensors.safe_open(str(tmp_path / "m"), "pt") as file:
        metadata = {"sppdet": file.metadata()["sppdet"]}  # without a checksum, as older files
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    del tensors["trunk.network.conv1.weight"]
    safetensors.torch.save_file(tensors, tmp_path / "m", metadata)
    with pytest.raises(SppdetError, match=r"is damaged .*conv1"):
        Detector.load(tmp_path / "m", "cpu")


def test_without_timm_a_detector_says_what_to_install(
    trunk_of: Callable[[str], Trunk], tmp_path: Path
) -> None:
    detector_on(trunk_of("resnet18")).save(tmp_path / "m")
    code = (
        "import sys; sys.modules['timm'] = None\n"
        "from sppdet import Detector, SppdetError\n"
        "try: Detector.load(sys.argv[1], 'cpu')\n"
        "except SppdetError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "m")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "timm, which is not installed; pip install 'sppdet[timm]'" in said


def test_both_methods_run_on_it(trunk_of: Callable[[str], Trunk]) -> None:
    trunk = trunk_of("convnext_atto")
    boxes = as_boxes([[10, 5, 80, 69], [0, 0, 131, 90]])
    spp = SppRegionFeatures(trunk, SppSettings((120,), levels=(1, 2)))
    rcnn = RcnnRegionFeatures(trunk, RcnnSettings(60, 4, levels=(1, 2)))
    for extractor in (spp, rcnn):
        regions = extractor.prepare(IMAGE, boxes)
        assert regions.features(regions.keys).shape == (2, 5 * trunk.channels)


def test_the_tensors_of_the_file_are_not_kept_twice(tmp_path: Path) -> None:
    torch.manual_seed(5)
    safetensors.torch.save_file(timm.create_model("resnet18").state_dict(), tmp_path / "w")
    weights: Weights = read_weights(tmp_path / "w")
    trunk = load_trunk("timm:resnet18", tmp_path / "w")
    network = trunk.network.network
    assert network.pretrained_cfg == {}  # type: ignore[union-attr]
    assert len(trunk.state()) < len(weights.tensors)
