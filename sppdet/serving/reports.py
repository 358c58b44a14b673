"""The report on the labelled photographs: the training writes it between its other steps."""

import threading
import time
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sppdet.serving.answers import Refused

FRESH = 10.0
"""Seconds for which a report that nobody came for is still a new one."""

PAGE_SECONDS = 2.0
"""How long a browser waits for a report, before it shows a page that says why."""

PROGRAM_SECONDS = 120.0
"""How long a program waits for a report."""

REPORT = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
"""The report is a page without scripts that loads nothing."""

WAITING = "default-src 'none'; style-src 'unsafe-inline'"
"""The page that stands for it. In a sandbox it could not load itself again."""

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:15vh auto;padding:0 1em;"
    "color:#111827;background:#fff}h1{font-size:1.4em}"
)


class Reports:
    """Asks the training for a report and waits for it; several pages may wait for the same one.

    Args:
        ask: sends the request to the training.
    """

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._asked = False
        self._arrived = threading.Event()
        self._time = 0.0
        self._answer: dict[str, Any] = {}

    def take(self, answer: dict[str, Any]) -> None:
        """The training has answered: "file", or "error"."""
        with self._lock:
            self._answer, self._time = answer, time.monotonic()
            self._arrived.set()

    def lose(self) -> None:
        """The training has ended, so that the next page asks again."""
        with self._lock:
            self._asked = False

    def page(self, seconds: float) -> Path | None:
        """The file of a new report; None where it takes longer than some seconds.

        Raises:
            Refused: there is nothing to report on.
        """
        with self._lock:
            stale = self._arrived.is_set() and time.monotonic() - self._time > FRESH
            asks = not self._asked or stale
            if asks:
                self._asked = True
                self._arrived.clear()
        if asks:
            self._ask()
        if not self._arrived.wait(seconds):
            return None
        with self._lock:
            self._asked, answer = False, self._answer
        if "error" in answer:
            raise Refused(409, answer["error"])
        return Path(answer["file"])


def answer(request: Request, reports: Reports, status: Callable[[], dict[str, Any]]) -> Response:
    """The report, or for a browser a page that says why it is not there yet.

    Args:
        request: a program, which does not ask for HTML, gets errors as elsewhere.
        reports: of the training.
        status: gives the state of the training.

    Raises:
        Refused: to a program: there is nothing to report on, or the training is busy.
    """
    browser = "text/html" in request.headers.get("accept", "")
    try:
        path = reports.page(PAGE_SECONDS if browser else PROGRAM_SECONDS)
    except Refused as refused:
        if not browser:
            raise
        text = f"{str(refused)[:1].upper()}{str(refused)[1:]}."
        return _page(waiting_page("No report yet", text, 10), WAITING, refused.status)
    if path is not None:
        return _page(path.read_bytes(), REPORT)
    if not browser:
        raise Refused(503, "the training is busy; ask for the report again in a while")
    return _page(waiting_page("The training is busy", what_goes_on(status()), 3), WAITING, 202)


def _page(content: bytes | str, policy: str, status: int = 200) -> Response:
    headers = {"Content-Security-Policy": policy}
    return Response(content, status, media_type="text/html", headers=headers)


def waiting_page(title: str, text: str, seconds: int) -> str:
    """A page that says why the report is not there, and loads itself again."""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<meta http-equiv=refresh content={seconds}>"
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<h1>{escape(title)}</h1><p>{escape(text)}</p>"
        f"<p>This page looks again every {seconds} seconds.</p></html>"
    )


def what_goes_on(status: dict[str, Any]) -> str:
    """What the training does while a report waits, from its status."""
    if status["training"]:
        return "The detector is learning from the last changes. The report follows."
    if status["folding"]:
        return "The detectors of the folds are learning. The report follows."
    return "The report is being written."
