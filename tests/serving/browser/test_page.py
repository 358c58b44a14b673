"""The page of ``sppdet label`` in a real browser with a real server."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sppdet.datasets.scenes import Scene, render_scene, write_scene

SIZE = (400, 300)
Making = Callable[[str, Path], tuple[Any, Any]]


class Folder:
    """A folder of rendered scenes without labels; what is in them is known."""

    def __init__(self, path: Path, number: int) -> None:
        path.mkdir()
        self.path = path
        self.scenes: list[Scene] = []
        for index in range(number):
            scene = render_scene(index + 40, SIZE, fruit=(2, 3), clutter=(0, 0))
            write_scene(scene, self.image(index))
            self.annotation(index).unlink()
            self.scenes.append(scene)

    def image(self, index: int) -> Path:
        return self.path / f"scene_{index:02}.jpg"

    def annotation(self, index: int) -> Path:
        return self.path / f"scene_{index:02}.xml"

    def centre(self, index: int, number: int = 0) -> list[float]:
        """The middle of an object."""
        x1, y1, x2, y2 = self.scenes[index].boxes[number].tolist()
        return [(x1 + x2) / 2, (y1 + y2) / 2]

    def saved(self, index: int) -> list[tuple[str, list[float], bool]]:
        """Class, box (0-based, half-open) and difficult flag of each object in the file."""
        if not self.annotation(index).exists():
            return []
        found = []
        for one in ElementTree.parse(self.annotation(index)).findall("object"):
            corners = [float(one.findtext(f"bndbox/{name}", "")) for name in CORNERS]
            box = [corners[0] - 1, corners[1] - 1, corners[2], corners[3]]
            found.append((one.findtext("name", ""), box, one.findtext("difficult") == "1"))
        return found


CORNERS = ("xmin", "ymin", "xmax", "ymax")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("label") / "photos", 7)


@pytest.fixture(scope="module")
def served(make_page: Making, folder: Folder) -> tuple[Any, Any]:
    return make_page("label", folder.path)


@pytest.fixture
def page(served: tuple[Any, Any]) -> Any:
    served[1].complaints()  # those of other tests
    yield served[1]
    assert served[1].complaints() == []


def saved_as_shown(page: Any, folder: Folder, index: int) -> bool:
    shown = [(label, box) for label, box in page.objects]
    in_file = [(label, box) for label, box, _ in folder.saved(index)]
    return page.saving == "saved" and shown == in_file


def test_labels_are_as_they_were_after_undo_reload_and_kill(
    served: tuple[Any, Any], page: Any, folder: Folder
) -> None:
    server, _ = served
    centre = folder.centre(0)
    page.open(0)

    # Hover, click, and the name of the first class: a box around what is under the pointer.
    page.hover(centre)
    page.until(lambda: "A click makes a box: a new class" in page.hint)
    page.click(centre)
    page.until(lambda: "Type the name" in page.hint)
    page.press("apple", page.keys.ENTER)
    page.until(lambda: saved_as_shown(page, folder, 0) and page.objects)
    ((label, first),) = page.objects
    assert label == "apple"
    assert first[0] < centre[0] < first[2]
    assert first[1] < centre[1] < first[3]

    # Correct it by a handle, draw a second one of another class, flag it.
    page.drag(first[2:], [first[2] - 11, first[3] - 7])
    (corrected,) = page.objects
    assert corrected[1] == pytest.approx([first[0], first[1], first[2] - 11, first[3] - 7], abs=1.5)
    page.hover([5, 5])  # far from the first box, which would become a pear too
    page.press("c")
    page.press("pear", page.keys.ENTER)
    page.until(lambda: "pear" in page.text("#classes"))
    page.drag([4, 4], [60, 50])
    page.press("d")
    drawn = page.objects[1]
    assert drawn[0] == "pear"
    assert drawn[1] == pytest.approx([4, 4, 60, 50], abs=1.5)
    page.until(lambda: saved_as_shown(page, folder, 0))
    assert [difficult for *_, difficult in folder.saved(0)] == [False, True]

    # Undo three steps, redo them.
    before = page.objects
    for _ in range(3):
        page.press("z", held=page.keys.CONTROL)
    page.until(lambda: saved_as_shown(page, folder, 0))
    assert [box for _, box in page.objects] == [first]
    for _ in range(3):
        page.press("y", held=page.keys.CONTROL)
    assert page.objects == before

    # Reload.
    page.until(lambda: saved_as_shown(page, folder, 0))
    page.open(0)
    assert page.objects == before

    # Kill the server: what is done meanwhile is saved when it is there again.
    server.kill()
    page.drag([100, 200], [180, 290])
    page.until(lambda: page.saving == "failed")
    assert "Not saved" in page.text("#save")
    assert len(folder.saved(0)) == 2
    server.start()
    page.until(lambda: saved_as_shown(page, folder, 0))
    after = page.objects
    assert after[:2] == before
    page.open(0)
    assert page.objects == after
    assert [difficult for *_, difficult in folder.saved(0)] == [False, True, False]


def test_sizes_are_walked_and_edges_snap(page: Any, folder: Folder) -> None:
    page.open(1)
    page.hover(folder.centre(1))
    sizes = []
    for key in ("]", "[", "["):
        sizes.append(size_in(page.hint))
        page.press(key)
    sizes.append(size_in(page.hint))
    assert sizes[1] > sizes[0] == sizes[2] > sizes[3]
    page.press("1")
    page.click(folder.centre(1))
    (_, box) = page.objects[-1]
    assert (box[2] - box[0]) * (box[3] - box[1]) == pytest.approx(sizes[3], abs=40)

    # With Shift, a drawn box has the edges of proposals: of that which has become a box too.
    page.press("z", held=page.keys.CONTROL)
    page.press(page.keys.ESCAPE)
    near = [box[0] - 3, box[1] - 3], [box[2] + 3, box[3] + 3]
    page.drag(*near, key=page.keys.SHIFT)
    edges = page.run(
        "return fetch('/api/photos/1/proposals').then((answer) => answer.json())"
        ".then(({ boxes }) => [0, 1].map((axis) => boxes.flatMap((b) => [b[axis], b[axis + 2]])))"
    )
    snapped = page.objects[-1][1]
    for value, known in zip(snapped, [*edges, *edges], strict=True):
        assert min(abs(value - edge) for edge in known) <= 0.5


def size_in(hint: str) -> int:
    """The area in the hint on the photograph, in pixels."""
    width, height = hint[hint.index("(") + 1 : hint.index(",", hint.index("("))].split(" × ")
    return int(width) * int(height)


def test_everything_goes_without_a_mouse(page: Any, folder: Folder) -> None:
    keys = page.keys
    page.open(2)
    page.hover([1, 1])
    page.press("1", keys.ARROW_RIGHT)
    for _ in range(3):
        page.press(*[keys.ARROW_RIGHT] * 4, *[keys.ARROW_DOWN] * 4, held=keys.SHIFT)
    page.press(" ")
    page.until(lambda: len(page.objects) == 1)
    (_, before) = page.objects[0]
    page.press(keys.ARROW_LEFT, keys.ARROW_UP)
    page.press(keys.ARROW_LEFT, keys.ARROW_UP, held=keys.ALT)
    (_, after) = page.objects[0]
    step = [min(1, before[0]), min(1, before[1])]  # a box at the edge stays inside
    wanted = [before[0] - step[0], before[1] - step[1]]
    wanted += [before[2] - step[0] - 1, before[3] - step[1] - 1]
    assert after == wanted
    page.press(keys.DELETE)
    assert page.objects == []
    page.press("b")
    page.until(lambda: page.text("#strip [aria-current] .words") == "no object")
    page.until(lambda: page.saving == "saved")
    page.press(keys.PAGE_DOWN)
    page.until(lambda: page.text("#photo") != "scene_02.jpg")
    page.press(keys.PAGE_UP)
    page.until(lambda: page.text("#photo") == "scene_02.jpg")
    assert page.run("return document.querySelector('#background').ariaPressed") == "true"
    page.press("?")
    assert "Undo" in page.text("#help-dialog")
    page.press(keys.ESCAPE)
    assert page.run("return document.querySelector('dialog[open]')") is None


@pytest.mark.parametrize(("index", "answer"), [(3, "mine"), (4, "theirs")])
def test_two_versions_lead_to_a_question(
    page: Any, folder: Folder, index: int, answer: str
) -> None:
    page.open(index)
    page.press("1")
    page.drag([10, 10], [90, 80])
    page.until(lambda: saved_as_shown(page, folder, index))
    theirs = folder.annotation(index).read_text("utf-8").replace("<xmin>11<", "<xmin>31<")
    folder.annotation(index).write_text(theirs, "utf-8")
    page.drag([200, 100], [290, 180])
    page.until(lambda: page.run("return document.querySelector('#conflict-dialog').open"))
    assert "Yours: 2 objects. Theirs: 1 object." in page.text("#conflict-text")
    assert folder.annotation(index).read_text("utf-8") == theirs
    page.push(f"#conflict-{answer}")
    page.until(lambda: saved_as_shown(page, folder, index))
    assert len(page.objects) == (2 if answer == "mine" else 1)
    if answer == "theirs":
        assert page.objects[0][1][0] == 30
        page.press("z", held=page.keys.CONTROL)
        page.until(lambda: saved_as_shown(page, folder, index))
        assert len(page.objects) == 2


def test_names_are_text_and_never_code(page: Any) -> None:
    page.open(5)
    name = "<img src=x onerror=alert(1)>&amp;"
    page.press("c")
    page.press(name, page.keys.ENTER)
    page.until(lambda: name in page.text("#classes"))
    page.drag([10, 10], [90, 80])
    page.until(lambda: page.saving == "saved" and page.objects)
    page.open(5)
    assert page.objects[0][0] == name
    assert page.run("return document.querySelectorAll('aside img').length") == 0


def test_zoom_pan_and_a_narrow_window(page: Any) -> None:
    page.open(6)
    browser = page.browser
    try:
        browser.set_window_size(1000, 700)
        assert page.run("return document.body.scrollWidth <= innerWidth")
        page.press("+", "+")
        page.press(page.keys.ARROW_LEFT, held=page.keys.CONTROL)
        page.press("1")
        page.drag([150, 100], [200, 150])
        (_, box) = page.objects[-1]
        assert box == pytest.approx([150, 100, 200, 150], abs=1)
        page.press("0")
    finally:
        browser.set_window_size(1280, 800)
