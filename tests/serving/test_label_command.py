"""``sppdet label`` as a process: its address, Ctrl-C, and what a kill leaves."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sppdet.cli import main

SLACK = 3.0
"""Seconds more on a machine that does other work."""


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
    assert server.process.returncode == 0
    assert out.splitlines()[-1] == "stopped; labels are saved"
    assert "Traceback" not in error
    assert "interrupted" not in error


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Photographs whose search takes long."""
    random = np.random.default_rng(0)
    for number in range(6):
        small = random.integers(0, 256, (75, 100, 3), np.uint8)
        picture = Image.fromarray(small).resize((2000, 1500))
        picture.save(tmp_path / f"{number}.png", compress_level=1)
    return tmp_path


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    ("number", "code", "wait"),
    [(signal.SIGINT, 0, 0.0), (signal.SIGTERM, 143, 0.5), (signal.SIGTERM, 143, 4.0)],
)
def test_the_end_is_quick_whatever_is_in_progress(
    large: Path, number: int, code: int, wait: float
) -> None:
    started = Process(large)
    try:
        started.ask("POST", "api/classes", {"name": "pear"})
        objects = [
            {"label": "pear", "box": [90 * k, 20, 90 * k + 80, 200], "difficult": False}
            for k in range(6)
        ]
        content = {"revision": "none", "objects": objects, "background": False}
        started.ask("PUT", "api/photos/0", content)

        def look() -> None:
            with suppress(OSError):
                started.ask("GET", "api/photos/5/proposals")

        threading.Thread(target=look, daemon=True).start()
        time.sleep(wait)
        children = training_of(started.process)
        begin = time.monotonic()
        started.process.send_signal(number)
        out, error = started.process.communicate(timeout=60)
        taken = time.monotonic() - begin
    finally:
        started.process.kill()
        started.process.wait()
    assert taken < 2 + SLACK
    assert started.process.returncode == code
    assert out.splitlines()[-1] == "stopped; labels are saved"
    assert "Traceback" not in error
    assert "interrupted" not in error
    assert children
    assert not any(Path(f"/proc/{child}/cmdline").exists() for child in children)
    names = sorted(path.name for path in large.iterdir())
    assert names == ["0.png", "0.xml", *(f"{k}.png" for k in range(1, 6))]


def second(folder: Path, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "sppdet", "label", str(folder), "--port", "0", "--no-browser"]
    known = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=known)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_second_server_says_which_is_the_first(
    server: Process, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    refused = second(folder)
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        f"error: {folder}: is being labelled by process {server.process.pid} at {server.address}; "
        "open that page, or end it first"
    ]
    refused = second(folder, SPPDET_CACHE=str(tmp_path_factory.mktemp("cache")))
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        f"error: {folder}: is being labelled by another process; open that page, or end it first"
    ]
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    again = Process(folder)  # a killed server blocks nothing
    again.process.kill()
    again.process.wait()


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
        (["{folder}", "--allow-host", "https://labels.example"], "give a name such as"),
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
