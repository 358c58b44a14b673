"""A server from its socket to its end."""

import socket
import threading
import webbrowser
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from sppdet.errors import SppdetError
from sppdet.serving.security import LOCAL, Guard, new_token

GRACE = 2
"""Seconds that open connections have at the end."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: the address or name.
        port: 0 takes a free one.

    Raises:
        SppdetError: the port is taken, or the host is not one of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SppdetError(f"--host {host}: is not an address of this machine ({reason})") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise SppdetError(
            f"--port {port}: cannot be used on {host} ({reason}); 0 takes a free one"
        ) from None
    return listener


def run_server(
    app: ASGIApp,
    listener: socket.socket,
    host: str,
    most_bytes: int,
    announce: Callable[[str], None],
    browser: bool = False,
) -> None:
    """Answer requests until Ctrl-C.

    Args:
        app: the application.
        listener: of :func:`listen`.
        host: as it was given; on another address than this machine's own a token is required.
        most_bytes: of a request.
        announce: is told the address.
        browser: whether to open the address in the browser.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM.
    """
    token = None if host in LOCAL else new_token()
    port = listener.getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    name = socket.gethostname() if host in ("0.0.0.0", "::") else name
    address = f"http://{name}:{port}/" + (f"?token={token}" if token else "")
    config = uvicorn.Config(
        Guard(app, host, token, most_bytes, name),
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        lifespan="off",
    )
    server = uvicorn.Server(config)

    announce(address)
    if browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    server.run(sockets=[listener])
    raise KeyboardInterrupt
