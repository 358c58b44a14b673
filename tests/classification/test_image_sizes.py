from pathlib import Path

import pytest
import torch

from sppdet.classification.image_sizes import check_size, scores_of, smallest_side, takes
from sppdet.classification.networks import build_network
from sppdet.cli import run
from sppdet.errors import SppdetError


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        run("classify", [str(word) for word in words])
    return stop.value.code or 0


@pytest.mark.parametrize("name", ["lenet5", "spp5", "spp5-flatten", "alexnet", "squeezenet1_1"])
def test_the_smallest_side_is_what_trying_finds(name: str) -> None:
    with torch.device("meta"):
        network = build_network(name, 3).eval()
    real = build_network(name, 3).eval()

    def works(side: int) -> bool:
        try:
            real(torch.zeros(1, 3, side, side))
        except (RuntimeError, SppdetError):
            return False
        return True

    side = smallest_side(network)
    assert side == next(side for side in range(1, 100) if works(side))
    assert takes(network, side, side)
    assert not takes(network, side - 1, side - 1)


def test_check_size_says_what_to_give() -> None:
    with torch.device("meta"):
        network = build_network("lenet5", 3).eval()
    check_size(network, "lenet5", 32, 32, "--sizes")
    with pytest.raises(SppdetError, match=r"images of 40 x 48 px: 32 x 32 px is the only size"):
        check_size(network, "lenet5", 48, 40, "--sizes")
    check_size(build_network("spp5", 3), "spp5", 7, 30, "--sizes")


def test_scores_of_says_it_too() -> None:
    network = build_network("alexnet", 3).eval()
    with pytest.raises(SppdetError, match="63 x 63 px is the smallest size"), torch.no_grad():
        scores_of(network, torch.zeros(1, 3, 40, 50))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--network", "alexnet", "--sizes", "32"],
            "alexnet does not take images of 32 x 32 px: 63 x 63 px is the smallest size that it "
            "takes; give --stem cifar, or --sizes 63",
        ),
        (
            ["--network", "inception_v3", "--sizes", "32"],
            "inception_v3 does not take images of 32 x 32 px: 75 x 75 px is the smallest size that "
            "it takes; give --stem cifar, or --sizes 75",
        ),
        (
            ["--network", "lenet5", "--sizes", "40"],
            "lenet5 does not take images of 40 x 40 px: 32 x 32 px is the only size that it takes; "
            "give --sizes 32",
        ),
        (
            ["--network", "lenet5", "--sizes", "32"],
            "lenet5 does not take images of 20 x 20 px: 32 x 32 px is the only size that it takes; "
            "give --test-size 32",
        ),
        (
            ["--network", "vit_b_16", "--sizes", "32"],
            "vit_b_16 does not take images of 32 x 32 px: 224 x 224 px is the only size that it "
            "takes; give --sizes 224",
        ),
        (["--network", "spp5", "--stem", "cifar"], "--stem cifar: is for networks of torchvision"),
    ],
)
def test_one_line_and_code_2(
    words: list[str],
    line: str,
    square_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("train", square_folder, "--output", tmp_path / "run", "--batch", 12, *words) == 2
    error = capsys.readouterr().err.strip()
    assert error.splitlines()[-1].startswith(f"error: {line}")
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()
