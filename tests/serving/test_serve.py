"""``sppdet serve``: an image in, its detections out, with limits."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from sppdet.detections import Detections
from sppdet.detector import Detector
from sppdet.serving.answers import Refused, make_app
from sppdet.serving.metrics import Metrics
from sppdet.serving.model_app import MOST_ARRIVING, ModelApp
from sppdet.serving.openapi import document, page
from sppdet.serving.security import Guard
from sppdet.serving.waiting import WaitingRoom

BYTES, PIXELS = 1_000_000, 320 * 240


@pytest.fixture
def client(detector: Detector) -> TestClient:
    app = make_app(ModelApp(detector, 1, 2, BYTES, PIXELS).routes())
    return TestClient(
        Guard(app, "127.0.0.1", None, BYTES, beside=100), base_url="http://127.0.0.1:8378"
    )


@pytest.fixture(scope="session")
def picture(scenes: Path) -> Path:
    return sorted((scenes / "test").glob("*.jpg"))[0]


def found(answer: Any) -> Detections:
    assert answer.status_code == 200
    return Detections.from_dict(answer.json())


@pytest.mark.parametrize("threshold", [None, 0.2, 1.0])
def test_detections_are_those_of_the_detector(
    client: TestClient, detector: Detector, picture: Path, threshold: float | None
) -> None:
    wanted = detector.detect(picture, {} if threshold is None else threshold)
    query = {} if threshold is None else {"threshold": str(threshold)}
    raw = found(client.post("/detect", params=query, content=picture.read_bytes()))
    form = client.post("/detect", params=query, files={"image": picture.open("rb")})
    for got in (raw, found(form)):
        assert [one.label for one in got] == [one.label for one in wanted]
        assert got.boxes == pytest.approx(wanted.boxes, abs=0.01)
        assert got.size == (320, 240)


@pytest.mark.parametrize(
    ("content", "query", "status"),
    [
        (b"", {}, 400),
        (b"no picture", {}, 400),
        (b"x" * (BYTES + 1), {}, 413),
        (b"x" * (BYTES + 101), {}, 413),
        (b"large", {}, 413),
        (b"long", {}, 413),
        (b"picture", {"threshold": "2"}, 400),
        (b"picture", {"threshold": "x"}, 400),
        (b"picture", {"threshold": "nan"}, 400),
    ],
)
def test_bad_requests_are_one_line(
    content: bytes, query: dict[str, str], status: int, client: TestClient, picture: Path
) -> None:
    if content == b"large":  # its header says so; there are no pixels
        content = b"P6\n400 300\n255\n"
    if content == b"long":
        content = b"P6\n600 3\n255\n" + bytes(600 * 3 * 3)
    if content == b"picture":
        content = picture.read_bytes()
    answer = client.post("/detect", params=query, content=content)
    assert answer.status_code == status
    assert "\n" not in answer.json()["error"]
    assert content[:1] != b"x" or answer.json()["error"].endswith("is too large; 1 MB are accepted")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_is_the_end_of_a_server(detector: Detector, tmp_path: Path) -> None:
    detector.save(tmp_path / "model.safetensors")
    command = [sys.executable, "-m", "sppdet", "serve", "model.safetensors", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert "http://" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert (process.returncode, out.splitlines()[-1]) == (0, "stopped")
    assert "interrupted" not in error


def test_images_on_their_way_are_bounded(detector: Detector, picture: Path) -> None:
    """40 clients send the first half; those above the limit are told so, the others served."""
    app = ModelApp(detector, 1, 40, BYTES, PIXELS)
    content = picture.read_bytes()
    statuses: list[int] = []

    async def client(halfway: asyncio.Event) -> None:
        parts = [(content[:100], True), (content[100:], False)]

        async def receive() -> dict[str, Any]:
            part, more = parts.pop(0)
            if not more:
                await halfway.wait()
            return {"type": "http.request", "body": part, "more_body": more}

        scope = {"type": "http", "method": "POST", "headers": [], "query_string": b""}
        try:
            statuses.append((await app.detect(Request(scope, receive))).status_code)
        except Refused as refused:
            statuses.append(refused.status)
            halfway.set()

    async def all_at_once() -> None:
        halfway = asyncio.Event()
        await asyncio.gather(*(client(halfway) for _ in range(40)))

    asyncio.run(all_at_once())
    assert statuses.count(503) == 40 - MOST_ARRIVING == 8
    assert statuses.count(200) == MOST_ARRIVING


def test_health_metrics_and_description(client: TestClient, picture: Path) -> None:
    assert client.get("/healthz").text == "ok\n"
    client.post("/detect", content=picture.read_bytes())
    client.post("/detect", content=b"")
    text = client.get("/metrics").text
    assert 'sppdet_requests_total{status="200"} 1\n' in text
    assert 'sppdet_requests_total{status="400"} 1\n' in text
    assert "sppdet_image_seconds_count 1\n" in text
    assert "sppdet_images_inside 0\n" in text
    described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.")
    for path, methods in described["paths"].items():
        for method in methods:
            assert client.request(method, path).status_code in (200, 400)
    html = client.get("/docs").text
    assert "/detect" in html
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert client.get("/detect").status_code == 405


def test_the_description_holds_for_any_class_name() -> None:
    content = document(["<script>", 'a"b'], 1, 1)
    assert json.loads(json.dumps(content)) == content
    assert "<script>" not in page(content)


def test_what_has_no_place_is_refused_and_places_come_free() -> None:
    room, release, begun = WaitingRoom(1, 1), threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        assert release.wait(60)
        return "done"

    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(room.run(work))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    while room.inside < 2:
        pass
    with pytest.raises(Refused) as refused:
        room.run(work)
    assert refused.value.status == 503
    release.set()
    for thread in threads:
        thread.join()
    assert results == ["done", "done"]
    assert room.inside == 0
    with pytest.raises(ZeroDivisionError):
        room.run(lambda: 1 // 0)
    assert room.run(lambda: 3) == 3


def test_metrics_are_counted() -> None:
    metrics = Metrics()
    metrics.answered(503)
    metrics.detected(3, 0.25)
    metrics.detected(4, 0.5)
    text = metrics.text(2)
    assert "sppdet_detections_total 7\n" in text
    assert "sppdet_image_seconds_sum 0.750000\n" in text
    assert 'sppdet_requests_total{status="503"} 1\n' in text
    assert text.endswith("sppdet_images_inside 2\n")
