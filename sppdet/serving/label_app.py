"""The routes of ``sppdet label``; docs/labelling.md describes them."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sppdet.boxes import Boxes
from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.explaining import explain_box
from sppdet.images import read_image
from sppdet.runtime.outputs import check_outputs
from sppdet.serving.ahead import Ahead
from sppdet.serving.answers import Refused, arrived, in_thread, static_routes
from sppdet.serving.model_app import check_sides
from sppdet.serving.neighbours import LabelledObjects
from sppdet.serving.photos import no_proposals, shown, thumbnail
from sppdet.serving.prepared import PreparedPhotos
from sppdet.serving.reports import answer
from sppdet.serving.rescan import Rescan
from sppdet.serving.session import Session
from sppdet.serving.trainer import Trainer

FILE_NAME = re.compile(r"[^\\/:*?\"<>|\x00-\x1f.][^\\/:*?\"<>|\x00-\x1f]*")
"""Names that are files of one folder on every system."""

LONGEST_NAME = 100
"""Bytes of the name of a model's file; systems take 255."""

ORDERS = ("name", "random", "uncertain")

PRIVATE = {"Cache-Control": "private, no-cache"}


class LabelApp:
    """The routes of a session.

    Args:
        session: photographs and labels.
        photos: prepares photographs.
        ahead: suggestions.
        trainer: the training.
    """

    def __init__(
        self, session: Session, photos: PreparedPhotos, ahead: Ahead, trainer: Trainer
    ) -> None:
        self.session = session
        self.photos = photos
        self.ahead = ahead
        self.trainer = trainer
        self._objects = LabelledObjects(session, photos)
        self._rescan = Rescan(session)

    def routes(self) -> list[Route]:
        """All routes."""
        photo = "/api/photos/{id:int}"
        return [
            *static_routes("label.html"),
            Route("/api/folder", self.folder),
            Route("/api/classes", in_thread(self.add_class), methods=["POST"]),
            Route("/api/classes", in_thread(self.rename_class), methods=["PATCH"]),
            Route("/api/classes", in_thread(self.remove_class), methods=["DELETE"]),
            Route("/api/next", self.next),
            Route(photo, self.photo),
            Route(photo, in_thread(self.put), methods=["PUT"]),
            Route(f"{photo}/image", self.image),
            Route(f"{photo}/thumbnail", self.thumbnail),
            Route(f"{photo}/proposals", self.proposals),
            Route(f"{photo}/suggestions", self.suggestions),
            Route("/api/status", self.status),
            Route("/api/model", in_thread(self.model), methods=["POST"]),
            Route("/api/try", self.try_out, methods=["POST"]),
            Route("/api/report", self.report),
            Route(f"{photo}/explain", in_thread(self.explain), methods=["POST"]),
        ]

    def folder(self, request: Request) -> Response:
        """The photographs and their states."""
        self._rescan.look()
        version, session = self._rescan.version, self.session
        photos = [
            {
                "id": index,
                "name": session.folder.names[index],
                "state": self._state(index),
                "objects": session.counts.get(index, 0),
            }
            for index in session.folder.order
        ]
        files = session.folder.files
        return JSONResponse(
            {
                "name": session.folder.root.resolve().name,
                "format": files.format,
                "difficult": files.says_difficult,
                "explains": True,
                "classes": session.classes,
                "version": version,
                "photos": photos,
            }
        )

    def add_class(self, request: Request, content: dict[str, Any]) -> Response:
        """Add a class."""
        return JSONResponse({"classes": self.session.add_class(content.get("name"))})

    def rename_class(self, request: Request, content: dict[str, Any]) -> Response:
        """Give a class another name."""
        classes = self.session.rename_class(content.get("name"), content.get("to"))
        return JSONResponse({"classes": classes})

    def remove_class(self, request: Request, content: dict[str, Any]) -> Response:
        """Remove a class that has no objects."""
        return JSONResponse({"classes": self.session.remove_class(content.get("name"))})

    def next(self, request: Request) -> Response:
        """The next photograph to label."""
        order = request.query_params.get("order", "name")
        if order not in ORDERS:
            raise Refused(400, f"order is one of {', '.join(ORDERS)}")
        try:
            after = int(request.query_params.get("after", "-1"))
        except ValueError:
            raise Refused(400, "after is the id of a photograph") from None
        return JSONResponse({"id": self.session.next(after, order, self.ahead.uncertainty())})

    def photo(self, request: Request) -> Response:
        """A photograph and its labels."""
        index = self._id(request)
        self.ahead.look_at(index, self.session.unlabelled(index))
        return JSONResponse(self.session.to_json(self.session.photo(index)))

    def put(self, request: Request, content: dict[str, Any]) -> Response:
        """Save the labels of a photograph."""
        return JSONResponse(self.session.put(self._id(request), content))

    def image(self, request: Request) -> Response:
        """The picture."""
        content, kind = shown(self.session.folder.images[self._id(request)])
        return Response(content, media_type=kind, headers=PRIVATE)

    def thumbnail(self, request: Request) -> Response:
        """The small picture."""
        content = thumbnail(self.session.folder.images[self._id(request)])
        return Response(content, media_type="image/jpeg", headers=PRIVATE)

    def proposals(self, request: Request) -> Response:
        """The proposals, in the order of the search; the detector scores and moves them."""
        index = self._id(request)
        found = self.ahead.choices(index)
        if found is None:
            boxes = self.photos.proposals(self.session.folder.images[index])
            content: dict[str, Any] = {"boxes": as_lists(boxes)}
        else:
            scores = found.scores.astype(np.float64).round(4).tolist()
            content = {"boxes": as_lists(found.boxes), "scores": scores}
        if not content["boxes"]:
            content["note"] = no_proposals(self.session.size(index))
        return JSONResponse(content)

    def suggestions(self, request: Request) -> Response:
        """What the detector finds."""
        found = self.ahead.suggestion(self._id(request))
        known = set(self.session.classes)  # the detector may have learned a class that went since
        boxes = [one for one in found.boxes if one["label"] in known]
        return JSONResponse({"generation": found.generation, "boxes": boxes})

    def status(self, request: Request) -> Response:
        """The state of the training."""
        self._rescan.look()
        return JSONResponse({**self.trainer.status(), "version": self._rescan.version})

    def model(self, request: Request, content: dict[str, Any]) -> Response:
        """Save the present detector as a file of the folder."""
        path = model_path(self.session.folder.root, content.get("file"))
        self._detector().save(path)
        return JSONResponse({"file": str(path)})

    async def try_out(self, request: Request) -> Response:
        """Detect in a picture that is no photograph of the folder."""
        content = await arrived(request.body())
        detector = self._detector()
        found = await run_in_threadpool(detect_in, detector, content)
        return JSONResponse(found.to_dict())

    def report(self, request: Request) -> Response:
        """The evaluation report on the labelled photographs."""
        return answer(request, self.trainer.reports, self.trainer.status)

    def explain(self, request: Request, content: dict[str, Any]) -> Response:
        """What the score of a box consists of, and which labelled objects are like it."""
        index = self._id(request)
        why = explained(self._detector(), self.session.folder.images[index], content)
        return JSONResponse(why | self._objects.nearest(index, content["label"], content["box"]))

    def _detector(self) -> Detector:
        detector = self.ahead.detector
        if detector is None:
            raise Refused(409, "there is no detector yet; label some objects first")
        return detector

    def _id(self, request: Request) -> int:
        return self.session.check(request.path_params["id"])

    def _state(self, index: int) -> str:
        count = self.session.counts.get(index)
        if count is not None:
            return "labelled" if count else "background"
        return "suggested" if self.ahead.suggested(index) else "empty"


def as_lists(boxes: Boxes) -> list[list[float]]:
    """Boxes (N, 4) in hundredths of a pixel, for JSON."""
    found: list[list[float]] = boxes.astype(np.float64).round(2).tolist()
    return found


def model_path(folder: Path, name: Any) -> Path:
    """The file of the folder that a model is saved as.

    Raises:
        Refused: the name is not that of a model in the folder.
    """
    if (
        not isinstance(name, str)
        or not FILE_NAME.fullmatch(name)
        or len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME
        or any(0xD800 <= ord(one) < 0xE000 for one in name)
    ):
        raise Refused(400, "give file, a name without folders such as fruit.safetensors")
    if not name.endswith(".safetensors"):
        name += ".safetensors"
    path = folder.resolve() / name
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise Refused(400, f"{name}: is not a file that a model can replace")
    check_outputs([path])  # nothing that sppdet did not make is replaced
    return path


def explained(detector: Detector, path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """The explanation of a box of a photograph, as the page gets it.

    Raises:
        Refused: the class or the box cannot be explained.
    """
    label, box = content.get("label"), content.get("box")
    if not isinstance(label, str) or not isinstance(box, list):
        raise Refused(400, "give label, the name of a class, and box, x1, y1, x2, y2 in pixels")
    try:
        found = explain_box(detector, read_image(path), box, label, neighbours=0)
    except (SppdetError, TypeError, ValueError) as error:
        raise Refused(400, str(error)) from None
    return {
        "label": found.label,
        "score": found.score,
        "probability": found.probability,
        "bias": found.bias,
        "levels": list(found.levels),
        "parts": found.parts.astype(float).tolist(),
        "window": list(found.window),
        "map": list(found.map_size),
    }


def detect_in(detector: Detector, content: bytes) -> Detections:
    """The detections in an uploaded image, at the thresholds of the training.

    Raises:
        Refused: it is no image.
    """
    try:
        image = read_image(content)
        check_sides(*image.shape[1::-1])
        return detector.detect(image, {})
    except SppdetError as error:
        raise Refused(400, str(error)) from None
