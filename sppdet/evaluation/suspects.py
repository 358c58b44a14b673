"""Labels that detectors disagree with which have not learned from the image, in order of doubt."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, area, iou
from sppdet.datasets.base import Annotations
from sppdet.detections import Detections

MISSING, WRONG_CLASS, BAD_FIT, SPURIOUS = KINDS = (
    "missing box",
    "wrong class",
    "bad fit",
    "spurious label",
)
"""Of a suspect."""

APART, TOGETHER = 0.3, 0.7
"""A detection fits a label with 0 up to the first IoU, with 1 from the second, linearly between."""

TOUCH = 0.2
"""Least IoU of a label and the detection that shows its bad fit."""

PART = 0.5
"""A detection is a part of a labelled object from this share of it that lies in the label."""

RESERVE = 0.3
"""Odds of "neither class" beside those of two classes: weak scores alone are little doubt."""

ALONE = 0.25
"""Doubt of a label where nothing is found: most are hard objects."""

RIVAL = 0.5
"""IoU from which two missing boxes are one."""

LEAST = 0.05
"""Smaller doubts are left out of the list."""

# The constants are chosen on Fruit with broken labels, see benchmarks/suspects.py, seed 1.


@dataclass(frozen=True)
class Evidence:
    """What was found in one image, and what its labelled boxes look like.

    Attributes:
        image: its number in the data set.
        annotations: the labels, N of them.
        found: detections of all K classes, whose scores are probabilities.
        unlabelled: likewise, the best of the boxes that lie on no label. Non-maximum suppression
            hides some of them in ``found`` behind a box between two objects.
        own: (N, K) probabilities that each labelled box, as it is, shows an object of each class.
    """

    image: int
    annotations: Annotations
    found: Detections
    unlabelled: Detections
    own: NDArray[np.float32]


@dataclass(frozen=True)
class Place:
    """A class (its number) and a box (4,), x1, y1, x2, y2 in pixels of the image."""

    label: int
    box: NDArray[np.float32]


@dataclass(frozen=True)
class Suspect:
    """A label, or a place without one, that may be wrong.

    Attributes:
        image: number of the image in the data set.
        kind: one of :data:`KINDS`.
        doubt: from 0 to 1; higher is more doubtful.
        number: of the label among those of its image; None for a missing box.
        label: what the label says; None for a missing box.
        found: what the detectors say; None for a spurious label.
        probability: of what was found; 0 for a spurious label.
    """

    image: int
    kind: str
    doubt: float
    number: int | None
    label: Place | None
    found: Place | None
    probability: float


def rank_suspects(evidence: Sequence[Evidence], least: float = LEAST) -> list[Suspect]:
    """The labels and places in doubt, most doubtful first.

    A detection d has the probability p(d) and fits a label l by fit(d, l), see :data:`APART`. Its
    own label is the one of its class that it overlaps most. A label of class y has

        support = max(own(l, y), max of p(d) fit(d, l) over the d of class y whose own label it is)
        against = max(own(l, c), max of p(d) fit(d, l) over the d of class c), over all c != y

    and, with odds(x) = x / (1 - x), the greatest of these doubts:

        wrong class     odds(against) / (odds(against) + odds(support) + RESERVE)
        bad fit         p(d) (1 - fit(d, l)) (1 - support) beside(d, l) (1 - fit(d, l') of another
                        l' of class y), for the d of class y with IoU(d, l) >= TOUCH where it is
                        greatest; beside falls from 1 where at most a half of d and l lies in the
                        other one to 0 where one contains the other, as parts and groups do
        spurious label  ALONE (1 - support) (1 - against)

    A box among ``unlabelled`` is missing with its probability, times a factor that falls from 1 to
    0 with the share of it, from :data:`PART` to all, that lies in a label of its class. Of boxes at
    one place only the most doubtful stays, and none where a bad fit is shown.

    Args:
        evidence: of every image.
        least: smaller doubts are left out.
    """
    suspects = [one for image in evidence for one in _of_image(image) if one.doubt >= least]
    return sorted(suspects, key=lambda one: -one.doubt)  # stable: equal ones by image


def _of_image(one: Evidence) -> Iterator[Suspect]:
    """The suspects of an image, whatever their doubt: its labels, then the missing boxes."""
    shown: list[Boxes] = []
    for suspect in _labels(one):
        if suspect.kind == BAD_FIT and suspect.found is not None:
            shown.append(suspect.found.box[None])
        yield suspect
    yield from _missing(one, np.concatenate([np.zeros((0, 4), np.float32), *shown]))


def _labels(one: Evidence) -> Iterator[Suspect]:
    """A suspect per label, of its most doubtful kind; none for the box of a crowd."""
    labels, found = one.annotations, one.found
    numbers = np.arange(len(labels))
    likely = found.scores.astype(np.float64)
    overlap = iou(labels.boxes, found.boxes).astype(np.float64)
    same = labels.labels[:, None] == found.labels
    fits = np.clip((overlap - APART) / (TOGETHER - APART), 0, 1)
    others = one.own.astype(np.float64)
    own = others[numbers, labels.labels]
    others[numbers, labels.labels] = 0
    of_class = np.where(same, overlap, -1.0)
    owned = same & (of_class == of_class.max(axis=0, initial=-1))
    rivals = likely * fits * ~same
    support = np.maximum(own, _greatest(likely * fits * owned))
    against = np.maximum(_greatest(others), _greatest(rivals))
    odds = _odds(against)
    wrong = odds / (odds + _odds(support) + RESERVE)
    spurious = ALONE * (1 - support) * (1 - against)
    inner = np.maximum(share(labels.boxes, found.boxes), share(found.boxes, labels.boxes).T)
    beside = np.clip(2 * (1 - inner), 0, 1)
    loose = likely * same * (overlap >= TOUCH) * (1 - fits) * (1 - support[:, None]) * beside
    for number in np.flatnonzero(~labels.crowd).tolist():
        place = Place(int(labels.labels[number]), labels.boxes[number])
        elsewhere = np.delete(fits * same, number, axis=0).max(axis=0, initial=0)
        bad, best = _best(loose[number] * (1 - elsewhere))
        doubts = {WRONG_CLASS: wrong[number], BAD_FIT: bad, SPURIOUS: spurious[number]}
        kind = max(doubts, key=lambda name: doubts[name])
        seen, probability = None, 0.0
        if kind == WRONG_CLASS:
            strength, row = _best(rivals[number])
            if strength >= others[number].max():
                seen, probability = _place(found, row), float(likely[row])
            else:
                seen = Place(int(others[number].argmax()), place.box)
                probability = float(others[number].max())
        elif kind == BAD_FIT:
            seen, probability = _place(found, best), float(likely[best])
        yield Suspect(one.image, kind, float(doubts[kind]), number, place, seen, probability)


def _missing(one: Evidence, shown: Boxes) -> Iterator[Suspect]:
    """The boxes without label that are not at one of ``shown``, the most doubtful at each place."""
    labels, found = one.annotations, one.unlabelled
    same = found.labels[:, None] == labels.labels
    part = np.clip((share(found.boxes, labels.boxes) - PART) / (1 - PART), 0, 1)
    doubts = found.scores.astype(np.float64) * (1 - _greatest(part * same))
    for row in np.argsort(-doubts, kind="stable").tolist():
        box = found.boxes[row : row + 1]
        if (iou(box, shown) <= RIVAL).all():
            shown = np.concatenate([shown, box])
            likely, place = float(found.scores[row]), _place(found, row)
            yield Suspect(one.image, MISSING, float(doubts[row]), None, None, place, likely)


def share(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """(N, M), the share of each of the boxes ``a`` (N, 4) that lies in each of ``b`` (M, 4).

    Examples:
        >>> share(np.array([[0, 0, 4, 4]]), np.array([[0, 0, 2, 4], [4, 0, 9, 4]])).tolist()
        [[0.5, 0.0]]
    """
    lower = np.maximum(a[:, None, :2], b[None, :, :2])
    upper = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared: NDArray[np.float64] = np.prod(np.maximum(upper - lower, 0), axis=2, dtype=np.float64)
    return shared / np.maximum(area(a), 1e-9)[:, None]


def _greatest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each row; 0 for a row without values."""
    greatest: NDArray[np.float64] = values.max(axis=1, initial=0)
    return greatest


def _best(values: NDArray[np.float64]) -> tuple[float, int]:
    """The greatest value and where it is; 0 and -1 where there is none."""
    if len(values) == 0:
        return 0.0, -1
    row = int(values.argmax())
    return float(values[row]), row


def _odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """x / (1 - x); a probability above 0.999 counts as that."""
    most = np.minimum(probability, 0.999)
    return most / (1 - most)


def _place(found: Detections, row: int) -> Place:
    return Place(int(found.labels[row]), found.boxes[row])
