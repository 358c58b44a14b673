import pytest

from sppdet.classification.schedule import image_size, learning_rate


@pytest.mark.parametrize(
    ("progress", "kind", "expected"),
    [
        (0.05, "cosine", 0.1),
        (0.1, "cosine", 0.2),
        (0.55, "cosine", 0.1),
        (1.0, "cosine", 0.0),
        (0.55, "linear", 0.1),
        (0.1, "step", 0.2),
        (0.39, "step", 0.2),
        (0.41, "step", 0.02),
        (0.71, "step", 0.002),
        (1.0, "step", 0.002),
    ],
)
def test_rates(progress: float, kind: str, expected: float) -> None:
    assert learning_rate(progress, 0.2, 0.1, kind) == pytest.approx(expected, abs=1e-12)


def test_unknown_kinds() -> None:
    with pytest.raises(ValueError, match="schedule"):
        learning_rate(0.5, 0.1, kind="other")
    with pytest.raises(ValueError, match="size order"):
        image_size((32,), "other", 0, 1, 0, 0)


def test_sizes_by_epoch() -> None:
    assert [image_size((24, 32), "epoch", e, 5, 9, 0) for e in range(5)] == [24, 32, 24, 32, 24]


def test_sizes_rise_once() -> None:
    assert [image_size((1, 2, 3), "rising", e, 7, 0, 0) for e in range(7)] == [1, 1, 1, 2, 2, 3, 3]


def test_sizes_by_batch_depend_on_the_seed_alone() -> None:
    def draw(seed: int) -> list[int]:
        return [image_size((24, 32, 40), "batch", 1, 5, step, seed) for step in range(60)]

    assert draw(0) == draw(0)
    assert draw(0) != draw(1)
    assert set(draw(0)) == {24, 32, 40}
