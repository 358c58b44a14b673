"""The routes of ``sppdet label`` without the training."""

import errno
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sppdet.errors import SppdetError
from sppdet.images import read_image
from sppdet.proposals import propose
from sppdet.serving.answers import Refused
from sppdet.serving.folder import PhotoFolder
from sppdet.serving.label_app import model_path
from sppdet.serving.photos import natural_key, no_proposals, shown, thumbnail
from sppdet.serving.session import Session


def test_the_folder(running: Any, scenes12: Any) -> None:
    content = running.client.get("/api/folder").json()
    assert content["name"] == "photos"
    assert content["format"] == "voc"
    assert content["difficult"] is True
    assert content["classes"] == []
    assert [one["name"] for one in content["photos"]] == sorted(scenes12.truths)
    assert {one["state"] for one in content["photos"]} == {"empty"}


def test_labels_are_saved_at_once(running: Any, scenes12: Any) -> None:
    client, first = running.client, running.client.get("/api/photos/0").json()
    assert (first["width"], first["height"]) == (320, 240)
    assert first["objects"] == []
    assert first["revision"] == "none"
    name = first["name"]
    for label in scenes12.classes:
        client.post("/api/classes", json={"name": label})
    answer = running.put(0, scenes12.truths[name])
    assert answer.status_code == 200
    assert (scenes12.folder / name).with_suffix(".xml").is_file()
    again = client.get("/api/photos/0").json()
    assert again["revision"] == answer.json()["revision"]
    assert len(again["objects"]) == len(scenes12.truths[name])
    for got, wanted in zip(again["objects"], scenes12.truths[name], strict=True):
        assert got["label"] == wanted["label"]
        assert np.abs(np.subtract(got["box"], wanted["box"])).max() <= 0.5
    state = client.get("/api/folder").json()["photos"][0]
    assert state["state"] == "labelled"
    assert state["objects"] == len(again["objects"])
    running.put(1, [], background=True)
    assert client.get("/api/photos/1").json()["background"] is True
    assert client.get("/api/folder").json()["photos"][1]["state"] == "background"
    running.put(1, [])
    assert client.get("/api/folder").json()["photos"][1]["state"] == "empty"


def test_another_page_leads_to_a_question(running: Any) -> None:
    client = running.client
    client.post("/api/classes", json={"name": "pear"})
    pear = {"label": "pear", "box": [10, 10, 60, 60], "difficult": False}
    old = client.get("/api/photos/2").json()["revision"]
    assert running.put(2, [pear]).status_code == 200
    content = {"revision": old, "objects": [], "background": True}
    answer = client.put("/api/photos/2", json=content)
    assert answer.status_code == 409
    assert "changed by another page" in answer.json()["error"]
    assert answer.json()["current"] == client.get("/api/photos/2").json()
    assert client.get("/api/photos/2").json()["objects"] == [pear]


@pytest.mark.parametrize(
    "change",
    [
        {"objects": None},
        {"objects": [3]},
        {"objects": [{"label": "plum", "box": [1, 1, 9, 9]}]},
        {"objects": [{"label": "pear", "box": [1, 1, 9]}]},
        {"objects": [{"label": "pear", "box": [1, 1, 1.5, 9]}]},
        {"objects": [{"label": "pear", "box": [900, 1, 990, 9]}]},
        {"objects": [{"label": "pear", "box": [1, 1, "x", 9]}]},
        {"objects": [{"label": "pear", "box": [1, 1, 9, 9], "difficult": 3}]},
        {"objects": [{"label": "pear", "box": [1, 1, 9, 9]}] * 5001},
        {"background": "yes"},
        {"revision": None},
        {"rejected": "all"},
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], running: Any) -> None:
    running.client.post("/api/classes", json={"name": "pear"})
    content = {"revision": "none", "objects": [], "background": False, **change}
    answer = running.client.put("/api/photos/0", json=content)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert running.session.counts == {}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/photos/12", 404),
        ("GET", "/api/photos/-1", 404),
        ("GET", "/api/photos/x/image", 404),
        ("GET", "/nothing", 404),
        ("GET", "/static/..%2Fapp.py", 404),
        ("GET", "/static/nothing.js", 404),
        ("DELETE", "/api/photos/0", 405),
        ("GET", "/api/next?order=best", 400),
        ("GET", "/api/next?after=x", 400),
        ("POST", "/api/classes", 415),
        ("POST", "/api/photos/0/explain", 415),
        ("POST", "/api/try", 409),
        ("GET", f"/static/{'a' * 5000}.js", 404),
    ],
)
def test_errors_are_one_line_of_json(method: str, path: str, status: int, running: Any) -> None:
    answer = running.client.request(method, path)
    assert answer.status_code == status
    assert "\n" not in answer.json()["error"]


def test_a_full_disk_is_told_and_keeps_the_file(
    running: Any, scenes12: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.client.post("/api/classes", json={"name": "pear"})
    pear = {"label": "pear", "box": [10, 10, 60, 60], "difficult": False}
    assert running.put(0, [pear]).status_code == 200

    def full(path: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    answer = running.put(0, [pear, pear])
    assert answer.status_code == 507
    assert "No space left" in answer.json()["error"]
    assert running.client.get("/api/photos/0").json()["objects"] == [pear]
    assert [path for path in scenes12.folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\u2028b", 3, None, "x" * 201])
def test_what_is_no_class(name: Any, running: Any) -> None:
    answer = running.client.post("/api/classes", json={"name": name})
    assert answer.status_code == 400


def test_a_class_that_another_program_took_out_can_be_added_again(running: Any) -> None:
    added: list[str] = []
    running.session.folder.files.add_class = added.append
    for _ in range(2):
        answer = running.client.post("/api/classes", json={"name": "kiwi"})
        assert answer.json()["classes"] == ["kiwi"]
    assert added == ["kiwi", "kiwi"]


@pytest.mark.parametrize("part", ["image", "thumbnail", "proposals"])
def test_a_photograph_that_has_gone_is_one_line(part: str, running: Any) -> None:
    running.session.folder.images[3].unlink()
    answer = running.client.get(f"/api/photos/3/{part}")
    assert answer.status_code == 404
    assert "\n" not in answer.json()["error"]


def test_rejected_boxes_are_remembered_until_an_object_is_there(running: Any) -> None:
    running.client.post("/api/classes", json={"name": "pear"})
    pear = {"label": "pear", "box": [10, 10, 60, 60]}
    running.put(0, [], rejected=[pear])
    name = running.session.folder.names[0]
    assert running.session.state.rejected(name) == [("pear", (10, 10, 60, 60))]
    assert running.client.get("/api/photos/0").json()["rejected"] == [pear]
    running.put(0, [], rejected=[])
    assert running.session.state.rejected(name) == []
    running.put(0, [], rejected=[pear])
    running.put(0, [])
    assert running.session.state.rejected(name) == [("pear", (10, 10, 60, 60))]
    running.put(0, [{**pear, "box": [12, 10, 60, 60]}])
    assert running.session.state.rejected(name) == []


@pytest.mark.parametrize("format", ["voc", "yolo", "coco"])
def test_what_another_page_rejected_is_not_lost(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (100, 80)).save(folder / "a.jpg")
    if format == "yolo":
        (folder / "data.yaml").write_text("names: [pear]\n")
    if format == "coco":
        empty = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "pear"}]}
        (folder / "instances.json").write_text(json.dumps(empty))
    session = Session(PhotoFolder(folder))
    assert session.folder.files.format == format
    session.add_class("pear")
    pear = {"label": "pear", "box": [10, 10, 60, 60]}
    other = {"label": "pear", "box": [70, 10, 90, 60]}
    seen = {"revision": "none", "objects": [], "background": False, "rejected": []}
    first = session.put(0, {**seen, "rejected": [pear]})
    with pytest.raises(Refused, match="changed by another page") as refused:
        session.put(0, {**seen, "objects": [other]})
    assert refused.value.status == 409
    current = refused.value.content["current"]
    assert (current["rejected"], current["objects"]) == ([pear], [])
    assert current["revision"] == first["revision"]
    second = session.put(0, {**seen, **first, "objects": [other], "rejected": [pear]})
    assert session.to_json(session.photo(0))["revision"] == second["revision"]
    with pytest.raises(Refused):  # the same where only the labels are others
        session.put(0, {**seen, **first, "rejected": [pear]})
    again = Session(PhotoFolder(folder))  # a server that was started again
    third = again.put(0, {**seen, **second, "objects": [other], "rejected": []})
    kept = {key: seen[key] for key in ("objects", "background")}
    again.put(0, {**kept, **second})  # without rejected boxes it does not rest on them
    assert third["revision"] == second["revision"].partition(".")[0]
    assert again.state.rejected("a.jpg") == []


def test_the_next_photograph(running: Any) -> None:
    def following(after: int, order: str) -> Any:
        query = {"after": after, "order": order}
        return running.client.get("/api/next", params=query).json()["id"]

    running.put(1, [], background=True)
    assert following(0, "name") == 2
    assert following(11, "name") == 0
    assert following(0, "uncertain") == 2  # nothing is known
    assert running.session.next(0, "uncertain", {3: 0.1, 5: 0.9, 1: 2.0}) == 5
    assert {following(0, "random") for _ in range(60)} == set(range(2, 12))
    for index in range(12):
        running.put(index, [], background=True)
    assert following(0, "name") is None


def test_proposals_and_pictures(running: Any) -> None:
    path = running.session.folder.images[0]
    answer = running.client.get("/api/photos/0/proposals").json()
    assert set(answer) == {"boxes"}
    assert np.abs(np.array(answer["boxes"]) - propose(read_image(path))).max() < 0.01
    picture = running.client.get("/api/photos/0/image")
    assert picture.content == path.read_bytes()
    assert picture.headers["content-type"] == "image/jpeg"
    small = Image.open(io.BytesIO(running.client.get("/api/photos/0/thumbnail").content))
    assert max(small.size) == 160
    nothing = running.client.get("/api/photos/0/suggestions").json()
    assert nothing == {"generation": 0, "boxes": []}


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp", "webp"])
@pytest.mark.parametrize("turned", [False, True])
def test_pictures_are_shown_upright(suffix: str, turned: bool, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    image = Image.new("RGB", (40, 20), "white")
    image.save(path, exif=exif) if suffix != "bmp" else image.save(path)
    content, kind = shown(path)
    assert kind in ("image/jpeg", "image/png", "image/webp")
    height, width, _ = read_image(path).shape
    assert read_image(content).shape == (height, width, 3)
    with Image.open(io.BytesIO(thumbnail(path))) as small:
        assert small.size == (width, height)


def test_natural_order() -> None:
    names = ["b/1.jpg", "a2.jpg", "a10.jpg", "A1.jpg", "a٣.jpg"]
    assert sorted(names, key=natural_key)[:2] == ["A1.jpg", "a2.jpg"]


@pytest.mark.parametrize(
    "name",
    ["", "../a", "a/b", "a\\b", ".hidden", "a:b", None, 3, "x" * 101, "a\n", "\ud800", "梨" * 40],
)
def test_a_model_stays_in_the_folder(name: Any, tmp_path: Path) -> None:
    with pytest.raises(Refused):
        model_path(tmp_path, name)
    assert model_path(tmp_path, "fruit") == tmp_path.resolve() / "fruit.safetensors"
    (tmp_path / "theirs.safetensors").write_text("of another program")
    with pytest.raises(SppdetError, match="theirs"):
        model_path(tmp_path, "theirs")
    (tmp_path / "link.safetensors").symlink_to(tmp_path.parent / "elsewhere")
    with pytest.raises(Refused):
        model_path(tmp_path, "link")


def test_why_there_are_no_proposals(running: Any) -> None:
    Image.new("RGB", (3000, 60), "grey").save(running.session.folder.images[0])
    answer = running.client.get("/api/photos/0/proposals").json()
    assert answer["boxes"] == []
    assert "3000 x 60 pixels to a strip" in answer["note"]
    assert answer["note"].endswith("Drag the pointer to draw a box.")
    assert "nothing in it" in no_proposals((90, 80))
    assert "note" not in running.client.get("/api/photos/1/proposals").json()
