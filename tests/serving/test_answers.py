"""Bodies that do not arrive."""

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sppdet.serving.answers import Refused, arrived, json_body, make_app


def test_what_arrives_is_given() -> None:
    async def body() -> bytes:
        return b"all"

    assert asyncio.run(arrived(body())) == b"all"


def test_a_slow_body_is_refused() -> None:
    with pytest.raises(Refused, match="did not arrive within 0 seconds") as refused:
        asyncio.run(arrived(asyncio.sleep(5), 0.01))
    assert refused.value.status == 408


def test_a_client_that_has_gone_is_no_failure_of_the_server() -> None:
    async def gone() -> bytes:
        raise ClientDisconnect

    with pytest.raises(Refused, match="the client has gone"):
        asyncio.run(arrived(gone()))


def test_an_aborted_upload_ends_in_one_line_and_no_traceback() -> None:
    async def route(request: Request) -> Response:
        await json_body(request)
        raise AssertionError

    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    app = make_app([Route("/", route, methods=["POST"])])
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 400
    assert b"the client has gone" in sent[1]["body"]
