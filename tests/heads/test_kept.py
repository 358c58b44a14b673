"""The examples that a detector keeps: bounded, found by inner product, validated when read."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sppdet.heads.kept import MEMORY, PER_CLASS, SIDE, KeptExamples, most_kept, thumbnail


def some(count: int = 6, dimension: int = 5, seed: int = 0) -> KeptExamples:
    random = np.random.default_rng(seed)
    return KeptExamples(
        torch.from_numpy(random.normal(size=(count, dimension)).astype(np.float16)),
        np.arange(count) % 3,
        np.arange(count) < count // 2,
        np.arange(count) == count - 1,
        random.integers(0, 255, (count, SIDE, SIDE, 3)).astype(np.uint8),
        random.uniform(0, 9, (count, 4)).astype(np.float32),
        tuple(f"{k}.jpg" for k in range(count)),
    )


def same(a: KeptExamples, b: KeptExamples) -> None:
    assert a.images == b.images
    assert a.tensors().keys() == b.tensors().keys()
    for name, tensor in a.tensors().items():
        assert torch.equal(tensor, b.tensors()[name]), name


def test_what_is_written_is_read() -> None:
    for kept in (some(), KeptExamples.none(5)):
        again = KeptExamples.restore(kept.tensors(), list(kept.images), 3, 5)
        assert again is not None
        same(again, kept)
    assert KeptExamples.restore({"svm.weight": torch.zeros(1)}, None, 3, 5) is None


def without(name: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in some().tensors().items() if key != f"kept.{name}"}


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({}, None),
        ({}, ["a"] * 5),
        ({}, ["a"] * 5 + [7]),
        ({}, ["a"] * 5 + ["b" * 999]),
        ({}, "abcdef"),
        ({"features": torch.zeros(6, 4).half()}, ["a"] * 6),
        ({"features": torch.zeros(6, 5)}, ["a"] * 6),
        ({"features": torch.zeros(4, 5).half()}, ["a"] * 6),
        ({"labels": torch.full((6,), 3)}, ["a"] * 6),
        ({"labels": torch.full((6,), -1)}, ["a"] * 6),
        ({"labels": torch.zeros(6)}, ["a"] * 6),
        ({"positive": torch.zeros(6)}, ["a"] * 6),
        ({"boxes": torch.zeros(6, 3)}, ["a"] * 6),
        ({"thumbnails": torch.zeros(6, 9, 9, 3, dtype=torch.uint8)}, ["a"] * 6),
    ],
)
def test_a_damaged_part_is_refused(changed: dict[str, torch.Tensor], names: object) -> None:
    tensors = some().tensors() | {f"kept.{name}": value for name, value in changed.items()}
    with pytest.raises(ValueError, match="kept"):
        KeptExamples.restore(tensors, names, 3, 5)


@pytest.mark.parametrize("name", ["features", "labels", "positive", "boxes", "thumbnails"])
def test_a_missing_part_is_refused(name: str) -> None:
    with pytest.raises(KeyError):
        KeptExamples.restore(without(name), ["a"] * 6, 3, 5)


def test_classes_are_taken_and_joined() -> None:
    kept = some()
    part = kept.of_classes([2, 0])
    assert part.labels.tolist() == [1, 0, 1, 0]
    assert part.images == ("0.jpg", "2.jpg", "3.jpg", "5.jpg")
    wider = kept.joined(part, 3)
    assert len(wider) == 10
    assert wider.labels[6:].tolist() == [label + 3 for label in part.labels]
    assert kept.background.any()
    assert not wider.background.any()  # none was compared with the other's objects
    same(wider.take(np.arange(6)), replace(kept, background=np.zeros(6, bool)))


@pytest.mark.parametrize("positive", [True, False])
def test_the_nearest_are_those_of_the_greatest_products(positive: bool) -> None:
    kept, feature = some(40, 7, 1), torch.arange(7.0)
    rows, products = kept.nearest(feature, 1, positive, 4)
    slow = {
        k: float(kept.features[k].float() @ feature)
        for k in range(40)
        if kept.labels[k] == 1 and kept.positive[k] == positive
    }
    assert rows.tolist() == sorted(slow, key=lambda k: -slow[k])[:4]
    assert products.tolist() == pytest.approx([slow[k] for k in rows.tolist()])
    assert len(kept.nearest(feature, 2, positive, 0)[0]) == 0


@pytest.mark.parametrize(
    ("dimension", "classes"), [(100, 2), (22_750, 3), (22_750, 80), (10**6, 1)]
)
def test_the_number_is_bounded(dimension: int, classes: int) -> None:
    most = most_kept(dimension, classes)
    assert 1 <= most <= PER_CLASS
    size = 2 * most * classes * (2 * dimension + 3 * SIDE * SIDE)
    assert most == 1 or size <= MEMORY


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ((10, 5, 50, 25), (32, 64)),
        ((-40, -9, 3, 3), (64, 64)),
        ((99, 50, 400, 400), (64, 6)),
        ((300, 300, 310, 310), (64, 64)),
        ((20, 20, 20, 20), (64, 64)),
    ],
)
def test_a_thumbnail_has_the_box_in_grey(
    box: tuple[float, float, float, float], shape: tuple[int, int]
) -> None:
    image = np.full((60, 100, 3), 255, np.uint8)
    shown = thumbnail(image, box)
    assert shown.shape == (SIDE, SIDE, 3)
    white = (shown == 255).all(axis=2)
    rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
    assert (len(rows), len(columns)) == shape
    assert (shown[~white] == 128).all()
