import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from sppdet.training import projection
from sppdet.training.projection import principal_components


def cloud(count: int, dimension: int, rank: int, seed: int = 0) -> torch.Tensor:
    random = np.random.default_rng(seed)
    spread = np.linspace(4, 1, rank)
    values = (random.standard_normal((count, rank)) * spread) @ np.linalg.qr(
        random.standard_normal((dimension, rank))
    )[0].T
    return torch.from_numpy(3 + values).half()


@pytest.mark.parametrize(("count", "workers"), [(10, 1), (10, 3), (25, 1)])
def test_the_components_are_those_of_scikit_learn(count: int, workers: int) -> None:
    features = cloud(200, 60, 25)
    found = principal_components(features, count, workers)
    expected = PCA(count, svd_solver="full").fit(features.float().numpy())
    assert found.rows.shape == (count, 60)
    assert np.allclose(found.rows @ found.rows.T, np.eye(count), atol=1e-3)
    assert np.allclose(found.middle, expected.mean_, atol=1e-3)
    values = found(features, workers).numpy()
    wanted = expected.transform(features.float().numpy())
    signs = np.sign((values * wanted).sum(axis=0))
    assert np.allclose(values[:, :8] * signs[:8], wanted[:, :8], atol=0.02)
    assert values.std(axis=0) == pytest.approx(wanted.std(axis=0), rel=0.02)


def test_there_are_no_more_components_than_the_windows_span() -> None:
    features = cloud(200, 60, 4).float()
    rows = principal_components((features[:3] * 1).half(), 50).rows
    assert rows.shape == (2, 60)


def test_equal_windows_have_no_direction() -> None:
    found = principal_components(torch.full((20, 6), 2.0).half(), 4)
    assert found.rows.shape == (0, 6)
    assert found(torch.full((3, 6), 2.0).half()).shape == (3, 0)


def test_a_sample_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    features = cloud(1000, 30, 3)
    whole = principal_components(features, 3)
    monkeypatch.setattr(projection, "_SAMPLE", 300)
    part = principal_components(features, 3)
    inside = (whole.rows @ part.rows.T).square().sum(dim=1)
    assert torch.allclose(inside, torch.ones(3), atol=0.01)
