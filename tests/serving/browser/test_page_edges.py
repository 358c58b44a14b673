"""Where the page of ``sppdet label`` met its edges: what a newcomer stumbled over."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sppdet.datasets.scenes import write_scenes

BROKEN = "/api/photos/8"  # the browser complains that it has no picture
Making = Callable[[str, Path], tuple[Any, Any]]


@pytest.fixture(scope="module")
def served(make_page: Making, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder of rendered scenes without labels, and the page that shows it."""
    path = tmp_path_factory.mktemp("edges") / "photos"
    write_scenes(path, 8, seed=5)
    for annotation in path.glob("*.xml"):
        annotation.unlink()
    (path / "wrong.jpg").write_bytes(b"no picture")
    _, page = make_page("label", path)
    page.open(0)
    page.press("c")
    page.press("apple", page.keys.ENTER)
    page.until(lambda: "apple" in page.text("#classes"))
    return page


@pytest.fixture
def page(served: Any) -> Any:
    served.complaints()  # those of other tests
    yield served
    assert [one for one in served.complaints() if BROKEN not in one] == []


ANSWER = """
const [path, part] = arguments;
const real = window.fetch.bind(window);
window.fetch = async (address, options) => {
  const answer = await real(address, options);
  if (!String(address).endsWith(path) || !answer.ok) return answer;
  return new Response(JSON.stringify({ ...(await answer.json()), ...part }));
};
"""


def answer(page: Any, path: str, **part: Any) -> None:
    """From now on until it is loaded again, the page gets this in the answers of an end point."""
    page.run(ANSWER, path, part)


def test_no_object_means_the_suggestions_too(page: Any) -> None:
    page.open(0)
    found = {"label": "apple", "box": [50, 40, 150, 140], "score": 0.9}
    answer(page, "/suggestions", boxes=[found])
    page.press(page.keys.PAGE_DOWN)
    page.until(lambda: page.suggestions)
    name = page.text("#photo")
    page.press("b")
    assert page.suggestions == []
    page.until(lambda: page.saving == "saved")
    assert page.text("#strip [aria-current] .words") == "no object"
    page.press("z", held=page.keys.CONTROL)
    assert page.suggestions
    page.press("b", page.keys.ENTER)
    page.until(lambda: page.text("#photo") != name)
    page.press(page.keys.PAGE_UP)
    page.until(lambda: page.text("#photo") == name)
    assert page.text("#strip [aria-current] .words") == "no object"
    assert page.objects == page.suggestions == []


def test_the_keys_work_after_an_order_is_chosen(page: Any) -> None:
    page.open(2)
    page.browser.find_element("id", "order").send_keys(page.keys.ARROW_DOWN)
    assert page.run("return localStorage.getItem('order')") == "name"
    page.press(page.keys.PAGE_DOWN)
    page.until(lambda: page.text("#photo") == "scene_0003.jpg")


ORDER = """
const select = document.getElementById("order");
select.value = arguments[0];
select.dispatchEvent(new Event("change"));
"""


def test_what_was_looked_up_in_another_order_is_not_opened(page: Any) -> None:
    page.run(ORDER, "name")
    page.open(2)  # now the page knows that the third follows
    answer(page, "order=random", id=6)
    page.run(ORDER, "random")
    page.press("n")
    page.until(lambda: page.text("#photo") != "scene_0002.jpg")
    assert page.text("#photo") == "scene_0006.jpg"
    page.run(ORDER, "name")


def test_no_box_is_narrower_than_the_server_takes(page: Any) -> None:
    page.open(4)
    page.press("1")
    page.drag([100, 100], [160, 150])
    ((_, (left, top, right, bottom)),) = page.objects
    page.drag([right, (top + bottom) / 2], [left - 40, (top + bottom) / 2])
    assert page.objects == [("apple", [left, top, left + 2, bottom])]
    page.press(*[page.keys.ARROW_LEFT] * 3, held=page.keys.ALT)
    page.press(*[page.keys.ARROW_UP] * (round(bottom - top) + 3), held=page.keys.ALT)
    assert page.objects == [("apple", [left, top, left + 2, top + 2])]
    page.until(lambda: page.saving != "saving")
    assert page.saving == "saved"
    page.drag([200, 50], [260, 50])  # a line
    assert page.hint == "A box has at least two pixels a side."
    assert len(page.objects) == 1


def test_a_move_that_changes_nothing_is_no_step_for_undo(page: Any) -> None:
    page.open(5)
    page.press("1")
    page.drag([2, 2], [60, 50])
    for _ in range(3):
        page.press(*[page.keys.ARROW_LEFT] * 3, *[page.keys.ARROW_UP] * 3)
    ((_, (left, top, *_)),) = page.objects
    assert (left, top) == (0, 0)
    for _ in range(4):
        page.press("z", held=page.keys.CONTROL)
    assert len(page.objects) == 1
    page.press("z", held=page.keys.CONTROL)
    assert page.objects == []


def test_a_figure_that_is_not_there_yet_is_being_computed(page: Any) -> None:
    page.open(6)
    answer(page, "/status", generation=1, average_precision=None, folding=True)
    page.until(lambda: "The average precision is being computed." in page.text("#detector"))
    assert "too few" not in page.text("#detector")
    answer(page, "/status", folding=False)
    page.until(lambda: "too few for a figure" in page.text("#detector"))
    assert "computed" not in page.text("#detector")


def test_the_photograph_stays_where_it_is_when_labels_are_not_saved(page: Any) -> None:
    page.open(6)
    assert page.saving == "saved"
    height = "return document.querySelector('header').offsetHeight"
    before = page.run(height)
    error = "the disk is full, " * 30
    answer = "new Response(JSON.stringify({ error }), { status: 400 })"
    page.run(f"const [error] = arguments; window.fetch = async () => {answer}", error)
    page.press("b")
    page.until(lambda: page.saving == "failed")
    assert page.run(height) == before
    assert page.run("return document.querySelector('#save').offsetWidth") > 300
    assert error in page.run("return document.querySelector('#save').title")
    page.browser.get("about:blank")


def test_escape_empties_the_class_field(page: Any) -> None:
    page.open(6)
    page.press("c")
    page.press("pe", page.keys.ESCAPE)
    page.press("c")
    page.press("apple", page.keys.ENTER)
    page.until(lambda: page.run("return document.activeElement.id") == "stage")
    assert page.text("#classes").split()[0] == "apple"
    assert "peapple" not in page.text("#classes")


@pytest.mark.parametrize("key", ["n", "p"])
def test_a_box_that_is_drawn_does_not_go_to_another_photograph(page: Any, key: str) -> None:
    page.open(6)
    page.press("1")
    page.drag([100, 100], [160, 150], release=False)
    page.press(key)
    page.until(lambda: page.text("#photo") != "scene_0006.jpg")
    page.drag([160, 150], [180, 170], begin=False)
    assert page.objects == []
    page.open(6)
    assert page.objects == []


LATE = """
const [path] = arguments;
const real = window.fetch.bind(window);
window.fetch = async (address, options) => {
  if (String(address) === path) await new Promise((resolve) => setTimeout(resolve, 1000));
  return real(address, options);
};
"""


def test_a_broken_photograph_has_the_reason_of_the_server(page: Any) -> None:
    page.open(6)
    page.run(LATE, BROKEN)  # the picture is known to be broken before its labels are there
    page.push("#strip .thumb:last-child")
    page.until(lambda: "wrong.jpg" in page.hint)
    assert "The server does not give" not in page.hint
