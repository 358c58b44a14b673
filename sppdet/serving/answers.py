"""What the routes of both servers share: one line for every error, JSON bodies, static files."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sppdet.errors import SppdetError

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


class Refused(Exception):
    """A request that is answered with an error.

    Attributes:
        status: of HTTP.
        content: the JSON of the answer; it has "error".
    """

    def __init__(self, status: int, error: str, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.content = {"error": " ".join(error.split()), **more}


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse(error.content, error.status)


def _bad(request: Request, error: Exception) -> Response:
    unwritten = isinstance(error.__cause__, OSError)  # a full disk: the same request may succeed
    return JSONResponse({"error": " ".join(str(error).split())}, 507 if unwritten else 400)


def _gone(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    name = Path(str(error.filename)).name if error.filename else "a file"
    return JSONResponse({"error": f"{name}: {error.strerror or error}"}, 400)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return JSONResponse({"error": str(error.detail)}, error.status_code, headers)


def _failed(request: Request, error: Exception) -> Response:
    text = f"the server failed ({type(error).__name__}); its window says more"
    return JSONResponse({"error": text}, 500)


HANDLERS: Mapping[Any, Callable[[Request, Exception], Response]] = {
    Refused: _refused,
    SppdetError: _bad,
    HTTPException: _http,
    OSError: _gone,
    Exception: _failed,
}
"""For Starlette's ``exception_handlers``."""


BODY_SECONDS = 60.0
"""Within which the whole of a request's body has to arrive."""

Content = TypeVar("Content")


async def arrived(content: Awaitable[Content], seconds: float = BODY_SECONDS) -> Content:
    """What comes of reading the body of a request.

    Raises:
        Refused: it takes too long, or the client has gone.
    """
    try:
        return await asyncio.wait_for(content, seconds)
    except asyncio.TimeoutError:
        raise Refused(408, f"the request did not arrive within {seconds:.0f} seconds") from None
    except ClientDisconnect:
        raise Refused(400, "the client has gone before the end of its request") from None


async def json_body(request: Request) -> dict[str, Any]:
    """The JSON object in a request.

    A page of another site cannot send this media type without asking first, which is refused.

    Raises:
        Refused: it is of another media type, or is no object.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise Refused(415, "send application/json")
    try:
        content = json.loads(await arrived(request.body()))
    except (ValueError, RecursionError):
        raise Refused(400, "the request is not JSON") from None
    if not isinstance(content, dict):
        raise Refused(400, "the request is not a JSON object")
    return content


def in_thread(work: Callable[..., Response]) -> Callable[[Request], Awaitable[Response]]:
    """A route that reads a JSON object and works in a thread: ``work(request, content)``."""

    async def route(request: Request) -> Response:
        return await run_in_threadpool(work, request, await json_body(request))

    return route


def static_file(name: str) -> Response:
    """A file of :mod:`sppdet.serving.static`.

    Raises:
        Refused: there is none of this name.
    """
    file = resources.files("sppdet") / "serving" / "static" / name
    kind = KINDS.get(name[name.rfind(".") :])
    odd = "/" in name or "\\" in name or name.startswith(".") or len(name) > 100
    if odd or kind is None or not file.is_file():
        raise Refused(404, "there is no such file")
    return Response(file.read_bytes(), media_type=kind, headers={"Cache-Control": "no-cache"})


def static_routes(page: str) -> list[Route]:
    """The page at ``/`` and its files."""

    def index(request: Request) -> Response:
        return static_file(page)

    def asset(request: Request) -> Response:
        return static_file(request.path_params["name"])

    return [Route("/", index), Route("/static/{name}", asset)]


def make_app(routes: list[Route]) -> Starlette:
    """An application whose errors are one line of JSON."""
    return Starlette(routes=routes, exception_handlers=HANDLERS)
