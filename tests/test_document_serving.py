"""The recipes of docs/serving.md run as they stand."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from sppdet.detections import Detections
from sppdet.detector import Detector

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
SERVER, *OTHERS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def server(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server, which runs in a folder with a detector."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "mine.safetensors").write_bytes(model_file.read_bytes())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-c", SERVER.replace("8000", str(port))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, cwd=folder, env=environment) as process:
        try:
            for _ in range(2400):
                assert process.poll() is None, "the server has ended"
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def post(address: str, content: bytes) -> tuple[int, dict]:
    try:
        with urlopen(Request(address, content, method="POST"), timeout=120) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refused:
        return refused.code, json.load(refused)


def test_the_server_has_at_most_18_lines() -> None:
    assert len(SERVER.splitlines()) <= 18


def test_requests_at_once_get_what_detect_gives(
    server: str, scenes: Path, model_file: Path
) -> None:
    files = sorted((scenes / "test").glob("*.jpg"))[:4] * 2
    with ThreadPoolExecutor(len(files)) as pool:
        answers = list(pool.map(lambda file: post(server, file.read_bytes()), files))
    detector = Detector.load(model_file, "cpu")
    for file, (code, answer) in zip(files, answers, strict=True):
        assert code == 200
        wanted = detector.detect(file.read_bytes(), threshold={})
        assert len(wanted)
        assert Detections.from_dict(answer) == wanted


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0 cut"])
def test_bad_bytes_are_one_line(server: str, content: bytes) -> None:
    code, answer = post(server, content)
    assert code == 400
    assert list(answer) == ["error"]
    assert answer["error"].count("\n") == 0
    assert "image" in answer["error"]


def test_the_dockerfile_has_two_lines_that_run(model_file: Path) -> None:
    (lines,) = re.findall(r"^```dockerfile\n(COPY.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    copy, run = lines.splitlines()
    assert copy.split()[0] == "COPY"
    assert run.removeprefix("RUN ").startswith("sppdet warm-up ")
