from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sppdet.classification.networks import build_network


def paint(label: int, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Three classes that a small network tells apart: by colour and stripes."""
    rows, columns = np.mgrid[:height, :width]
    wave = (np.sin(columns / 2), np.sin(rows / 2), np.sin((rows + columns) / 2))[label]
    image = np.full((height, width, 3), 100.0)
    image[..., label] += 60 + 50 * wave
    return np.clip(image + rng.normal(0, 20, image.shape), 0, 255).astype(np.uint8)


def make_folder(root: Path, size: tuple[int, int] | None = (20, 20)) -> Path:
    """train (16 a class) and test (6 a class) images; of varied sizes for ``size`` None."""
    rng = np.random.default_rng(5)
    lines = ["path,xmin,ymin,xmax,ymax"]
    for split, count in (("train", 16), ("test", 6)):
        for label, name in enumerate(("blue", "green", "red")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                width, height = size or rng.integers(17, 40, 2).tolist()
                image = paint(label, rng, width, height)
                Image.fromarray(image).save(folder / f"{index}.png")
                lines.append(f"{split}/{name}/{index}.png,2,3,{width - 4},{height - 5}")
    (root / "boxes.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="session")
def square_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("square"))


@pytest.fixture(scope="session")
def varied_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("varied"), None)


@pytest.fixture
def random_network() -> Callable[..., torch.nn.Module]:
    """Builds networks whose statistics and scales are not the initial ones: every tensor counts."""

    def build(name: str = "spp5", classes: int = 3) -> torch.nn.Module:
        network = build_network(name, classes)
        generator = torch.Generator().manual_seed(1)
        for tensor in network.state_dict().values():
            if tensor.ndim == 1 and tensor.is_floating_point():
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
        return network.eval()

    return build
