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


def test_the_figure_of_the_folds_comes_after_the_detector(page: Any) -> None:
    status = "return fetch('/api/status').then((answer) => answer.json())"
    page.until(lambda: not page.run(status)["folding"], 300)
    told = page.run(status)["average_precision"]
    wanted = "too few for a figure" if told is None else "by folds"
    page.until(lambda: wanted in page.text("#detector"), 30)
    assert "being computed" not in page.text("#detector")


def open_with_suggestions(page: Any, least: int) -> int:
    """Open an unlabelled photograph that has suggestions enough; returns its number."""

    def search() -> int:
        for number in range(LABELLED, LABELLED + 4):
            page.open(number)
            if not page.objects and len(page.suggestions) >= least:
                return number
        return 0

    return int(page.until(search, 300))


def test_suggestions_are_rejected_and_accepted(page: Any) -> None:
    number = open_with_suggestions(page, 1)
    keys = page.keys
    page.hover([1, 1])

    # S goes through them, Delete rejects one: the server keeps it as a negative.
    rejected = page.suggestions[-1]
    page.press("s")
    while "Suggested" not in page.hint or not is_at(page, rejected[1]):
        page.press("s")
    page.press(keys.DELETE)
    page.until(lambda: rejected not in page.suggestions and page.saving == "saved")
    kept = page.run(f"return fetch('/api/photos/{number}').then((answer) => answer.json())")
    assert [(one["label"], one["box"]) for one in kept["rejected"]] == [rejected]
    page.open(number)
    assert rejected not in page.suggestions
    page.hover([1, 1])
    assert page.objects == []

    # A click accepts one, undo makes it a suggestion again.
    number = open_with_suggestions(page, 1)
    label, box = page.suggestions[0]
    page.push("#objects .dashed")
    page.until(lambda: [one for one, _ in page.objects] == [label])
    assert page.objects[0][1] == pytest.approx(box, abs=0.5)
    page.press("z", held=keys.CONTROL)
    page.until(lambda: not page.objects and page.suggestions)

    # Enter accepts all; the next Enter goes on to another photograph.
    page.press(keys.ENTER)
    page.until(lambda: page.objects and page.saving == "saved")
    accepted = page.objects
    name = page.text("#photo")
    page.until(lambda: page.press(keys.ENTER) or page.text("#photo") != name)
    page.open(number)
    assert page.objects[: len(accepted)] == accepted


def is_at(page: Any, box: list[float]) -> bool:
    width, height = (round(box[2] - box[0]), round(box[3] - box[1]))
    return f"({width} × {height}," in page.hint


BOX = [0, 0, 9, 9]

EXPLAIN = """
const { explanation } = await load("why.js");
const image = document.createElement("canvas");
[image.width, image.height] = given[0];
const object = { label: "apple", box: [40, 30, 90, 80] };
const made = await explanation(image, given[0], object, given[1]);
const figures = made.flatMap((one) => [...one.querySelectorAll("canvas")]);
return [made[0].textContent, ...figures.map((one) => one.getAttribute("aria-label"))];
"""


def test_an_explanation_names_its_parts(modules: Callable[..., Any]) -> None:
    why = {
        "label": "apple",
        "score": 0.25,
        "bias": -1.0,
        "levels": [1, 2, 3, 6],
        "parts": [0.5, *[0.25, -0.5, 0.25, 0.5], *[0.0] * 9, *[0.25] * 1, *[0.0] * 35],
        "window": [2, 1, 6, 4],
        "map": [15, 20],
        "compared": 7,
        "neighbours": [
            {
                "label": "apple",
                "positive": True,
                "similarity": 0.995,
                "photo": 1,
                "box": [0, 0, 9, 9],
            },
            {
                "label": "fig",
                "positive": False,
                "similarity": 0.375,
                "photo": 3,
                "box": [0, 0, 9, 9],
            },
        ],
    }
    text, *captions = modules(EXPLAIN, [320, 240], why)
    assert "0.25: +1.25 from 50 bins and −1.00 from the bias" in text
    assert captions == [
        "The box (white) and its window of 4 × 3 cells on the feature map of 20 × 15 cells",
        "1 × 1 bins: +0.50",
        "2 × 2 bins: +0.50",
        "3 × 3 bins: 0.00",
        "6 × 6 bins: +0.25",
        "apple, 0.99",
        "fig, 0.38",
    ]


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
    page.complaints()  # those of other tests
    field = page.browser.find_element("id", "try-files")
    field.send_keys(str(ROOT / "data" / "sample" / "fruit.jpg"))
    page.until(lambda: "apple" in page.text("#try-place ul"))
    assert page.complaints() == []
