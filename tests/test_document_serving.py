"""The recipes of docs/serving.md run as they stand."""

import json
import os
import re
import shutil
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

from sppdet.cli.detect import shipped_model
from sppdet.datasets.scenes import write_scenes
from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.export import export_onnx

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
SERVER, EXPORTED = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server, which runs in a folder with a detector."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(shipped_model(), folder / "mine.safetensors")
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
    assert len([line for line in SERVER.splitlines() if line.strip()]) <= 18


def test_requests_at_once_get_what_detect_gives(server: str, tmp_path: Path) -> None:
    write_scenes(tmp_path, 4, seed=2, size=(320, 240))
    files = sorted(tmp_path.glob("*.jpg")) * 2
    with ThreadPoolExecutor(len(files)) as pool:
        answers = list(pool.map(lambda file: post(server, file.read_bytes()), files))
    detector = Detector.load(shipped_model(), "cpu")
    found = 0
    for file, (code, answer) in zip(files, answers, strict=True):
        assert code == 200
        wanted = detector.detect(file.read_bytes(), threshold={})
        assert Detections.from_dict(answer) == wanted
        found += len(wanted)
    assert found


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0 cut"])
def test_bad_bytes_are_one_line(server: str, content: bytes) -> None:
    code, answer = post(server, content)
    assert code == 400
    assert list(answer) == ["error"]
    assert answer["error"].count("\n") == 0
    assert "image" in answer["error"]


def test_the_dockerfile_has_two_lines() -> None:
    (lines,) = re.findall(r"^```dockerfile\n(COPY.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    copy, run = lines.splitlines()
    assert copy.split()[0] == "COPY"
    assert run.removeprefix("RUN ").startswith("sppdet warm-up ")


def test_the_exported_file_finds_what_the_detector_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = Detector.load(shipped_model(), "cpu")
    shutil.copy(ROOT / "data" / "sample" / "fruit.jpg", tmp_path / "photo.jpg")
    export_onnx(detector, tmp_path / "mine.onnx")
    monkeypatch.chdir(tmp_path)
    exec(compile(EXPORTED, "docs/serving.md", "exec"), {})
    shown = [line.split(" ", 2)[:2] for line in capsys.readouterr().out.splitlines()]
    wanted = detector.detect("photo.jpg", threshold={})
    assert len(shown) >= len(wanted) > 0
    for name in detector.classes:
        best = max((one.score for one in wanted.filter(classes=name)), default=0.0)
        found = max((float(score) for label, score in shown if label == name), default=0.0)
        assert found == pytest.approx(best, abs=1e-3)


# ---------------------------------------------------------------- without training's packages

MISSING = ("sklearn", "scipy", "matplotlib", "mpl_toolkits", "pycocotools", "joblib", "fontTools")
WITHOUT = f"""
import sys
for name in {MISSING}:
    sys.modules[name] = None
from sppdet.cli import main
main(sys.argv[1:])
"""


def without_training(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


def test_the_packages_are_the_dependencies_without_those_of_training() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^dependencies = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    all_of_them = set(re.findall(r'^ *"([\w-]+)', listed, re.MULTILINE))
    (named,) = re.findall(r"^```text\n(efficient.*?)\n```", PAGE, re.DOTALL | re.MULTILINE)
    kept = {one.split("==")[0] for one in named.split()}
    training = {"matplotlib", "pycocotools", "scikit-learn"}
    serving = {"python-multipart", "starlette", "uvicorn"}
    assert all_of_them - kept == training | serving
    assert kept < all_of_them


def test_detection_works_without_the_packages_of_training(tmp_path: Path) -> None:
    photo = ROOT / "data" / "sample" / "fruit.jpg"
    kinds = "pictures,json,csv,coco,txt,voc,crops"
    done = without_training("detect", photo, "-o", tmp_path, "--save", kinds)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "fruit.json").read_text())
    assert found["detections"]
    assert (tmp_path / "fruit.jpg").is_file()


def test_a_command_that_needs_a_missing_package_is_one_line(tmp_path: Path) -> None:
    write_scenes(tmp_path / "train", 3, seed=2, size=(160, 120))
    done = without_training("evaluate", tmp_path / "train", "--model", shipped_model(), "--coco")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: the package pycocotools is missing")
    assert line.endswith("pip install sppdet installs all")
