"""``sppdet label`` as a process: its address, Ctrl-C, and what a kill leaves."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sppdet.cli import main


class Process:
    """A running ``sppdet label``."""

    def __init__(self, folder: Path, *words: str) -> None:
        command = [sys.executable, "-m", "sppdet", "label", str(folder), "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--no-browser", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        told = self.process.stderr if "--quiet" in words else self.process.stdout
        assert told is not None
        for line in told:
            if found := re.search(r"(http://[^/]+/)(\S*)", line):
                self.address, self.query = found.groups()
                return
        raise AssertionError(self.process.communicate()[1])

    def ask(self, method: str, path: str, content: Any = None, **headers: str) -> Any:
        body = None if content is None else json.dumps(content).encode()
        head = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.address + path, body, head, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        Image.new("RGB", (60, 40), (90, 30 * number, 20)).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Process]:
    started = Process(folder)
    yield started
    started.process.kill()
    started.process.wait()


def training_of(process: subprocess.Popen) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_kill_loses_nothing_that_was_answered(server: Process, folder: Path) -> None:
    server.ask("POST", "api/classes", {"name": "pear"})
    revision = "none"
    for count in range(1, 6):
        objects = [
            {"label": "pear", "box": [5 * k, 2, 5 * k + 9, 20], "difficult": False}
            for k in range(count)
        ]
        content = {"revision": revision, "objects": objects, "background": False}
        revision = server.ask("PUT", "api/photos/1", content)["revision"]
    children = training_of(server.process)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    again = Process(folder)
    try:
        photo = again.ask("GET", "api/photos/1")
        assert photo["revision"] == revision
        assert photo["objects"] == objects
        assert again.ask("GET", "api/folder")["classes"] == ["pear"]
    finally:
        again.process.kill()
        again.process.wait()
    end = time.monotonic() + 60
    while any(Path(f"/proc/{child}/cmdline").exists() for child in children):
        assert time.monotonic() < end, "the training outlives its server"
        time.sleep(0.2)
    assert [path for path in folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_is_one_line(server: Process) -> None:
    server.process.send_signal(signal.SIGINT)
    out, error = server.process.communicate(timeout=120)
    assert server.process.returncode == 130
    assert error.splitlines()[-1].startswith("error: interrupted")
    assert "Traceback" not in out + error


def test_the_address_is_told_with_quiet_too(folder: Path) -> None:
    """On the standard error, with the token that nobody could know otherwise; nothing else is."""
    started = Process(folder, "--quiet", "--host", "0.0.0.0")
    try:
        assert started.query.startswith("?token=")
    finally:
        started.process.kill()
    assert started.process.communicate()[0] == ""


def test_another_address_needs_a_token(folder: Path) -> None:
    server = Process(folder, "--host", "0.0.0.0")
    try:
        server.address = re.sub(r"//[^:/]+", "//127.0.0.1", server.address)
        token = server.query.removeprefix("?token=")
        assert len(token) >= 32
        assert server.ask("GET", "api/folder", **{"X-Token": token})["format"] == "voc"
        with pytest.raises(urllib.error.HTTPError) as refused:
            server.ask("GET", "api/folder")
        assert refused.value.code == 401
    finally:
        server.process.kill()
        server.process.wait()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "no such file or folder"),
        (["{folder}/0.png"], "give the folder"),
        (["{folder}", "--host", "203.0.113.9"], "--port"),
        (["{folder}", "--host", "no such host"], "is not an address"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.format(folder=folder) for word in words]
    with pytest.raises(SystemExit) as stop:
        main(["label", *words, "--no-browser", "--port", "0"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_five_thousand_photographs_open_without_being_decoded(tmp_path: Path) -> None:
    from sppdet.serving.folder import PhotoFolder
    from sppdet.serving.session import Session

    for number in range(5000):
        (tmp_path / f"{number}.jpg").write_bytes(b"")
    for number in range(0, 5000, 2):
        text = "<annotation><object><name>pear</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
        text += "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
        (tmp_path / f"{number}.xml").write_text(text)
    start = time.process_time()
    session = Session(PhotoFolder(tmp_path))
    assert time.process_time() - start < 4  # 2 s on a machine of its own
    assert len(session.counts) == 2500
    assert session.folder.names[10] == "10.jpg"
