"""EdgeBoxes (Zitnick and Dollar, 2014) with OpenCV's code and a model file of one's own.

OpenCV has the code of the structured edge detector and of EdgeBoxes, but not the detector's model,
which is trained on BSDS 500. OpenCV's own tests load one of this form (``model.yml.gz``).
"""

import hashlib
import os
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sppdet.errors import SppdetError
from sppdet.proposals.opencv import REMEDY

_lock = threading.Lock()
"""One search at a time: the detector has buffers of its own."""


@dataclass(frozen=True)
class EdgeBoxesSettings:
    """Settings of EdgeBoxes; :func:`edge_boxes_settings` makes them of a file.

    model: file of the structured edge detector.
    digest: of its content, which names the results in the cache.
    side: longer side of the searched image, in pixels.
    minimum_side: boxes with a shorter side, in pixels of the searched image, are dropped.
    """

    model: str = field(repr=False)
    digest: str
    side: int = 500
    minimum_side: int = 1


def edge_boxes_settings(model: str | os.PathLike[str]) -> EdgeBoxesSettings:
    """The settings for a model file.

    Raises:
        SppdetError: the file cannot be read, is not a model of OpenCV's structured edge detector,
            or OpenCV is installed without its contributed modules.
    """
    path = Path(model)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SppdetError(
            f"{path}: cannot be read ({error.strerror}); give an edge model"
        ) from None
    digest = hashlib.sha256(content).hexdigest()[:16]
    _detector(str(path), digest)
    return EdgeBoxesSettings(str(path), digest)


def edge_boxes(
    image: NDArray[np.uint8], settings: EdgeBoxesSettings, max_boxes: int
) -> NDArray[np.float32]:
    """The boxes of an image with the most contours wholly inside, best first.

    Args:
        image: (H, W, 3) uint8 RGB, searched at its own size.
        settings: with the model.
        max_boxes: the most boxes.

    Returns:
        (N, 4) float32 boxes.

    Raises:
        SppdetError: the model cannot be loaded.
    """
    detector = _detector(settings.model, settings.digest)
    with _lock:
        edges = detector.detectEdges(image.astype(np.float32) / 255)
        orientation = detector.computeOrientation(edges)
        thin = detector.edgesNms(edges, orientation)
        search = cv2.ximgproc.createEdgeBoxes()
        search.setMaxBoxes(max_boxes)
        found = np.asarray(search.getBoundingBoxes(thin, orientation)[0], np.float32)
    corners = found.reshape(-1, 4)
    boxes: NDArray[np.float32] = np.concatenate(
        [corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1
    )
    return boxes


@lru_cache(maxsize=2)
def _detector(model: str, digest: str) -> Any:
    create = getattr(getattr(cv2, "ximgproc", None), "createStructuredEdgeDetection", None)
    if create is None:
        raise SppdetError(REMEDY)
    try:
        # OpenCV reads past the end of the lists that a file lacks: they are looked at before.
        storage = cv2.FileStorage(model, cv2.FILE_STORAGE_READ)
        lists = ("childs", "featureIds", "thresholds", "edgeBoundaries", "edgeBins")
        whole = all(storage.getNode(name).size() > 0 for name in ("options", *lists))
        storage.release()
        if whole:
            return create(model)
    except (cv2.error, SystemError):
        pass
    raise SppdetError(f"{model}: is not a model of OpenCV's structured edge detector (.yml.gz)")
