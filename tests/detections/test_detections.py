import copy
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from sppdet.detections import Detections


def example() -> Detections:
    boxes = np.array([[0, 0, 5, 5], [1.26, 2, 8, 9], [3, 3, 4, 4]], "f4")
    return Detections(boxes, np.array([0, 1, 1]), np.array([0.2, 0.9, 0.5]), ("cat", "dog"))


def test_best_first() -> None:
    assert example().scores.tolist() == pytest.approx([0.9, 0.5, 0.2])
    assert example().labels.tolist() == [1, 1, 0]
    assert example().boxes.dtype == np.float32


def test_json() -> None:
    first = example().to_json()[0]
    assert first == {"label": "dog", "score": 0.9, "box": [1.3, 2.0, 8.0, 9.0]}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], "Detections(0)"),
        ([0.934], "Detections(1: cat .93)"),
        ([1.0, 0.004], "Detections(2: cat 1.00, cat .00)"),
        ([-1.5], "Detections(1: cat -1.50)"),
        ([0.5] * 7, "Detections(7: cat .50, cat .50, cat .50, cat .50, cat .50, and 2 more)"),
    ],
)
def test_repr_is_one_line(scores: list[float], expected: str) -> None:
    count = len(scores)
    found = Detections(np.zeros((count, 4)), np.zeros(count, int), np.array(scores), ("cat", "dog"))
    assert repr(found) == expected


def test_select() -> None:
    assert example().select(example().scores > 0.4).labels.tolist() == [1, 1]
    assert len(example().select(slice(0, 1))) == 1


def test_nothing_found() -> None:
    empty = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0), ("cat",))
    assert len(empty) == 0
    assert empty.to_json() == []


@pytest.mark.parametrize("labels", [[2], [-1], [0, 1]])
def test_wrong_labels_are_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="labels"):
        Detections(np.zeros((1, 4)), np.array(labels), np.zeros(1), ("cat", "dog"))


def test_it_is_a_sequence() -> None:
    found = example()
    first = found[0]
    assert (first.label, first.score, first.box) == (
        "dog",
        pytest.approx(0.9),
        pytest.approx((1.26, 2, 8, 9)),
    )
    assert [one.label for one in found] == ["dog", "dog", "cat"]
    assert found[-1].label == "cat"
    assert found[1:] == found.select([1, 2])
    assert len(found[[]]) == len(found[np.zeros(3, bool)]) == 0
    with pytest.raises(IndexError):
        found[3]
    with pytest.raises(FrozenInstanceError):
        first.label = "cow"  # type: ignore[misc]


def test_it_is_immutable() -> None:
    given = np.zeros((1, 4), np.float32)
    found = Detections(given, [0], [0.5], ("cat",), {"total": 1.0})
    given[:] = 7
    assert found.boxes.max() == 0
    for array in (found.boxes, found.labels, found.scores):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(TypeError):
        found.seconds["total"] = 2.0  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        found.classes = ("dog",)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("boxes", "scores", "size", "reason"),
    [
        ([[0, 0, np.nan, 5]], [0.5], None, "not finite"),
        ([[0, 0, 5, np.inf]], [0.5], None, "not finite"),
        ([[5, 0, 4, 5]], [0.5], None, "inverted"),
        ([[0, 5, 4, 4.9]], [0.5], None, "inverted"),
        ([[0, 0, 5, 5]], [np.nan], None, r"scores\[0\]"),
        ([[0, 0, 5, 5]], [0.5], (0, 4), "size"),
        ([[0, 0, 5]], [0.5], None, "shape"),
    ],
)
def test_what_makes_no_sense_is_refused(
    boxes: list[list[float]], scores: list[float], size: tuple[int, int] | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        Detections(boxes, [0], scores, ("cat",), size=size)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [0.9, 0.5, 0.2]),
        ({"score": 0.5}, [0.9, 0.5]),
        ({"score": {"dog": 0.6}}, [0.9, 0.2]),
        ({"classes": "cat"}, [0.2]),
        ({"classes": []}, []),
        ({"classes": ["cat", "dog"], "score": 0.6}, [0.9]),
        ({"area": 25}, [0.9, 0.2]),
        ({"area": (0, 25)}, [0.5, 0.2]),
    ],
)
def test_filter(conditions: dict[str, Any], expected: list[float]) -> None:
    assert example().filter(**conditions).scores.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("conditions", [{"classes": "cow"}, {"score": {"cow": 1}}, {"area": (1,)}])
def test_a_wrong_filter_is_refused(conditions: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"class 'cow'|area is"):
        example().filter(**conditions)


def test_equality_and_copies() -> None:
    assert example() == example()
    assert example() != example()[:2]
    assert example() != 3
    for twin in (pickle.loads(pickle.dumps(example())), copy.deepcopy(example())):
        assert twin == example()
        assert not twin.boxes.flags.writeable
