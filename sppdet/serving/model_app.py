"""The routes of ``sppdet serve``: an image in, its detections out."""

import io
import time

from PIL import Image, UnidentifiedImageError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.images import read_image
from sppdet.runtime.words import megabytes
from sppdet.serving.answers import Refused, arrived, static_routes
from sppdet.serving.metrics import Metrics
from sppdet.serving.openapi import document, page
from sppdet.serving.waiting import WaitingRoom

LONGEST = 40
"""Ratio of the sides of an image: one of 40:1 is seen in 13 parts."""

MOST_ARRIVING = 32
"""Images that are being sent at one time; their parts are in memory until they are whole."""


class ModelApp:
    """The routes of a detector.

    Args:
        detector: it may be called by several threads.
        workers: images at a time.
        places: images that may wait.
        most_bytes, most_pixels: of an image.
    """

    def __init__(
        self, detector: Detector, workers: int, places: int, most_bytes: int, most_pixels: int
    ) -> None:
        self._detector = detector
        self._room = WaitingRoom(workers, places)
        self._most_bytes, self._most_pixels = most_bytes, most_pixels
        self._document = document(detector.classes, most_bytes, most_pixels)
        self._metrics = Metrics()
        self._arriving = 0

    def routes(self) -> list[Route]:
        """All routes."""
        return [
            *static_routes("serve.html"),
            Route("/detect", self.detect, methods=["POST"]),
            Route("/healthz", lambda request: PlainTextResponse("ok\n")),
            Route("/metrics", self.metrics),
            Route("/openapi.json", lambda request: JSONResponse(self._document)),
            Route("/docs", lambda request: HTMLResponse(page(self._document))),
        ]

    async def detect(self, request: Request) -> Response:
        """Detect in the image of a request."""
        try:
            threshold = _threshold(request.query_params.get("threshold"))
            content = await self._image_of(request)
            found = await run_in_threadpool(self._room.run, lambda: self._find(content, threshold))
        except Refused as refused:
            self._metrics.answered(refused.status)
            raise
        self._metrics.answered(200)
        return JSONResponse(found.to_dict())

    def metrics(self, request: Request) -> Response:
        """Figures for Prometheus."""
        text = self._metrics.text(self._room.inside)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def _image_of(self, request: Request) -> bytes:
        if self._arriving >= MOST_ARRIVING:  # one thread counts: that of the requests
            raise Refused(503, f"{MOST_ARRIVING} images are being sent; send it later")
        self._arriving += 1
        try:
            return await _image_of(request)
        finally:
            self._arriving -= 1

    def _find(self, content: bytes, threshold: float | None) -> Detections:
        start = time.perf_counter()
        if len(content) > self._most_bytes:
            most = megabytes(self._most_bytes)
            raise Refused(413, f"the image is too large; {most} are accepted")
        check_pixels(content, self._most_pixels)
        try:
            image = read_image(content)
            check_sides(*image.shape[1::-1])
            found = self._detector.detect(image, {} if threshold is None else threshold)
        except SppdetError as error:
            raise Refused(400, str(error)) from None
        self._metrics.detected(len(found), time.perf_counter() - start)
        return found


def check_sides(width: int, height: int) -> None:
    """Refuse an image that would be seen in very many parts.

    Raises:
        Refused: one side is more than :data:`LONGEST` times the other.
    """
    if max(width, height) > LONGEST * min(width, height):
        raise Refused(
            413, f"the image has {width} x {height} pixels; {LONGEST}:1 is accepted, so cut it"
        )


def check_pixels(content: bytes, most: int) -> None:
    """Refuse an image by its header, before it is decoded.

    Raises:
        Refused: it has more than ``most`` pixels.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return  # the reader says what is wrong
    except Image.DecompressionBombError as error:
        raise Refused(413, f"the image is too large ({error})") from None
    if width * height > most:
        raise Refused(
            413, f"the image has {width} x {height} pixels; {most / 1e6:.0f} million are accepted"
        )


async def _image_of(request: Request) -> bytes:
    """The content of the image: the body, or the file ``image`` of a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "multipart/form-data":
        content = await arrived(request.body())
    else:
        content = await arrived(_file_of(request))
    if not content:
        raise Refused(400, "send the content of an image file, or a form with the file image")
    return content


async def _file_of(request: Request) -> bytes:
    """The content of the file ``image`` of a form; empty where there is none."""
    async with request.form(max_files=1, max_fields=4) as form:
        file = form.get("image")
        return await file.read() if isinstance(file, UploadFile) else b""


def _threshold(text: str | None) -> float | None:
    if text is None or text == "":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise Refused(400, "threshold is a number from 0 to 1")
    return value
