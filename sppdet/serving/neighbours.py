"""The labelled objects whose features are nearest to those of a box."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sppdet.boxes import Boxes, as_boxes, iou
from sppdet.errors import SppdetError
from sppdet.serving.prepared import PreparedPhotos
from sppdet.serving.session import Session

SHOWN = 3
"""Objects of the class that are named, and objects of other classes likewise."""

MOST = 2000
"""Objects that are compared: with ``lite0`` their features take about 90 MB."""

PATIENCE = 2.0
"""Seconds for the features of photographs that are new; the others follow the next time."""

ITSELF = 0.5
"""IoU from which an object of the same photograph is the box itself."""


@dataclass(frozen=True)
class _Photo:
    """The objects of one photograph.

    Attributes:
        revision: of the labels.
        names: (M,) of the classes.
        boxes: (M, 4).
        features: (M, D) float16, of length 1.
    """

    revision: str
    names: list[str]
    boxes: Boxes
    features: Tensor


class LabelledObjects:
    """The features of the labelled objects, computed when they are first asked for.

    Args:
        session: photographs and labels.
        photos: prepares the photographs.
    """

    def __init__(self, session: Session, photos: PreparedPhotos) -> None:
        self._session = session
        self._photos = photos
        self._known: dict[int, _Photo] = {}
        self._lock = threading.Lock()

    @torch.inference_mode()
    def nearest(self, index: int, label: str, box: Sequence[float]) -> dict[str, Any]:
        """The nearest objects by the cosine of the angle between features.

        Args:
            index: photograph of the box; the object that it is of is left out.
            label: class of the box.
            box: x1, y1, x2, y2 in pixels.

        Returns:
            "compared", the number of objects that were compared, and "neighbours" of label,
            positive (whether it is of the class), similarity, photo and box: those of the class
            first, the nearest first.

        Raises:
            SppdetError, OSError: the photograph cannot be read.
        """
        own = as_boxes([box])
        with self._lock:
            self._update()
            known = dict(self._known)
        feature = self._features(index, own)[0].float()
        found: list[tuple[float, int, str, Boxes]] = []
        for number, photo in known.items():
            similar = (photo.features.float() @ feature).numpy()
            itself = iou(photo.boxes, own)[:, 0] >= ITSELF if number == index else None
            for place, name in enumerate(photo.names):
                if itself is None or not itself[place]:
                    found.append((float(similar[place]), number, name, photo.boxes[place]))
        found.sort(key=lambda one: -one[0])
        kinds = [[one for one in found if (one[2] == label) is same] for same in (True, False)]
        neighbours = [
            {
                "label": name,
                "positive": name == label,
                "similarity": round(similarity, 4),
                "photo": number,
                "box": place.astype(np.float64).round(2).tolist(),
            }
            for kind in kinds
            for similarity, number, name, place in kind[:SHOWN]
        ]
        return {"neighbours": neighbours, "compared": len(found)}

    def _update(self) -> None:
        """Take the objects of new and changed labels, as far as there is time."""
        end = time.monotonic() + PATIENCE
        labelled = [index for index, count in list(self._session.counts.items()) if count]
        self._known = {index: one for index, one in self._known.items() if index in labelled}
        for index in reversed(labelled):  # the last ones first
            try:
                labels = self._session.photo(index).labels
                known = self._known.get(index)
                if known is not None and known.revision == labels.revision:
                    continue
                self._known.pop(index, None)
                total = sum(len(one.names) for one in self._known.values())
                if total >= MOST or time.monotonic() > end:
                    continue
                objects = [one for one in labels.objects if not one.difficult]
                boxes = as_boxes([one.box for one in objects])
                features = self._features(index, boxes)
            except (SppdetError, OSError):  # opening the photograph says so
                continue
            names = [one.name for one in objects]
            self._known[index] = _Photo(labels.revision, names, boxes, features)

    def _features(self, index: int, boxes: Boxes) -> Tensor:
        """(M, D) float16, of length 1."""
        photo = self._photos.get(self._session.folder.images[index])
        regions = photo.regions(self._photos.extractor, boxes)
        keys: NDArray[np.int64] = regions.keys
        features = regions.features(keys).float()
        return torch.nn.functional.normalize(features, dim=1).half()
