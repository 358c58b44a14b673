"""A server from its socket to its end."""

import re
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

import uvicorn
from starlette.types import ASGIApp

from sppdet.errors import SppdetError
from sppdet.runtime.files import remove_unfinished
from sppdet.serving.security import LOCAL, Guard, new_token

GRACE = 1.0
"""Seconds that requests in progress have at the end."""

NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[?[0-9a-fA-F:]+\]?")
"""What may be the name of a host, or its address."""


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


@dataclass(frozen=True)
class Access:
    """Who may reach a server, and by which names.

    Attributes:
        host: the address to listen on.
        names: further names by which a reverse proxy is reached.
    """

    host: str
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            SppdetError: one is not the name of a host.
        """
        for name in self.names:
            if not NAME.fullmatch(name):
                raise SppdetError(
                    f"--allow-host {name}: give a name such as labels.example.org, "
                    "without http:// and without a port"
                )

    @property
    def needs_token(self) -> bool:
        """Whether others than the user of this machine may reach it."""
        return self.host not in LOCAL or bool(self.names)


def address_of(access: Access, listener: socket.socket) -> tuple[str, str]:
    """The name of this machine for others, and the address of a server."""
    host, port = access.host, listener.getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    name = socket.gethostname() if host in ("0.0.0.0", "::") else name
    return name, f"http://{name}:{port}/"


def run_server(
    app: ASGIApp,
    listener: socket.socket,
    access: Access,
    most_bytes: int,
    announce: Callable[[str], None],
    end: Callable[[int], NoReturn],
    *,
    browser: bool = False,
    beside: int = 0,
    at_end: Callable[[], None] = lambda: None,
) -> NoReturn:
    """Answer requests until Ctrl-C or SIGTERM, and end the process then.

    Requests in progress have :data:`GRACE` seconds. What still works afterwards is left alone: it
    may be in a library for a long time, and every file is whole or absent.

    Args:
        app: the application.
        listener: of :func:`listen`.
        access: a token is required where others may reach the server.
        most_bytes: of a request.
        announce: is told the address.
        end: ends the process, with the number of the signal.
        browser: whether to open the address in the browser.
        beside: see :class:`Guard`.
        at_end: called before ``end``.
    """
    token = new_token() if access.needs_token else None
    name, address = address_of(access, listener)
    address += f"?token={token}" if token else ""
    config = uvicorn.Config(
        Guard(app, access.host, token, most_bytes, (name, *access.names), access.names, beside),
        log_level="error",
        access_log=False,
        server_header=False,
        lifespan="off",
    )
    lock = threading.Lock()

    def finish(number: int) -> NoReturn:
        with lock:  # never released: the process ends
            with suppress(Exception):
                at_end()
            remove_unfinished()
            with suppress(OSError, ValueError):
                sys.stdout.flush()
            end(number)

    server = _Server(config, finish)
    server.take_signals()  # before anyone knows that it runs
    announce(address)
    if browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    server.run(sockets=[listener])
    finish(server.number)


class _Server(uvicorn.Server):
    """Ends in any case: also while threads work that nobody can interrupt."""

    def __init__(self, config: uvicorn.Config, finish: Callable[[int], NoReturn]) -> None:
        super().__init__(config)
        self._finish = finish
        self.number = int(signal.SIGINT)

    def take_signals(self) -> None:
        """Be ended by Ctrl-C and SIGTERM from now on, as uvicorn does from its start on."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.handle_exit)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See :class:`uvicorn.Server`; the signal is not raised again."""
        if self.should_exit:
            self.force_exit = True
            return
        self.should_exit, self.number = True, int(sig)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        time.sleep(GRACE)
        self._finish(self.number)
