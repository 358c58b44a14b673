"""Suggestions, explanations and trials of a detector that the server trains; the page of serve."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sppdet.datasets.scenes import write_scenes

ROOT = Path(__file__).resolve().parents[3]
LABELLED = 8
Making = Callable[[str, Path], tuple[Any, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve rendered scenes; the last four have no labels."""
    path: Path = tmp_path_factory.mktemp("suggest") / "photos"
    write_scenes(path, LABELLED + 4, seed=8, size=(320, 240))
    for annotation in sorted(path.glob("*.xml"))[LABELLED:]:
        annotation.unlink()
    return path


@pytest.fixture(scope="module")
def page(make_page: Making, folder: Path) -> Any:
    """The page of a server that has trained a detector."""
    _, page = make_page("label", folder)
    page.open(LABELLED)
    page.until(lambda: "Detector" in page.text("#detector"), 500)
    return page


def open_with_suggestions(page: Any, least: int) -> int:
    """Open an unlabelled photograph that has suggestions enough; returns its number."""

    def search() -> int:
        for number in range(LABELLED, LABELLED + 4):
            page.open(number)
            if not page.objects and len(page.suggestions) >= least:
                return number
        return 0

    return int(page.until(search, 300))


def middle(box: list[float]) -> list[float]:
    return [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]


def test_suggestions_are_rejected_and_accepted(page: Any) -> None:
    number = open_with_suggestions(page, 2)
    keys = page.keys
    page.hover([1, 1])

    # Delete rejects the one under the pointer: the server keeps it as a negative.
    rejected = page.suggestions[-1]
    page.hover(middle(rejected[1]))
    page.press("s")
    while "Suggested" not in page.hint or not is_at(page, rejected[1]):
        page.press("s")
    page.press(keys.DELETE)
    page.until(lambda: rejected not in page.suggestions and page.saving == "saved")
    kept = page.run(f"return fetch('/api/photos/{number}').then((answer) => answer.json())")
    assert [(one["label"], one["box"]) for one in kept["rejected"]] == [rejected]
    assert page.objects == []

    # Undo brings it back; a click accepts one.
    page.press("z", held=keys.CONTROL)
    page.until(lambda: rejected in page.suggestions)
    page.push("#objects .dashed")
    page.until(lambda: len(page.objects) == 1)
    page.press("z", held=keys.CONTROL)

    # Enter accepts all, and goes on when there are none.
    wanted = [label for label, _ in page.suggestions]
    page.push("#stage-place")
    page.press("z", held=keys.CONTROL)
    page.press(keys.ENTER)
    page.until(lambda: len(page.objects) >= len(wanted) and page.saving == "saved")
    name = page.text("#photo")
    page.until(lambda: page.suggestions or page.press(keys.ENTER) or page.text("#photo") != name)
    page.open(number)
    assert sorted(label for label, _ in page.objects) >= sorted(wanted)


def is_at(page: Any, box: list[float]) -> bool:
    width, height = (round(box[2] - box[0]), round(box[3] - box[1]))
    return f"({width} × {height}," in page.hint


def test_an_explanation_adds_up(page: Any) -> None:
    page.open(0)
    page.press("s", "w")
    page.until(lambda: "The SVM of" in page.text("#why-place"))
    captions = page.run(
        "return [...document.querySelectorAll('#why-place canvas')].map((one) => one.ariaLabel)"
    )
    assert [caption[:5] for caption in captions[1:5]] == ["1 × 1", "2 × 2", "3 × 3", "6 × 6"]
    assert "feature map" in captions[0]
    assert any(caption.startswith("Positive") for caption in captions[5:])
    page.press(page.keys.ESCAPE)


def test_the_model_is_saved_and_tried(page: Any, folder: Path) -> None:
    page.open(0)
    page.press("m")
    page.push("#model-form .main")
    page.until(lambda: "mine.safetensors" in page.text("#model-answer"), 300)
    assert (folder / "mine.safetensors").is_file()
    page.press(page.keys.ESCAPE)
    page.press("t")
    field = page.browser.find_element("id", "try-files")
    field.send_keys(str(folder / "scene_0001.jpg"))
    page.until(lambda: "detection" in page.text("#try-place"))
    field.send_keys(str(folder / "scene_0001.xml"))
    page.until(lambda: page.run("return document.querySelector('#try-place .bad') !== null"))
    page.press(page.keys.ESCAPE)
    assert "/api/report" in page.run("return document.querySelector('#report').href")


def test_the_page_of_serve_shows_what_is_in_a_picture(make_page: Making) -> None:
    _, page = make_page("serve", ROOT / "sppdet" / "weights" / "detector.safetensors")
    page.browser.get(page.address)
    field = page.browser.find_element("id", "try-files")
    field.send_keys(str(ROOT / "data" / "sample" / "fruit.jpg"))
    page.until(lambda: "apple" in page.text("#try-place ul"))
    assert page.complaints() == []
