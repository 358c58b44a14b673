"""A report that takes long: what a browser sees meanwhile, and what a program gets."""

import threading
from pathlib import Path
from typing import Any

import pytest

from sppdet.serving import reports
from sppdet.serving.answers import Refused
from sppdet.serving.reports import Reports

BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9"}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "PAGE_SECONDS", 0.05)
    monkeypatch.setattr(reports, "PROGRAM_SECONDS", 0.05)


def test_a_browser_sees_what_goes_on_while_the_training_is_busy(
    running: Any, tmp_path: Path
) -> None:
    asked: list[Any] = []
    running.trainer._write = asked.append
    for training, words in ((True, "learning from the last changes"), (False, "being written")):
        running.trainer._training = training
        answer = running.client.get("/api/report", headers=BROWSER)
        assert answer.status_code == 202
        assert answer.headers["content-type"].startswith("text/html")
        assert words in answer.text
        assert "<meta http-equiv=refresh content=3>" in answer.text
        assert "sandbox" not in answer.headers["content-security-policy"]
    assert len(asked) == 1  # the second page waits for the same report
    (tmp_path / "index.html").write_text("<p>the report")
    running.trainer._take({"event": "report", "file": str(tmp_path / "index.html")})
    answer = running.client.get("/api/report", headers=BROWSER)
    assert (answer.status_code, answer.text) == (200, "<p>the report")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert len(asked) == 1
    assert running.client.get("/api/report", headers=BROWSER).status_code == 202
    assert len(asked) == 2  # a new one


def test_a_browser_sees_why_there_is_no_report(running: Any) -> None:
    running.trainer._write = lambda message: running.trainer._take(
        {"event": "report", "error": "there is too <little> to report on yet"}
    )
    answer = running.client.get("/api/report", headers=BROWSER)
    assert answer.status_code == 409
    assert "<p>There is too &lt;little&gt; to report on yet.</p>" in answer.text
    answer = running.client.get("/api/report")
    assert answer.json() == {"error": "there is too <little> to report on yet"}


def test_a_program_gets_an_error(running: Any) -> None:
    running.trainer._write = lambda message: None
    answer = running.client.get("/api/report")
    assert answer.status_code == 503
    assert "busy" in answer.json()["error"]


def test_a_report_of_a_training_that_ended_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    waiting = Reports(lambda: asked.append(1))
    assert waiting.page(0) is None
    waiting.lose()
    assert waiting.page(0) is None
    assert len(asked) == 2
    waiting.take({"file": "a"})
    monkeypatch.setattr(reports, "FRESH", -1.0)  # nobody came for it in time
    assert waiting.page(0) is None
    assert len(asked) == 3
    threading.Timer(0.1, waiting.take, [{"error": "no"}]).start()
    with pytest.raises(Refused, match="no"):
        waiting.page(10)
