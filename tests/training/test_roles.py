import numpy as np
import pytest

from sppdet.boxes import iou
from sppdet.datasets import Annotations
from sppdet.training.roles import assign_roles, choose, training_boxes


def annotations(*entries: tuple[list[float], int, str]) -> Annotations:
    return Annotations(
        np.array([box for box, _, _ in entries], "f4").reshape(-1, 4),
        np.array([label for _, label, _ in entries], np.int64),
        np.array([kind == "difficult" for _, _, kind in entries], bool),
        np.array([kind == "crowd" for _, _, kind in entries], bool),
    )


def random_boxes(count: int) -> np.ndarray:
    corners = np.random.default_rng(0).uniform(0, 100, (count, 2, 2))
    return np.concatenate([corners.min(1), corners.max(1) + 1], axis=1).astype("f4")


def test_roles_by_the_rules_one_box_at_a_time() -> None:
    truth = annotations(
        ([0, 0, 50, 50], 0, ""), ([40, 40, 90, 90], 0, ""), ([10, 50, 60, 99], 1, "difficult")
    )
    boxes = training_boxes(truth, random_boxes(200))
    roles = assign_roles(truth, boxes, 3, 0.3)
    assert roles.truths.tolist() == [0, 1]
    assert roles.truth_labels.tolist() == [0, 0]
    overlap = iou(boxes, truth.boxes)
    for row in range(3, len(boxes)):
        assert roles.negative[row, 0] == (max(overlap[row, 0], overlap[row, 1]) < 0.3)
        assert roles.negative[row, 1] == (overlap[row, 2] < 0.3)
        assert roles.negative[row, 2]
        assert roles.best_truth[row, 0] == overlap[row, :2].argmax()
        assert roles.best_iou[row, 0] == overlap[row, :2].max()
    assert (roles.best_iou[:, 1] == 0).all()  # difficult: nothing to learn from


def test_truths_are_no_negatives_of_any_class_in_mining() -> None:
    truth = annotations(([0, 0, 50, 50], 0, ""))
    roles = assign_roles(truth, training_boxes(truth, random_boxes(5)), 2, 0.3)
    assert not roles.negative[0].any()


def test_what_lies_inside_a_crowd_is_no_negative() -> None:
    truth = annotations(([0, 0, 100, 100], 0, "crowd"))
    boxes = training_boxes(truth, np.array([[10, 10, 20, 20], [200, 200, 210, 210]], "f4"))
    roles = assign_roles(truth, boxes, 1, 0.3)
    assert roles.negative[1:, 0].tolist() == [False, True]
    assert len(roles.truths) == 0


def test_an_image_without_objects_is_all_negatives() -> None:
    roles = assign_roles(annotations(), random_boxes(10), 2, 0.3)
    assert roles.negative.all()
    assert len(roles.truths) == 0


@pytest.mark.parametrize("quota", [0, 0.5, 3, 3.25, 100])
def test_choose_takes_the_quota_on_average(quota: float) -> None:
    random = np.random.default_rng(0)
    rows = np.arange(50, 70)
    counts = []
    for _ in range(2000):
        chosen = choose(rows, quota, random)
        assert np.isin(chosen, rows).all()
        assert (np.diff(chosen) > 0).all()
        counts.append(len(chosen))
    assert np.mean(counts) == pytest.approx(min(quota, 20), abs=0.05)
