"""The routes of ``sppdet label``; docs/labelling.md describes them."""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sppdet.serving.ahead import Ahead
from sppdet.serving.answers import HANDLERS, Refused, in_thread, static_routes
from sppdet.serving.photos import shown, thumbnail
from sppdet.serving.prepared import PreparedPhotos
from sppdet.serving.session import Session

ORDERS = ("name", "random", "uncertain")

PRIVATE = {"Cache-Control": "private, no-cache"}


class LabelApp:
    """The routes of a session.

    Args:
        session: photographs and labels.
        photos: prepares photographs.
        ahead: suggestions.
    """

    def __init__(self, session: Session, photos: PreparedPhotos, ahead: Ahead) -> None:
        self.session = session
        self.photos = photos
        self.ahead = ahead

    def routes(self) -> list[Route]:
        """All routes."""
        photo = "/api/photos/{id:int}"
        return [
            *static_routes("label.html"),
            Route("/api/folder", self.folder),
            Route("/api/classes", in_thread(self.add_class), methods=["POST"]),
            Route("/api/next", self.next),
            Route(photo, self.photo),
            Route(photo, in_thread(self.put), methods=["PUT"]),
            Route(f"{photo}/image", self.image),
            Route(f"{photo}/thumbnail", self.thumbnail),
            Route(f"{photo}/proposals", self.proposals),
            Route(f"{photo}/suggestions", self.suggestions),
        ]

    def folder(self, request: Request) -> Response:
        """The photographs and their states."""
        session = self.session
        photos = [
            {
                "id": index,
                "name": name,
                "state": self._state(index),
                "objects": session.counts.get(index, 0),
            }
            for index, name in enumerate(session.folder.names)
        ]
        files = session.folder.files
        return JSONResponse(
            {
                "name": session.folder.root.resolve().name,
                "format": files.format,
                "difficult": files.says_difficult,
                "classes": session.classes,
                "photos": photos,
            }
        )

    def add_class(self, request: Request, content: dict[str, Any]) -> Response:
        """Add a class."""
        return JSONResponse({"classes": self.session.add_class(content.get("name"))})

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
        self.ahead.look_at(index, self.session.unlabelled())
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
        """The proposals, in the order of the search, with their scores where there are some."""
        index = self._id(request)
        path = self.session.folder.images[index]
        boxes = self.photos.proposals(path).round(2).astype(float).round(2).tolist()
        scores = self.ahead.scores(index)
        return JSONResponse({"boxes": boxes, **({} if scores is None else {"scores": scores})})

    def suggestions(self, request: Request) -> Response:
        """What the detector finds."""
        found = self.ahead.suggestion(self._id(request))
        return JSONResponse({"generation": found.generation, "boxes": found.boxes})

    def _id(self, request: Request) -> int:
        return self.session.check(request.path_params["id"])

    def _state(self, index: int) -> str:
        count = self.session.counts.get(index)
        if count is not None:
            return "labelled" if count else "background"
        return "suggested" if self.ahead.suggested(index) else "empty"


def make_app(routes: list[Route]) -> Starlette:
    """An application whose errors are one line of JSON."""
    return Starlette(routes=routes, exception_handlers=HANDLERS)
