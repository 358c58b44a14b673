"""The order of doubt on evidence made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from sppdet.boxes import as_boxes, iou
from sppdet.datasets import Annotations
from sppdet.detections import Detections
from sppdet.evaluation.suspects import (
    BAD_FIT,
    MISSING,
    SPURIOUS,
    WRONG_CLASS,
    Evidence,
    Suspect,
    rank_suspects,
)

CLASSES = ("cat", "dog")
CAT, DOG = 0, 1
BOX = [10, 10, 50, 50]
MOVED = [30, 10, 70, 50]
FAR = [100, 100, 140, 140]


def evidence(
    labels: list[tuple[int, list[int]]],
    found: list[tuple[int, list[int], float]],
    own: list[tuple[float, float]] | None = None,
    image: int = 0,
) -> Evidence:
    no = np.zeros(len(labels), bool)
    annotations = Annotations(
        as_boxes([box for _, box in labels]),
        np.array([label for label, _ in labels], np.int64),
        no,
        no,
    )
    on_labels = iou(as_boxes([box for _, box, _ in found]), annotations.boxes)
    free = [one for one, near in zip(found, on_labels, strict=True) if not (near >= 0.5).any()]
    detections, unlabelled = (
        Detections(
            [box for _, box, _ in some],
            [label for label, _, _ in some],
            [likely for _, _, likely in some],
            CLASSES,
        )
        for some in (found, free)
    )
    scores = np.array(own or [(0.0, 0.0)] * len(labels), np.float32).reshape(len(labels), 2)
    return Evidence(image, annotations, detections, unlabelled, scores)


def first(*images: Evidence) -> Suspect:
    return rank_suspects(images)[0]


@pytest.mark.parametrize(
    "seen",
    [
        evidence([], []),
        evidence([(CAT, BOX)], [(CAT, BOX, 0.95)]),
        evidence([(CAT, BOX)], [], [(0.95, 0.0)]),  # the labelled box itself looks like a cat
        evidence([(CAT, BOX), (CAT, MOVED)], [(CAT, BOX, 0.95), (CAT, MOVED, 0.95)]),
        evidence([], [(CAT, BOX, 0.04)]),
    ],
)
def test_no_label_is_in_doubt(seen: Evidence) -> None:
    assert rank_suspects([seen]) == []


@pytest.mark.parametrize(
    ("kind", "number", "found", "seen"),
    [
        (MISSING, None, CAT, evidence([], [(CAT, BOX, 0.9)])),
        (MISSING, None, DOG, evidence([(CAT, BOX)], [(CAT, BOX, 0.95), (DOG, FAR, 0.9)])),
        (WRONG_CLASS, 0, DOG, evidence([(CAT, BOX)], [(DOG, BOX, 0.9)])),
        (WRONG_CLASS, 0, DOG, evidence([(CAT, BOX)], [], [(0.0, 0.9)])),
        (WRONG_CLASS, 0, DOG, evidence([(CAT, BOX)], [(CAT, BOX, 0.1), (DOG, BOX, 0.9)])),
        (BAD_FIT, 0, CAT, evidence([(CAT, MOVED)], [(CAT, BOX, 0.9)])),
        (
            BAD_FIT,
            1,
            CAT,
            evidence([(CAT, FAR), (CAT, MOVED)], [(CAT, FAR, 0.9), (CAT, BOX, 0.9)]),
        ),
        (SPURIOUS, 0, None, evidence([(CAT, BOX)], [])),
    ],
)
def test_each_kind(kind: str, number: int | None, found: int | None, seen: Evidence) -> None:
    one = first(seen)
    assert (one.kind, one.number) == (kind, number)
    assert (one.found.label if one.found else None) == found
    assert (one.label is None) == (kind == MISSING)
    assert len(rank_suspects([seen])) == 1
    assert 0 < one.doubt <= 1


def test_the_surer_the_detectors_the_more_doubtful() -> None:
    for kind in (MISSING, WRONG_CLASS, BAD_FIT):
        doubts = []
        for likely in (0.5, 0.7, 0.9):
            seen = {
                MISSING: evidence([], [(CAT, BOX, likely)]),
                WRONG_CLASS: evidence([(CAT, BOX)], [(DOG, BOX, likely)]),
                BAD_FIT: evidence([(CAT, MOVED)], [(CAT, BOX, likely)]),
            }[kind]
            assert first(seen).kind == kind
            doubts.append(first(seen).doubt)
        assert doubts == sorted(doubts)
        assert len(set(doubts)) == 3


def test_a_part_of_a_labelled_object_is_no_missing_box() -> None:
    part = [10, 10, 25, 25]
    seen = evidence([(CAT, BOX)], [(CAT, BOX, 0.95), (CAT, part, 0.9)])
    assert rank_suspects([seen]) == []
    alone = evidence([(DOG, BOX)], [(DOG, BOX, 0.95), (CAT, part, 0.9)])  # a cat on a dog
    assert first(alone).kind == MISSING


def test_the_box_of_a_crowd_is_in_no_doubt() -> None:
    seen = evidence([(CAT, BOX)], [])
    crowd = replace(seen.annotations, crowd=np.ones(1, bool))
    assert rank_suspects([replace(seen, annotations=crowd)]) == []


def test_one_place_found_as_two_classes_is_one_missing_box() -> None:
    (one,) = rank_suspects([evidence([], [(CAT, BOX, 0.6), (DOG, BOX, 0.9)])])
    assert one.found is not None
    assert (one.kind, one.found.label) == (MISSING, DOG)


def test_the_most_doubtful_first_and_equal_ones_by_image() -> None:
    images = [
        evidence([], [(CAT, BOX, 0.5)], image=1),
        evidence([], [(CAT, BOX, 0.9)], image=3),
        evidence([], [(CAT, BOX, 0.9)], image=7),
    ]
    assert [one.image for one in rank_suspects(images)] == [3, 7, 1]
    assert [one.image for one in rank_suspects(images, least=0.6)] == [3, 7]
