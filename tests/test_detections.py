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
