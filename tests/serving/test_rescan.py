"""Photographs that come and go while the server runs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sppdet.serving import rescan
from sppdet.serving.folder import PhotoFolder


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescan, "EVERY", 0.0)
    monkeypatch.setattr(rescan, "SHARE", 0)


def listed(running: Any) -> dict[str, int]:
    content = running.client.get("/api/folder").json()
    return {one["name"]: one["id"] for one in content["photos"]}


def test_a_new_photograph_is_listed_in_its_place(running: Any, scenes12: Any) -> None:
    before = listed(running)
    version = running.client.get("/api/status").json()["version"]
    first, *_ = sorted(scenes12.folder.glob("*.jpg"))
    shutil.copy(first, scenes12.folder / "a_first.jpg")
    shutil.copytree(scenes12.folder, scenes12.folder / "day", ignore=lambda *_: ["a_first.jpg"])
    assert running.client.get("/api/status").json()["version"] == version + 1
    now = listed(running)
    assert next(iter(now)) == "a_first.jpg"
    assert len(now) == 25
    assert all(now[name] == index for name, index in before.items())
    new = now["a_first.jpg"]
    assert new >= 12
    assert running.client.get(f"/api/photos/{new}/image").status_code == 200
    running.client.post("/api/classes", json={"name": "pear"})
    box = {"label": "pear", "box": [10, 10, 60, 60], "difficult": False}
    assert running.put(new, [box]).status_code == 200
    assert (scenes12.folder / "a_first.xml").is_file()
    after = running.client.get(f"/api/next?after={new}&order=name").json()
    assert after == {"id": now["day/" + first.name]}
    assert set(running.ahead._pool) == set(range(25))


def test_labels_that_come_with_a_photograph_are_read(running: Any, scenes12: Any) -> None:
    listed(running)
    text = "<annotation><object><name>plum</name><bndbox><xmin>9</xmin><ymin>9</ymin>"
    text += "<xmax>90</xmax><ymax>80</ymax></bndbox></object></annotation>"
    (scenes12.folder / "new.xml").write_text(text)
    shutil.copy(next(scenes12.folder.glob("*.jpg")), scenes12.folder / "new.jpg")
    index = listed(running)["new.jpg"]
    assert running.session.counts[index] == 1
    assert running.session.classes == ["plum"]
    assert index in running.trainer._changed


def test_a_photograph_that_left_is_told_about(running: Any, scenes12: Any) -> None:
    running.client.post("/api/classes", json={"name": "pear"})
    box = {"label": "pear", "box": [10, 10, 60, 60], "difficult": False}
    assert running.put(3, [box]).status_code == 200
    path = running.session.folder.images[3]
    content = path.read_bytes()
    revision = running.client.get("/api/photos/3").json()["revision"]
    path.unlink()
    change = {"revision": revision, "objects": [], "background": True}
    for method, place in (("GET", ""), ("GET", "/image"), ("GET", "/thumbnail"), ("PUT", "")):
        answer = running.client.request(method, f"/api/photos/3{place}", json=change)
        assert answer.status_code == 404
        assert answer.json() == {"error": f"{path.name}: is not in the folder any more"}
    assert path.name not in listed(running)
    assert 3 not in running.session.counts
    assert 3 not in running.session.unlabelled()
    assert running.trainer._lesson(3).to_json()["annotated"] is False
    path.write_bytes(content)  # and it comes back
    assert listed(running)[path.name] == 3
    assert running.session.counts[3] == 1


def test_a_folder_that_is_not_to_be_seen_keeps_its_photographs(running: Any, scenes12: Any) -> None:
    before = listed(running)
    scenes12.folder.rename(scenes12.folder.with_name("away"))
    assert listed(running) == before
    scenes12.folder.with_name("away").rename(scenes12.folder)
    assert listed(running) == before


def test_looks_are_rare(running: Any, scenes12: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(running)
    monkeypatch.setattr(rescan, "EVERY", 60.0)
    listed(running)
    shutil.copy(next(scenes12.folder.glob("*.jpg")), scenes12.folder / "new.jpg")
    assert len(listed(running)) == 12


@pytest.mark.parametrize("format", ["yolo", "coco"])
def test_other_formats_take_new_photographs_too(format: str, scenes12: Any, tmp_path: Path) -> None:
    pictures = sorted(scenes12.folder.glob("*.jpg"))
    images = tmp_path / "set" / "images"
    images.mkdir(parents=True)
    shutil.copy(pictures[0], images / "a.jpg")
    if format == "yolo":
        (tmp_path / "set/labels").mkdir()
        (tmp_path / "set/data.yaml").write_text("names: [pear]\n")
        (tmp_path / "set/labels/a.txt").write_text("0 .5 .5 .2 .2\n")
    else:
        entries = [{"id": k, "file_name": f"{k}.jpg", "width": 320, "height": 240} for k in "ab"]
        content = {"images": entries, "annotations": [], "categories": []}
        (tmp_path / "set/instances.json").write_text(json.dumps(content))
    folder = PhotoFolder(tmp_path / "set")
    assert folder.look_again() == ([], [])
    shutil.copy(pictures[1], images / "b.jpg")
    assert folder.look_again() == ([1], [])
    said = folder.files.read(folder.images[1], (320, 240))
    assert said.annotated is (format == "coco")  # its file lists it already
    folder.files.write(folder.images[1], (320, 240), [], True, said.revision)
    (images / "a.jpg").unlink()
    assert folder.look_again() == ([], [0])
    assert folder.order == [1]
