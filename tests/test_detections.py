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
    assert len(example().select(slice(0, 1))) == 1  # type: ignore[arg-type]


def test_nothing_found() -> None:
    empty = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0), ("cat",))
    assert len(empty) == 0
    assert empty.to_json() == []


@pytest.mark.parametrize("labels", [[2], [-1], [0, 1]])
def test_wrong_labels_are_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="labels"):
        Detections(np.zeros((1, 4)), np.array(labels), np.zeros(1), ("cat", "dog"))
