"""Classes that are taken out, and classes that get another name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sppdet.errors import SppdetError
from sppdet.serving.answers import Refused
from sppdet.serving.folder import PhotoFolder
from sppdet.serving.session import Session

OBJECT = """  <object tool="x">
    <name>{}</name><part><name>pear</name></part>
    <bndbox><xmin>11</xmin><ymin>11</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>
  </object>
"""


def pictures(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (100, 80), "grey").save(folder / name)


def voc(folder: Path) -> None:
    pictures(folder)
    for name, label in (("a", "pear"), ("b", "apple")):
        text = f"<!-- mine --><annotation>\n{OBJECT.format(label)}</annotation>\n"
        (folder / f"{name}.xml").write_text(text)


def yolo(folder: Path) -> None:
    pictures(folder / "images")
    (folder / "labels").mkdir()
    (folder / "labels/a.txt").write_text("1 .5 .5 .2 .2 .1 .1 .3 .4\n")
    (folder / "data.yaml").write_text(
        "nc: 3 # all\nnames: # of fruit\n- apple\n- pear\n- plum # odd\n"
    )


def coco(folder: Path) -> None:
    pictures(folder / "images")
    entries = [{"id": k, "file_name": f"{k}.jpg", "width": 100, "height": 80} for k in "ab"]
    box = {"id": 1, "image_id": "a", "category_id": 2, "bbox": [9, 9, 20, 20], "iscrowd": 0}
    names = [{"id": k, "name": name} for k, name in enumerate(("apple", "pear", "plum"), 1)]
    content = {"images": entries, "annotations": [box], "categories": names}
    (folder / "instances.json").write_text(json.dumps(content) + "\n")


each = pytest.mark.parametrize("make", [voc, yolo, coco], ids=["voc", "yolo", "coco"])


def texts(folder: Path) -> str:
    files = sorted(
        one for one in folder.rglob("*") if one.suffix in (".xml", ".txt", ".yaml", ".json")
    )
    return "".join(one.read_text() for one in files)


@each
def test_a_class_gets_another_name(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "photos")
    session = Session(PhotoFolder(tmp_path / "photos"))
    before, changed = texts(tmp_path), []
    session.on_change = changed.append
    place = session.classes.index("pear")
    assert session.rename_class("pear", "quince: ripe")[place] == "quince: ripe"
    assert session.photo(0).labels.objects[0].name == "quince: ripe"
    assert 0 in changed
    again = Session(PhotoFolder(tmp_path / "photos"))
    assert "quince: ripe" in again.classes
    assert "pear" not in again.classes
    assert again.photo(0).labels.objects[0].name == "quince: ripe"
    session.rename_class("quince: ripe", "pear")
    assert texts(tmp_path) == before  # what other tools wrote stays, comments too
    for old, new, error in (
        ("pear", "apple", "already"),
        ("fig", "x", "no class"),
        ("pear", "", "name"),
    ):
        with pytest.raises(Refused, match=error):
            session.rename_class(old, new)


@each
def test_a_class_without_objects_is_taken_out(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "photos")
    session = Session(PhotoFolder(tmp_path / "photos"))
    before = texts(tmp_path)
    session.add_class("aple")
    assert "aple" not in session.remove_class("aple")
    assert texts(tmp_path) == before
    assert "aple" not in Session(PhotoFolder(tmp_path / "photos")).classes
    with pytest.raises(Refused, match="pear has 1 object; delete them first"):
        session.remove_class("pear")
    with pytest.raises(Refused, match="no class"):
        session.remove_class("aple")
    assert texts(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "text", "shorter"),
    [
        ("data.yaml", "names: [a, b] # two\nnc: 2\n", "names: [a] # two\nnc: 1\n"),
        ("data.yaml", "nc: 2\nnames: {0: a, 1: b}\n", "nc: 1\nnames: {0: a}\n"),
        ("data.yaml", "names:\n  0: a # x\n  1: b\nk: v\n", "names:\n  0: a # x\nk: v\n"),
        ("classes.txt", "a\nb\n", "a\n"),
    ],
)
def test_the_last_class_of_yolo_alone_is_taken_out(
    name: str, text: str, shorter: str, tmp_path: Path
) -> None:
    yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "labels/a.txt").write_text("")
    file = tmp_path / name
    file.write_text(text)
    session = Session(PhotoFolder(tmp_path))
    with pytest.raises(SppdetError, match="only the last one"):
        session.remove_class("a")
    assert session.remove_class("b") == ["a"]
    assert file.read_text() == shorter
    with pytest.raises(SppdetError, match="only the last one"):
        session.remove_class("a")
    session.rename_class("a", "c")
    assert Session(PhotoFolder(tmp_path)).classes == ["c"]


def test_rejected_boxes_go_with_their_class(running: Any) -> None:
    client = running.client
    for name in ("pear", "plum"):
        client.post("/api/classes", json={"name": name})
    box = {"label": "plum", "box": [10, 10, 60, 60]}
    running.put(0, [], rejected=[box, {**box, "label": "pear"}])
    answer = client.request("PATCH", "/api/classes", json={"name": "pear", "to": "quince"})
    assert answer.json() == {"classes": ["quince", "plum"]}
    answer = client.request("DELETE", "/api/classes", json={"name": "plum"})
    assert answer.json() == {"classes": ["quince"]}
    rejected = client.get("/api/photos/0").json()["rejected"]
    assert rejected == [{**box, "label": "quince"}]
    assert running.put(0, [{**box, "difficult": False}]).status_code == 400
    assert client.request("DELETE", "/api/classes", json={"name": "plum"}).status_code == 404
