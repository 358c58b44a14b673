"""The guard in front of the routes: names, origins, tokens and sizes."""

import inspect
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from sppdet.cli.serve import serve
from sppdet.errors import SppdetError
from sppdet.runtime.words import megabytes
from sppdet.serving.label import MOST_BYTES
from sppdet.serving.run import Access
from sppdet.serving.security import Guard, new_token

SERVED = inspect.signature(serve).parameters["max_bytes"].default


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def client(host: str = "127.0.0.1", token: str | None = None, most: int = 1000) -> TestClient:
    app = Starlette(
        routes=[
            Route("/", echo, methods=["GET", "POST", "PUT"]),
            Route("/static/{name}", echo),
        ]
    )
    return TestClient(Guard(app, host, token, most), base_url="http://127.0.0.1:8377")


@pytest.mark.parametrize(
    ("host", "listening", "status"),
    [
        ("127.0.0.1:8377", "127.0.0.1", 200),
        ("localhost:1", "127.0.0.1", 200),
        ("[::1]:8377", "::1", 200),
        ("evil.example", "127.0.0.1", 403),
        ("evil.example:8377", "127.0.0.1", 403),
        ("192.168.1.2:8377", "127.0.0.1", 403),
        ("127.0.0.1.evil.example", "127.0.0.1", 403),
        ("", "127.0.0.1", 403),
        ("[bad", "127.0.0.1", 403),
        ("192.168.1.2:8377", "0.0.0.0", 200),
        ("evil.example", "0.0.0.0", 403),
        ("workshop.local:8377", "workshop.local", 200),
    ],
)
def test_the_name_must_be_this_servers(host: str, listening: str, status: int) -> None:
    assert client(listening).get("/", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(("host", "status"), [("vm:9105", 200), ("VM", 200), ("other", 403)])
def test_the_address_that_is_printed_is_accepted(host: str, status: int) -> None:
    guard = Guard(client("0.0.0.0").app._app, "0.0.0.0", None, 1000, ("Vm",))
    assert TestClient(guard).get("/", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "labels.example", "Origin": "https://labels.example"}, 200),
        ({"Host": "Labels.Example:443", "Origin": "https://labels.example"}, 200),
        ({"Host": "127.0.0.1:8377", "Origin": "https://labels.example:8443"}, 200),
        ({"Host": "127.0.0.1:8377", "Origin": "ftp://labels.example"}, 403),
        ({"Host": "labels.example", "Origin": "https://evil.example"}, 403),
        ({"Host": "labels.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "x.labels.example"}, 403),
        ({"Host": "[2001:db8::1]:80", "Origin": "http://[2001:db8::1]"}, 200),
    ],
)
def test_a_proxy_has_its_own_name(headers: dict[str, str], status: int) -> None:
    names = ("Labels.example", "[2001:DB8::1]")
    guard = Guard(client().app._app, "127.0.0.1", None, 1000, names, names)
    assert TestClient(guard).put("/", headers=headers).status_code == status
    if headers["Host"] != "127.0.0.1:8377":
        assert client().put("/", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("labels.example.org", True),
        ("nas", True),
        ("192.0.2.7", True),
        ("[2001:db8::1]", True),
        ("http://labels.example", False),
        ("labels.example:443", False),
        ("*", False),
        ("", False),
        ("a b", False),
    ],
)
def test_the_name_of_a_proxy_is_that_of_a_host(name: str, good: bool) -> None:
    if good:
        assert Access("127.0.0.1", (name,)).needs_token
        return
    with pytest.raises(SppdetError, match="--allow-host"):
        Access("127.0.0.1", (name,))


def test_a_token_is_needed_where_others_come() -> None:
    assert not Access("127.0.0.1").needs_token
    assert Access("0.0.0.0").needs_token


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:8377"}, 200),
        ({"Origin": "http://127.0.0.1:8378"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[bad"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_other_pages_are_refused(headers: dict[str, str], status: int, method: str) -> None:
    answer = client().request(method, "/", headers=headers)
    if method == "PUT" and headers.get("Sec-Fetch-Mode") == "navigate":
        status = 403  # a form of another page
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


def test_a_token_is_required_where_there_is_one() -> None:
    token = new_token()
    assert len(token) >= 32
    assert token != new_token()
    reach = client("0.0.0.0", token)
    assert reach.get("/").status_code == 401
    assert reach.get("/", params={"token": "x"}).status_code == 401
    assert reach.get("/", params={"token": token}).status_code == 200
    assert reach.get("/", headers={"X-Token": token}).status_code == 200
    assert reach.get("/", headers={"X-Token": token[:-1]}).status_code == 401
    assert reach.get("/static/label.js").status_code == 200
    assert reach.get("/static/../").status_code == 401


def test_bodies_are_limited_with_and_without_a_length() -> None:
    reach = client(most=10)
    assert reach.post("/", content=b"x" * 10).text == "10"
    assert reach.post("/", content=b"x" * 11).status_code == 413
    assert reach.post("/", content=iter([b"x" * 6, b"x" * 6])).status_code == 413
    assert reach.post("/", headers={"Content-Length": "-1"}).status_code == 413


@pytest.mark.parametrize(("most", "said"), [(64_000_000, "64 MB"), (1_500_000, "1.5 MB")])
def test_the_limit_is_told_in_the_unit_of_the_documents(most: int, said: str) -> None:
    guard = Guard(client().app._app, "127.0.0.1", None, most, beside=100)
    reach = TestClient(guard, base_url="http://127.0.0.1:8377")
    answer = reach.post("/", headers={"Content-Length": str(most + 101)})
    assert answer.status_code == 413
    assert answer.json() == {"error": f"the request is too large; {said} are accepted"}
    assert reach.post("/", content=b"x", headers={"Content-Length": str(most + 100)}).text == "1"


def test_the_limits_are_those_of_the_documents() -> None:
    pages = Path(__file__).parents[2] / "docs"
    text = (pages / "labelling.md").read_text("utf-8")
    assert f"Requests have at most {megabytes(MOST_BYTES)}" in text
    assert f"at most {megabytes(SERVED)} (`--max-bytes`)" in text


def test_every_answer_has_the_headers() -> None:
    for answer in (client().get("/"), client().get("/", headers={"Host": "evil.example"})):
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
