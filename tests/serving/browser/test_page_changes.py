"""What changes under the page of ``sppdet label``: files of other tools, photographs, classes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sppdet.datasets.scenes import write_scenes

Making = Callable[[str, Path], tuple[Any, Any]]
TURNED = "<robndbox><cx>100</cx><cy>90</cy><w>60</w><h>50</h><angle>0.3</angle></robndbox>"
OBJECT = f"""<annotation>
  <object id="7">
    <name>apple</name>
    {TURNED}
    <bndbox><xmin>61.0</xmin><ymin>51.0</ymin><xmax>140.0</xmax><ymax>130.0</ymax></bndbox>
  </object>
</annotation>
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("changes") / "photos"
    write_scenes(path, 4, seed=5)
    for annotation in path.glob("*.xml"):
        annotation.unlink()
    (path / "scene_0000.xml").write_text(OBJECT)
    Image.new("RGB", (4000, 80), "grey").save(path / "wide.png")
    return path


@pytest.fixture(scope="module")
def served(make_page: Making, folder: Path) -> Any:
    return make_page("label", folder)[1]


@pytest.fixture
def page(served: Any) -> Any:
    served.complaints()  # those of other tests
    yield served
    assert [one for one in served.complaints() if "404" not in one] == []


def test_a_turned_box_that_is_lost_is_said_and_comes_back(page: Any, folder: Path) -> None:
    page.open(0)
    page.click([100, 90])
    page.drag([100, 90], [120, 100])
    page.until(lambda: "loses the turned box of apple" in page.hint)
    assert "scene_0000.jpg" in page.hint
    page.until(lambda: page.saving == "saved")
    moved = (folder / "scene_0000.xml").read_text()
    assert '<object id="7">' in moved
    assert TURNED not in moved
    page.press("z", held=page.keys.CONTROL)
    page.until(lambda: (folder / "scene_0000.xml").read_text() == OBJECT)


def test_a_very_wide_photograph_says_why_nothing_lights_up(page: Any) -> None:
    page.browser.get("about:blank")
    page.browser.get(f"{page.address}#4")
    page.until(lambda: "No proposals here" in page.hint)
    assert "4000 x 80 pixels to a strip of a few rows" in page.hint
    page.press("1")
    page.drag([400, 10], [600, 60])
    page.until(lambda: len(page.objects) == 1)
    page.until(lambda: page.saving == "saved")


def test_a_report_that_is_not_there_is_a_page(page: Any) -> None:
    page.browser.get(f"{page.address}api/report")
    page.until(lambda: page.text("h1"))
    assert page.text("h1") in ("No report yet", "The training is busy")
    assert "This page looks again every" in page.text("body")
    page.run("document.body.dataset.old = '1'")
    page.until(lambda: page.run("return document.body?.dataset.old") is None)  # it did


def test_photographs_come_and_go(page: Any, folder: Path) -> None:
    page.open(1)
    (folder / "a_new.jpg").write_bytes((folder / "scene_0002.jpg").read_bytes())
    page.until(lambda: "1 new photograph in the folder." in page.hint)
    first = "#strip .thumb:first-child"
    assert page.run(f"return document.querySelector('{first}').title") == "a_new.jpg"
    assert page.text("#photo") == "scene_0001.jpg"
    page.push(first)
    page.until(lambda: page.text("#photo") == "a_new.jpg")
    (folder / "a_new.jpg").unlink()
    page.press("b")
    page.until(lambda: page.saving == "failed")
    assert "a_new.jpg: is not in the folder any more" in page.text("#save")
    page.until(lambda: "1 gone." in page.hint)
    page.push(first)
    page.until(lambda: page.text("#photo") == "scene_0000.jpg")
    assert not (folder / "a_new.xml").exists()


def test_a_class_gets_another_name_and_one_is_removed(page: Any, folder: Path) -> None:
    page.open(0)
    page.press("c")
    page.press("aple", page.keys.ENTER)
    page.until(lambda: "aple" in page.text("#classes"))
    page.push("#class-edit")
    assert page.text("#class-title") == "Class aple"
    page.push("#class-remove")
    page.until(lambda: "aple" not in page.text("#classes"))
    page.push("#class-edit")
    page.push("#class-remove")
    page.until(lambda: "apple has 2 objects; delete them first" in page.text("#class-answer"))
    page.browser.find_element("id", "class-new").clear()
    page.push("#class-new")
    page.press("quince", page.keys.ENTER)
    page.until(lambda: page.objects and page.objects[0][0] == "quince")
    assert page.text("#classes").split()[0] == "quince"
    assert (folder / "scene_0000.xml").read_text() == OBJECT.replace("apple", "quince")
    page.press("z", held=page.keys.CONTROL)  # the steps before named the class as it was
    assert page.objects[0][0] == "quince"
