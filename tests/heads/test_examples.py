import numpy as np
import pytest
import torch

from sppdet.heads.examples import ClassExamples, Examples

DIMENSION = 40


def some(count: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, DIMENSION))).half()


def test_the_gram_matrix_is_the_products_of_the_rows(filled) -> None:
    store = filled(some(31), np.where(np.arange(31) % 2, 1, -1))
    rows = store.take(np.arange(len(store))).double().numpy()
    np.testing.assert_allclose(store.gram, rows @ rows.T, atol=1e-4)


def test_dropped_examples_leave_no_trace(filled) -> None:
    features, signs = some(31), np.where(np.arange(31) % 2, 1, -1)
    keep = np.arange(31) % 3 != 1
    store = filled(features, signs)
    store.keep(keep)
    assert torch.equal(store.take(np.arange(len(store))), features[torch.from_numpy(keep)])
    np.testing.assert_array_equal(store.signs, signs[keep])
    np.testing.assert_array_equal(store.images, np.arange(31)[keep])
    rows = store.take(np.arange(len(store))).double().numpy()
    np.testing.assert_allclose(store.gram, rows @ rows.T, atol=1e-4)


def test_without_some_images(filled) -> None:
    store = filled(some(31), np.where(np.arange(31) % 2, 1, -1))
    part = store.without(np.array([0, 5, 30, 99]))
    assert len(part) == 28
    assert len(store) == 31
    assert not np.isin([0, 5, 30], part.images).any()
    np.testing.assert_array_equal(
        part.gram, np.delete(np.delete(store.gram, [0, 5, 30], 0), [0, 5, 30], 1)
    )
    assert torch.equal(part.take(np.array([0, 26])), store.take(np.array([1, 28])))
    weights = np.float32([[1, -2]])
    np.testing.assert_array_equal(
        part.combine(weights, np.array([0, 26])), store.combine(weights, np.array([1, 28]))
    )
    assert store.without(np.array([77])) is store


def test_collected_examples_are_those_that_are_added_at_once(chosen) -> None:
    features = some(9)
    at_once, collected = ClassExamples(DIMENSION, 1), ClassExamples(DIMENSION, 1)
    parts = [(1, chosen(features[:4], 3)), (-1, chosen(features[4:], 5, 4)), (1, chosen(some(0)))]
    at_once.add(parts, 0.25)
    for sign, part in parts:
        collected.collect(sign, part)
    collected.finish(0.25)
    every = np.arange(9)
    assert torch.equal(collected.take(every), at_once.take(every))
    np.testing.assert_array_equal(collected.gram, at_once.gram)
    for name in ("signs", "images", "regions", "roles"):
        np.testing.assert_array_equal(getattr(collected, name), getattr(at_once, name))


@pytest.mark.parametrize("sign", [1, -1])
def test_learnable_means_both_kinds(chosen, sign: int) -> None:
    store = ClassExamples(DIMENSION, 1)
    assert not store.learnable
    store.add([(sign, chosen(some(3)))], 1.0)
    assert not store.learnable
    store.add([(-sign, chosen(some(1)))], 1.0)
    assert store.learnable


def test_nothing_is_added_by_no_regions(chosen) -> None:
    store = ClassExamples(DIMENSION, 1)
    store.add([(1, chosen(some(0)))], 1.0)
    assert len(store) == 0


def test_joint_examples_are_the_distinct_regions_with_their_labels(chosen) -> None:
    examples = Examples(DIMENSION, 2, scale=2.0)
    features = some(4)
    roles = np.array([[1, -1], [-1, 1], [-1, -1], [0, -1]])
    first = chosen(features, image=3, first=10, roles=roles)
    examples[0].add([(1, first)], 2.0)
    examples[1].add([(-1, chosen(features[1:3], 3, 11, roles[1:3]))], 2.0)
    examples[1].add([(-1, chosen(features[:1], 4, 90, [[-1, -1]]))], 2.0)
    joint = examples.joint()
    assert joint.labels.tolist() == [0, 1, 2, -1, 2]
    assert joint.images.tolist() == [3, 3, 3, 3, 4]
    assert torch.equal(joint.features[:4], features * 2)
    part = examples.without(np.array([3])).joint()
    assert part.labels.tolist() == [2]


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_examples_on_a_device_are_those_of_the_cpu(chosen, device: str) -> None:
    random, where = np.random.default_rng(0), torch.device(device)
    plain, moved = ClassExamples(50, 1), ClassExamples(50, 1, device=where)
    first, second = (random.standard_normal((count, 50)) for count in (30, 20))
    index = random.permutation(20)
    weights = random.standard_normal((3, 20)).astype("f4")
    for one in (plain, moved):
        one.collect(1, chosen(first[:9], image=1))
        one.collect(-1, chosen(first[9:], image=2))
        one.finish(0.5)
        one.add([(-1, chosen(second, image=3, first=50))], 0.5)
        one.keep(np.arange(50) % 4 > 0)
    parts = [one.without(np.array([1])) for one in (plain, moved)]
    for found, wanted in ((moved, plain), (parts[1], parts[0])):
        np.testing.assert_allclose(found.gram, wanted.gram, rtol=1e-5, atol=1e-5)
        doubles = found.gram_doubles()
        np.testing.assert_array_equal(doubles, found.gram)
        assert doubles.dtype == np.float64
        assert torch.equal(found.take(index).cpu(), wanted.take(index))
        np.testing.assert_array_equal(found.signs, wanted.signs)
        mine, theirs = found.combine(weights, index), wanted.combine(weights, index)
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)
