"""The one path from regions to detections: score, regress, suppress, vote.

The detector and, through it, every evaluation call :func:`find`. Training looks at the folds with
its two halves, :func:`find_candidates` and :func:`sppdet.heads.selection.select`, and mining calls
its first step, :func:`score_regions`.
"""

import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes
from sppdet.features.regions import Regions
from sppdet.features.streaming import stream
from sppdet.heads.base import Scorer
from sppdet.heads.linear import LinearScorer
from sppdet.heads.regression import BoxRegression
from sppdet.heads.selection import Scored, Threshold, candidates, select
from sppdet.runtime.timing import Clock
from sppdet.runtime.words import counted
from sppdet.settings import SelectionSettings


def score_regions(
    regions: Regions, scorer: Scorer, clock: Clock | None = None
) -> NDArray[np.float32]:
    """Scores (regions.count, K) of all distinct regions of an image."""
    function = scorer.function if isinstance(scorer, LinearScorer) else scorer.score
    scores = stream(regions, np.arange(regions.count), function, scorer.classes, clock)
    if scores.shape != (regions.count, scorer.classes):
        raise ValueError(
            f"{scorer.name} heads: score gives {scores.shape} for "
            f"{counted(regions.count, 'region')} and " + counted(scorer.classes, "class", "classes")
        )
    return scores


def find_candidates(
    regions: Regions,
    boxes: Boxes,
    size: tuple[int, int],
    scorer: Scorer,
    regression: BoxRegression | None,
    settings: SelectionSettings,
    threshold: Threshold = None,
    rows: NDArray[np.int64] | None = None,
    clock: Clock | None = None,
) -> Scored:
    """The boxes of an image that can become a detection, scored and regressed.

    Args:
        regions: the prepared boxes.
        boxes: (N, 4), the same boxes.
        size: width and height of the image in pixels; regressed boxes are clipped to it.
        scorer, regression: what was learned; None means no box regression.
        settings: of the selection.
        threshold: least probability of a detection, for all classes or (K,) for each; None keeps
            all that survive suppression.
        rows: which boxes may become detections; None means all.
        clock: gets the stages of the features, ``scoring``, ``regression`` and ``suppression``.

    Returns:
        Candidates with scores of the scorer, class by class, the best first.
    """
    clock = clock or Clock()
    if len(boxes) == 0:
        none = np.zeros(0, np.int64)
        return Scored(boxes, none, np.zeros(0, np.float32), none)
    scores = score_regions(regions, scorer, clock)[regions.keys]
    able = np.arange(len(boxes)) if rows is None else rows
    with clock.stage("suppression"):
        chosen, labels = candidates(scores[able], scorer, settings, threshold)
        chosen = able[chosen]
    moved = boxes[chosen]
    if regression is not None:
        with clock.stage("regression"):
            moved = regression.move(regions, boxes, labels, chosen, size)
    return Scored(moved, labels, scores[chosen, labels], chosen)


def find(
    regions: Regions,
    boxes: Boxes,
    size: tuple[int, int],
    scorer: Scorer,
    regression: BoxRegression | None,
    settings: SelectionSettings,
    threshold: Threshold = None,
    clock: Clock | None = None,
) -> Scored:
    """Detect among the boxes of an image: :func:`find_candidates`, then suppression and voting.

    Returns:
        Detections with scores of the scorer, class by class, the best first.
    """
    clock = clock or Clock()
    scored = find_candidates(
        regions, boxes, size, scorer, regression, settings, threshold, clock=clock
    )
    with clock.stage("suppression"):
        return select(scored, scorer, settings, threshold)
