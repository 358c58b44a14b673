"""Who may talk to a server: the guard in front of every route.

The server listens on this machine only, unless a host is named, and a token is required then. A
page of another site, which runs in the same browser, is kept out by three checks: the name in Host
must be this server's (a site that lets its name point here, DNS rebinding, sends its own), Origin
must be the server itself (CSRF), and so must be what the browser says in Sec-Fetch-Site.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Collection, Mapping
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sppdet.runtime.words import megabytes

LOCAL = ("127.0.0.1", "localhost", "::1")

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer that does not say otherwise."""

OPEN = ("/static/", "/healthz")
"""Paths that need no token: they tell nothing, and modules are loaded without one."""


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)


class Guard:
    """An ASGI application that refuses requests before the application sees them.

    Args:
        app: the application.
        host: the address that the server listens on.
        token: what requests must carry in ``X-Token`` or ``?token=``; None without.
        most_bytes: of the body of a request.
        names: what Host may say besides: the name in the address that users are told, and those of
            reverse proxies.
        proxies: the names of reverse proxies, whose pages may send requests.
        beside: bytes that a body may have more, for the parts of a form beside its file.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        token: str | None,
        most_bytes: int,
        names: Collection[str] = (),
        proxies: Collection[str] = (),
        beside: int = 0,
    ) -> None:
        self._app = app
        self._host = host
        self._names = {name.casefold().strip("[]") for name in (host, *names)}
        self._proxies = {name.casefold().strip("[]") for name in proxies}
        self._token = token
        self._most = most_bytes + beside
        self._too_large = f"the request is too large; {megabytes(most_bytes)} are accepted"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        refused = self._refused(scope)
        if refused is not None:
            status, text = refused
            await JSONResponse({"error": text}, status)(scope, receive, _with_headers(send))
            return
        limited = _Limited(receive, self._most, self._too_large)
        await self._app(scope, limited.receive, _with_headers(send))

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if not self._is_own(headers.get("host", "")):
            return 403, "the address in Host is not this server's"
        foreign = origin_problem(headers, scope["method"], self._proxies)
        if foreign is not None:
            return 403, foreign
        if self._token is not None and not scope["path"].startswith(OPEN):
            query = parse_qs(scope["query_string"].decode("latin-1"))
            given = headers.get("x-token") or query.get("token", [""])[0]
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                return 401, "the token is missing or wrong; open the address that the server prints"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._most:
            return 413, self._too_large
        return None

    def _is_own(self, host: str) -> bool:
        """Whether Host names this server: an address, "localhost", or the host that was given."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in LOCAL or name in self._names:
            return True
        if self._host in LOCAL:
            return False
        try:  # an address cannot be pointed elsewhere
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def origin_problem(
    headers: Mapping[str, str], method: str, proxies: Collection[str] = ()
) -> str | None:
    """Why a request comes from another site's page; None where it does not.

    Args:
        headers, method: of the request.
        proxies: names of reverse proxies, in lower case; their pages are this server's.
    """
    origin = headers.get("origin")
    if origin is not None:
        try:
            parts = urlsplit(origin)
            own = parts.netloc == headers.get("host") or parts.hostname in proxies
            same = parts.scheme in ("http", "https") and own
        except ValueError:
            same = False
        if not same:
            return "the request comes from another page"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        # A link from another page may open this one, and nothing else.
        if headers.get("sec-fetch-mode") == "navigate" and method == "GET":
            return None
        return "the request comes from another page"
    return None


class _Limited:
    """The parts of a body, until they are too many."""

    def __init__(self, receive: Receive, most: int, text: str) -> None:
        self._receive, self._left, self._text = receive, most, text

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(413, self._text)
        return message


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return wrapped
