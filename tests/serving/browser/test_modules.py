"""The modules of the page in chromium: arithmetic against Python, undo, and saving."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from sppdet import boxes as python
from sppdet.drawing import contrast

Run = Callable[..., Any]
SIZE = (640, 480)


def random_boxes(number: int, seed: int) -> list[list[float]]:
    """Whole boxes inside the image, some of them near duplicates."""
    random = np.random.default_rng(seed)
    corner = random.integers(0, (600, 440), (number, 2))
    sides = random.integers(10, 300, (number, 2))
    made = np.concatenate((corner, np.minimum(corner + sides, SIZE)), axis=1)
    few = number // 4
    made[-few:] = made[:few] + np.array((0, 0, 2, 1))
    return made.tolist()


def ious(one: Sequence[float], others: Sequence[Sequence[float]]) -> list[float]:
    a = np.array([one], np.float32)
    return [float(value) for value in python.iou(a, np.array(others, np.float32))[0]]


def choices_at(
    point: Sequence[float],
    objects: list[list[float]],
    suggestions: list[list[float]],
    likely: list[float],
    proposals: list[list[float]],
    scores: list[float] | None,
) -> list[tuple[str, int]]:
    """What ``choicesAt`` of proposals.js returns, the slow and obvious way."""
    ranked = []
    groups = {"object": objects, "suggestion": suggestions, "proposal": proposals}
    for order, (kind, boxes) in enumerate(groups.items()):
        for index, (x1, y1, x2, y2) in enumerate(boxes):
            if not (x1 <= point[0] < x2 and y1 <= point[1] < y2):
                continue
            dx = (point[0] - (x1 + x2) / 2) / (x2 - x1)
            dy = (point[1] - (y1 + y2) / 2) / (y2 - y1)
            distance = float(np.hypot(dx, dy))
            middle = distance <= 0.35
            score = {"suggestion": likely, "proposal": scores}.get(kind)
            rank = (2, distance)
            if kind == "object" and middle:
                rank = (0, distance)
            elif score and middle:
                rank = (1, 20 * distance - math.log(max(score[index], 1e-4)))
            ranked.append((*rank, distance, order, index, kind))
    kept: list[tuple[str, int]] = []
    for *_, index, kind in sorted(ranked):
        box = groups[kind][index]
        against = [groups[other][number] for other, number in kept]
        if kind == "proposal":
            against += objects + suggestions
        if len(kept) < 15 and (not against or max(ious(box, against)) <= 0.75):
            kept.append((kind, index))
    return kept


CHOICES = """
const { choicesAt } = await load("proposals.js");
const [points, objects, suggestions, likely, proposals, scores] = given;
return points.map((point) => choicesAt(point, { objects, suggestions, likely, proposals, scores })
  .map(({ kind, index }) => [kind, index]));
"""


@pytest.mark.parametrize("scored", [False, True])
def test_choices_are_those_of_the_slow_search(modules: Run, scored: bool) -> None:
    proposals = random_boxes(300, seed=1)
    random = np.random.default_rng(2)
    scores = random.random(300).tolist() if scored else None
    points = random.uniform((0, 0), SIZE, (30, 2)).tolist()
    objects, suggestions = random_boxes(6, seed=3), random_boxes(6, seed=4)
    likely = random.random(6).round(4).tolist()
    given = (objects, suggestions, likely, proposals, scores)
    found = modules(CHOICES, points, *given)
    wanted = [choices_at(one, *given) for one in points]
    assert [[tuple(choice) for choice in one] for one in found] == wanted
    assert sum(map(len, wanted)) > 100


def test_no_box_under_the_point_gives_no_choice(modules: Run) -> None:
    assert modules(CHOICES, [[5, 5]], [], [], [], [[10, 10, 20, 20], [0, 0, 5, 5]], None) == [[]]


def test_the_most_concentric_box_is_first_and_sizes_are_walked(modules: Run) -> None:
    script = """
    const { choicesAt, walkSize, walkFit } = await load("proposals.js");
    const proposals = [[0, 0, 100, 100], [40, 40, 80, 80], [55, 55, 65, 65], [20, 20, 90, 90]];
    const none = { objects: [], suggestions: [], likely: [], scores: null };
    const found = choicesAt([60, 60], { ...none, proposals });
    const walked = [0];
    for (const step of [1, 1, 1, 1, -1]) walked.push(walkSize(found, walked.at(-1), step));
    const order = walked.map((choice) => found[choice].index);
    return { order, smaller: found[walkSize(found, 0, -1)].index, round: walkFit(found, 3, 1) };
    """
    found = modules(script)
    assert found["order"] == [1, 3, 0, 0, 0, 3]
    assert (found["smaller"], found["round"]) == (2, 0)


def test_iou_is_that_of_the_package(modules: Run) -> None:
    boxes = random_boxes(40, seed=5)
    script = (
        'const { iou } = await load("boxes.js");'
        "return given[0].map((a) => given[0].map((b) => iou(a, b)));"
    )
    wanted = [ious(box, boxes) for box in boxes]
    np.testing.assert_allclose(modules(script, boxes), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        ("between([30.4, 60.6], [10, 20], [640, 480])", [10, 20, 30, 61]),
        ("between([-5, -9], [700, 500], [640, 480])", [0, 0, 640, 480]),
        ("moved([10, 10, 30, 40], -50, 7.6, [640, 480])", [0, 18, 20, 48]),
        ("moved([600, 10, 640, 40], 5, -50, [640, 480])", [600, 0, 640, 30]),
        ("resized([10, 10, 30, 40], 'se', [50.2, 60], [640, 480])", [10, 10, 50, 60]),
        ("resized([10, 10, 30, 40], 'nw', [99, 99], [640, 480])", [28, 38, 30, 40]),
        ("resized([0, 0, 1, 40], 'w', [9, 9], [640, 480])", [0, 0, 1, 40]),
        ("resized([10, 10, 30, 40], 'e', [999, 3], [640, 480])", [10, 10, 640, 40]),
        ("snapped([12, 57], [[10, 20, 30, 60]], 5)", [10, 60]),
        ("snapped([17, 40], [[10, 20, 30, 60]], 5)", [17, 40]),
    ],
)
def test_boxes_are_drawn_moved_and_snapped(modules: Run, call: str, wanted: list[float]) -> None:
    assert modules(f'const B = await load("boxes.js"); return B.{call};') == wanted


@pytest.mark.parametrize(
    ("value", "signed", "short"),
    [
        (0, "0.00", "0"),
        (-0.0, "0.00", "0"),
        (-0.004, "0.00", "0"),
        (0.04, "+0.04", "0"),
        (-0.04, "−0.04", "0"),
        (-0.25, "−0.25", "−.3"),
        (0.5, "+0.50", ".5"),
        (-1.25, "−1.25", "−1.3"),
        (10, "+10.00", "10.0"),
    ],
)
def test_parts_of_a_score_are_written_with_one_zero(
    modules: Run, value: float, signed: str, short: str
) -> None:
    script = 'const W = await load("why.js"); return [W.signed(given[0]), W.short(given[0])];'
    assert modules(script, value) == [signed, short]


def test_undo_and_redo_are_those_of_a_list_of_versions(modules: Run) -> None:
    """Random steps; the twin keeps all versions in one list and an index."""
    steps = np.random.default_rng(6).choice(["commit", "undo", "redo"], 200).tolist()
    script = """
    const { History } = await load("history.js");
    const history = new History(0);
    return given[0].map((step, index) => {
      const did = step === "commit" ? history.commit(index + 1) : history[step]();
      return [history.present, did ?? true, history.canUndo, history.canRedo];
    });
    """
    versions, at = [0], 0
    for step, got in zip(enumerate(steps), modules(script, steps), strict=True):
        index, name = step
        before = at
        if name == "commit":
            versions, at = [*versions[: at + 1], index + 1], at + 1
        elif name == "undo":
            at = max(0, at - 1)
        else:
            at = min(len(versions) - 1, at + 1)
        assert got == [versions[at], at != before, at > 0, at < len(versions) - 1]


OPEN = """
const { openSuggestions } = await load("proposals.js");
return openSuggestions(given[0], { objects: given[1], rejected: given[2] }).map((one) => one.label);
"""


def test_what_is_labelled_or_rejected_is_no_suggestion_any_more(modules: Run) -> None:
    def one(label: str, x: int, width: int = 100) -> dict[str, Any]:
        return {"label": label, "box": [x, 0, x + width, 100]}

    suggestions = [one("apple", 0), one("pear", 200), one("plum", 400), one("fig", 600)]
    assert modules(OPEN, suggestions, [], []) == ["apple", "pear", "plum", "fig"]
    moved = [one("apple", 30), one("plum", 230)]  # IoU 0.54 with the same class, and with another
    assert modules(OPEN, suggestions, moved, []) == ["pear", "plum", "fig"]
    assert modules(OPEN, suggestions, [one("plum", 205)], []) == ["apple", "plum", "fig"]
    rejected = [one("fig", 602), one("apple", 400)]
    assert modules(OPEN, suggestions, [], rejected) == ["apple", "pear", "plum"]


SAVER = """
const { Saver } = await load("saving.js");
const log = [];
const answers = [...given[0]];
const put = async (id, content) => {
  log.push(`put ${id} ${content.revision} ${content.objects}`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const answer = answers.shift() ?? { revision: "last" };
  if (answer.status !== undefined) throw Object.assign(new Error(answer.error), answer);
  return answer;
};
const saver = new Saver(put, (kind) => log.at(-1) === kind || log.push(kind), async (id, mine) => {
  log.push(`asked ${id} ${mine.objects}`);
  return given[1];
});
saver.loaded(7, "first");
saver.save(7, { objects: "a" });
if (given[2]) saver.save(7, { objects: given[2] });
while (!saver.idle) await new Promise((resolve) => setTimeout(resolve, 10));
await new Promise((resolve) => setTimeout(resolve, 30));
return log;
"""
GONE = {"status": 0, "error": "no answer"}
CONFLICT = {"status": 409, "error": "changed", "body": {"current": {"revision": "theirs"}}}


@pytest.mark.parametrize(
    ("answers", "choice", "later", "wanted"),
    [
        ([], "", "", ["saving", "put 7 first a", "saved"]),
        (
            [{"revision": "r1"}],
            "",
            "b",
            ["saving", "put 7 first a", "saving", "put 7 r1 b", "saved"],
        ),
        ([GONE], "", "", ["saving", "put 7 first a", "failed", "put 7 first a", "saved"]),
        (
            [CONFLICT],
            "mine",
            "",
            ["saving", "put 7 first a", "asked 7 a", "saving", "put 7 theirs a", "saved"],
        ),
        ([CONFLICT], "theirs", "", ["saving", "put 7 first a", "asked 7 a", "saved"]),
        (
            [{"status": 400, "error": "a box leaves the image"}],
            "",
            "",
            ["saving", "put 7 first a", "failed"],
        ),
    ],
    ids=["once", "changed meanwhile", "server gone", "keep mine", "take theirs", "refused"],
)
def test_labels_are_saved_until_the_server_has_them(
    modules: Run, answers: list[Any], choice: str, later: str, wanted: list[str]
) -> None:
    assert modules(SAVER, answers, choice, later) == wanted


def test_zoom_keeps_the_point_and_the_way_back_is_exact(modules: Run) -> None:
    script = """
    const { View } = await load("view.js");
    const view = new View();
    view.fit([640, 480], [1000, 500]);
    const whole = [view.toStage([0, 0]), view.toStage([640, 480])];
    const before = view.toPhoto([300, 200]);
    view.zoom(3, [300, 200]);
    view.pan(10, -20);
    const after = view.toPhoto([310, 180]);
    return { whole, before, after };
    """
    found = modules(script)
    (left, top), (right, lower) = found["whole"]
    assert (top, lower) == (16, 484)
    assert left == pytest.approx(1000 - right)
    np.testing.assert_allclose(found["before"], found["after"], atol=1e-9)


def test_every_caption_can_be_read(modules: Run) -> None:
    """At a contrast of 4.5 (WCAG 2.1), on the colours of all classes and on any other."""
    script = """const { colourOf, textOn } = await load("colours.js");
        const names = Array.from({ length: 30 }, (_, place) => String(place));
        const colours = names.map((name) => colourOf(names, name));
        return [...colours, ...given[0]].map((ground) => [ground, textOn(ground)]);"""
    random = np.random.default_rng(0)
    others = [f"#{value:06x}" for value in random.integers(0, 1 << 24, 200).tolist()]
    found = modules(script, [*others, "#ffee58"])
    assert len(found) > len(others) + 5
    assert min(contrast(ground, text) for ground, text in found) >= 4.5
    assert found[-1] == ["#ffee58", "#000000"]
