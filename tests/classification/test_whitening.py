from pathlib import Path

import numpy as np
import pytest
import torch

from sppdet.classification.classifier import export_weights, load_classifier
from sppdet.classification.data import open_split
from sppdet.classification.settings import Augmentation, ClassifySettings
from sppdet.classification.training import Training
from sppdet.classification.whitening import BIAS, CONTRAST, Whitening, contrast_normalized
from sppdet.errors import SppdetError

CPU = torch.device("cpu")


def images(count: int = 400, side: int = 4) -> torch.Tensor:
    """Neighbouring pixels are alike, as in photographs."""
    noise = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    return 0.5 + 0.1 * noise.cumsum(2).cumsum(3)


def test_contrast() -> None:
    vectors = contrast_normalized(images().flatten(1))
    assert vectors.mean(1).abs().max() < 1e-5
    assert torch.allclose(vectors.norm(dim=1), torch.tensor(CONTRAST))
    assert torch.equal(contrast_normalized(torch.full((1, 12), 0.3)), torch.zeros(1, 12))


def test_the_covariance_behind_it_is_that_of_the_formula() -> None:
    layer = Whitening(4)
    given = images()
    layer.fit(given.split(150))
    white = layer(given).flatten(1).double()
    plain = contrast_normalized(given.flatten(1)).double().numpy()
    values, vectors = np.linalg.eigh(np.cov(plain.T, bias=True))
    wanted = (vectors * (values / (values + BIAS))) @ vectors.T
    assert white.mean(0).abs().max() < 1e-3
    assert np.abs(np.cov(white.numpy().T, bias=True) - wanted).max() < 2e-3
    # ZCA, not any other whitening: the matrix is symmetric.
    assert torch.allclose(layer.matrix, layer.matrix.T, atol=1e-5)


def test_parts_of_the_images_do_not_matter() -> None:
    one, many = Whitening(4), Whitening(4)
    one.fit([images()])
    many.fit(images().split(7))
    assert torch.allclose(one.matrix, many.matrix, atol=1e-4)


def test_wrong_sizes() -> None:
    with pytest.raises(SppdetError, match="--whiten: takes images of at most 64 px"):
        Whitening(65)
    with pytest.raises(SppdetError, match=r"images of 4 x 4 px only, not 6 x 5"):
        Whitening(4)(torch.zeros(1, 3, 5, 6))
    with pytest.raises(SppdetError, match=r"images of 4 x 4 px only, not 6 x 5"):
        Whitening(4).fit([torch.zeros(1, 3, 5, 6)])
    with pytest.raises(ValueError, match="--whiten: takes one image size"):
        ClassifySettings("nin", whiten=True, sizes=(24, 32))
    with pytest.raises(ValueError, match="--whiten: takes one image size"):
        ClassifySettings("nin", whiten=True, sizes=(32,), test_size=40)


@pytest.mark.parametrize("average", [0.0, 0.5])
def test_it_is_fitted_before_the_first_step_and_travels_with_the_weights(
    square_folder: Path, tmp_path: Path, average: float
) -> None:
    settings = ClassifySettings(
        "spp5",
        sizes=(20,),
        whiten=True,
        norm=False,
        epochs=2,
        batch_size=16,
        rate=0.01,
        average=average,
        augmentation=Augmentation(smallest_crop=1.0, ratio=1.0),
    )
    data, test = open_split(square_folder, "train"), open_split(square_folder, "test")
    training = Training(settings, data.classes, CPU)
    training.run_epoch(data, test)
    fitted = Whitening(20)
    pixels = torch.from_numpy(data.packed.astype(np.float32) / 255).permute(0, 3, 1, 2)
    chosen = settings.preprocessing
    mean, std = (torch.tensor(v)[:, None, None] for v in (chosen.mean, chosen.std))
    fitted.fit([(pixels * chosen.scale - mean) / std])
    assert torch.allclose(training.result().whitening.matrix, fitted.matrix, atol=2e-3)
    training.save(tmp_path / "last.safetensors")
    again = Training.load(tmp_path / "last.safetensors", CPU)
    assert again.run_epoch(data, test).test_loss == training.run_epoch(data, test).test_loss
    training.save(tmp_path / "last.safetensors")
    kept = load_classifier(tmp_path / "last.safetensors", CPU)
    export_weights(kept, tmp_path / "weights.safetensors", {})
    loaded = load_classifier(tmp_path / "weights.safetensors", CPU)
    assert torch.allclose(loaded.network.whitening.matrix, fitted.matrix, atol=0.02)
