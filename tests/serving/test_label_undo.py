"""An object that was removed and is saved again says in its file what it said before."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from sppdet.serving.folder import PhotoFolder
from sppdet.serving.labels import removed
from sppdet.serving.labels.base import Label, PhotoLabels

SIZE = (100, 80)
NEW = Label("apple", (60.0, 50.0, 90.0, 70.0))

OBJECT = """  <object id="{number}" source="tool">
    <name>{name}</name><!-- seen by two -->
    <pose>Left</pose><colour>green</colour>
    <bndbox><xmin>{left}.5</xmin><ymin>11</ymin><xmax>{right}</xmax><ymax>40</ymax></bndbox>
    <part><name>stalk</name><bndbox><xmin>12</xmin><ymin>12</ymin><xmax>13</xmax><ymax>13</ymax>
    </bndbox></part>
  </object>
"""

ROWS = ["0 0.2000001 0.3 0.2 0.4 0.9", "# odd", "1 .5 .3 .2 .4", "0 0.1 0.1 0.5 0.1 0.5 0.5", ""]


def photographs(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", SIZE, "grey").save(folder / name)


def voc(folder: Path, extra: bool = True) -> Path:
    photographs(folder)
    places = [("pear", 11, 30), ("apple", 41, 60), ("pear", 71, 95)]
    if not extra:
        places = places[:1]
    text = "".join(
        OBJECT.format(number=number, name=name, left=left, right=right)
        for number, (name, left, right) in enumerate(places)
    )
    owner = "  <owner>someone</owner>\n" if extra else ""
    head = "<annotation>\n  <folder>F</folder>\n  <filename>a.jpg</filename>\n" + owner
    path = folder / "a.xml"
    path.write_text(head + text + "</annotation>\n")
    return path


def yolo(folder: Path, extra: bool = True) -> Path:
    photographs(folder / "images")
    (folder / "labels").mkdir()
    (folder / "data.yaml").write_text("names: [pear, apple]\n")
    path = folder / "labels/a.txt"
    path.write_text("\r\n".join(ROWS if extra else [ROWS[0], ""]), newline="")
    return path


def coco(folder: Path, extra: bool = True) -> Path:
    photographs(folder / "images")
    images = [{"id": key, "file_name": f"{key}.jpg", "width": 100, "height": 80} for key in "ab"]
    if extra:
        images[0]["licence"] = 3
    annotations = [
        {
            "id": number,
            "image_id": "b" if number in (5, 9) else "a",
            "category_id": category,
            "bbox": [left, 10, 20.5, 30],
            "area": 99.5,
            "iscrowd": 0,
            "segmentation": [[left, 10, left + 20, 10, left + 20, 40]],
            "attributes": {"ripe": True},
        }
        for number, category, left in [(4, 2, 1), (5, 2, 9), (7, 3, 30), (8, 2, 60), (9, 2, 70)]
        if extra or number in (5, 9, 4)
    ]
    categories = [{"id": 2, "name": "pear"}, {"id": 3, "name": "apple"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = folder / "instances.json"
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


MAKERS = {"voc": voc, "yolo": yolo, "coco": coco}
each = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
Maker = Callable[..., Path]


class Page:
    """A page that shows one photograph."""

    def __init__(self, folder: Path) -> None:
        self.folder = PhotoFolder(folder)
        self.image = self.folder.images[0]
        self.said = self.read()

    def read(self) -> PhotoLabels:
        self.said = self.folder.files.read(self.image, SIZE)
        return self.said

    def put(self, objects: Sequence[Label]) -> None:
        files = self.folder.files
        self.said = files.write(self.image, SIZE, objects, False, self.said.revision)


@each
@pytest.mark.parametrize("gone", [[0], [1], [2], [0, 1], [1, 2], [0, 1, 2]])
def test_an_object_that_is_undone_comes_back_as_it_was(
    make: Maker, gone: list[int], tmp_path: Path
) -> None:
    path = make(tmp_path)
    before, page = path.read_bytes(), Page(tmp_path)
    objects = page.said.objects
    assert len(objects) == 3
    page.put([one for place, one in enumerate(objects) if place not in gone])
    assert path.read_bytes() != before
    page.put(objects)
    assert path.read_bytes() == before
    kept = list(objects)  # one after the other, as Ctrl+Z does
    steps = [objects]
    for place in reversed(gone):
        del kept[place]
        page.put(kept)
        steps.append(tuple(kept))
    for step in reversed(steps):
        page.put(step)
    assert path.read_bytes() == before


@each
def test_the_last_object_comes_back_with_its_file(make: Maker, tmp_path: Path) -> None:
    path = make(tmp_path, extra=False)
    before, page = path.read_bytes(), Page(tmp_path)
    objects = page.said.objects
    assert len(objects) == 1
    page.put([])
    assert not page.said.annotated
    page.put([])
    other = page.folder.images[1]
    known = page.folder.files.read(other, SIZE)
    page.folder.files.write(other, SIZE, [*known.objects, NEW], False, known.revision)
    page.put(objects)
    if make is coco:  # with ids that nothing else got
        old, new = json.loads(before), json.loads(path.read_text())
        assert new["images"] == old["images"]
        assert new["annotations"][:-1] == old["annotations"]
        assert new["annotations"][-1]["id"] == 10
    else:
        assert path.read_bytes() == before


@each
def test_it_comes_back_among_other_changes(make: Maker, tmp_path: Path) -> None:
    path = make(tmp_path)
    page = Page(tmp_path)
    first, middle, last = page.said.objects
    text = {voc: "<colour>green", yolo: " .5 .3 .2 .4", coco: '"attributes"'}[make]
    count = path.read_text().count(text)
    page.put([first, last])
    moved = Label(last.name, (last.box[0] - 1, 12.0, last.box[2] - 5, 44.0))
    page.put([first, moved, NEW])
    assert path.read_text().count(text) < count
    x1, y1, x2, y2 = middle.box
    near = Label(middle.name, (x1 + 0.004, y1, x2, y2 - 0.004), page.folder.files.says_difficult)
    page.put([first, near, moved, NEW])  # as a page that rounds, and with another flag
    objects = page.read().objects
    assert objects[:2] == (first, Label(middle.name, middle.box, near.difficult))
    assert len(objects) == 4
    assert path.read_text().count(text) == count


@each
def test_what_the_file_says_goes_before_what_is_remembered(make: Maker, tmp_path: Path) -> None:
    path = make(tmp_path)
    before, page = path.read_text(), Page(tmp_path)
    objects = page.said.objects
    page.put(objects[1:])
    gone = path.read_text()
    again = before.replace(">Left<", ">Right<").replace("99.5", "98.5").replace("0.9", "0.8")
    path.write_text(again, newline="")  # another program takes it back and changes it
    assert page.read().objects == objects
    page.put([*objects, NEW])
    page.put(objects)
    assert path.read_text() == again.replace("\r\n", "\n")
    path.write_text(gone, newline="")  # and removes it
    page.read()
    page.put([*objects[1:], NEW])
    assert page.said.objects == (*objects[1:], NEW)  # nothing comes back on its own


def test_a_line_has_the_number_that_its_class_has_now(tmp_path: Path) -> None:
    path, page = yolo(tmp_path), Page(tmp_path)
    objects = page.said.objects
    page.put(objects[1:])
    (tmp_path / "data.yaml").write_text("names: [plum, apple, pear]\n")
    others = page.read().objects
    page.put([objects[0], *others])
    assert path.read_text().splitlines()[0] == "2" + ROWS[0][1:]


def test_an_id_that_was_given_away_is_not_given_twice(tmp_path: Path) -> None:
    path, page = coco(tmp_path), Page(tmp_path)
    objects = page.said.objects
    page.put(objects[:2])
    content = json.loads(path.read_text())
    content["annotations"].append({**content["annotations"][-1], "id": 8, "image_id": "b"})
    path.write_text(json.dumps(content))
    page.put([*objects, NEW])
    own = [one for one in json.loads(path.read_text())["annotations"] if one["image_id"] == "a"]
    assert sorted(one["id"] for one in own) == [4, 7, 10, 11]
    assert [bool(one.get("segmentation")) for one in own] == [True, True, True, False]


@each
def test_the_last_removed_objects_are_remembered(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removed, "MOST", 1)
    path = make(tmp_path)
    before, page = path.read_text(), Page(tmp_path)
    objects = page.said.objects
    page.put(objects[1:])
    page.put(objects[2:])
    page.put(objects)
    own = {voc: "<colour>", yolo: "0.2000001", coco: '"attributes"'}[make]
    assert path.read_text().count(own) == before.count(own) - 1
    assert page.read().objects[0] != objects[0] or make is not coco


ROBND = "<robndbox><cx>20</cx><cy>25</cy><w>20</w><h>30</h><angle>0.1</angle></robndbox>"


def shapes(make: Maker, folder: Path) -> tuple[Path, str]:
    """Labels of which the first object has a shape; its name."""
    path = make(folder)
    text = path.read_bytes()
    if make is voc:
        path.write_bytes(text.replace(b"<part>", ROBND.encode() + b"<part>", 1))
        return path, "the turned box of pear"
    if make is yolo:
        path.write_bytes(text.replace(b"0 0.2000001 0.3 0.2 0.4 0.9", b"0 .1 .1 .3 .1 .3 .5 .90"))
        return path, "the polygon of pear"
    return path, "the mask of pear"


def at(one: Label, *box: float) -> Label:
    return Label(one.name, (box[0], box[1], box[2], box[3]), one.difficult)


@each
@pytest.mark.parametrize("box", [(12, 14, 32, 44), (70, 5, 90, 9)], ids=["near", "far"])
def test_a_box_that_is_moved_and_undone_is_as_it_was(
    make: Maker, box: tuple[float, ...], tmp_path: Path
) -> None:
    path, lost = shapes(make, tmp_path)
    before, page = path.read_bytes(), Page(tmp_path)
    first, *others = page.said.objects
    page.put([at(first, *box), *others])
    assert page.said.lost == (lost,)
    assert page.said.objects[0].box == box
    own = {voc: b'<object id="0"', yolo: b" .90\r\n", coco: b'"attributes"'}[make]
    assert path.read_bytes().count(own) == before.count(own)  # what is no shape stays
    moved = path.read_bytes()
    page.put([first, *others])
    assert path.read_bytes() == before
    assert page.said.lost == ()
    page.put([at(first, *box), *others])  # redo
    assert path.read_bytes() == moved
    page.put([first, *others])
    assert path.read_bytes() == before


@each
def test_a_long_way_back_in_small_steps_arrives(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removed, "MOST", 2)
    path, lost = shapes(make, tmp_path)
    before, page = path.read_bytes(), Page(tmp_path)
    first, *others = page.said.objects
    steps = [at(first, 10 + k / 4, 20, 30, 60) for k in range(9)]
    told = []
    for step in steps:
        page.put([step, *others])
        told += page.said.lost
    assert told == [lost]
    for step in reversed(steps):
        page.put([step, *others])
    page.put([first, *others])
    assert path.read_bytes() == before


@each
def test_a_moved_box_keeps_what_is_no_shape(make: Maker, tmp_path: Path) -> None:
    path = make(tmp_path)
    page = Page(tmp_path)
    second = page.said.objects[1]
    page.put([page.said.objects[0], at(second, 42, 12, 62, 42), page.said.objects[2]])
    own = {voc: "<colour>", yolo: " 0.9\n", coco: '"attributes"'}[make]
    assert path.read_text().count(own) == {voc: 3, yolo: 1, coco: 5}[make]
    assert bool(page.said.lost) is (make is coco)
