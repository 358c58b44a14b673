"""Labels: in the picture, apart from each other, in every script that an installed font has."""

import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from sppdet import drawing
from sppdet.detections import Detections
from sppdet.drawing import draw, drawable_names, frame, place_label, places
from sppdet.errors import SppdetWarning
from sppdet.runtime import fonts


def found(boxes: list[list[float]], name: str = "apple") -> Detections:
    return Detections(boxes, [0] * len(boxes), np.linspace(0.9, 0.5, len(boxes)), (name,))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_labels_stay_in_the_picture_and_do_not_cover_each_other(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(20, 300)), data.draw(st.integers(20, 300))
    picture = Image.new("RGB", (width, height))
    pen, taken = ImageDraw.Draw(picture), []
    for _ in range(data.draw(st.integers(1, 25))):
        x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        x2, y2 = data.draw(st.integers(x1 + 1, width)), data.draw(st.integers(y1 + 1, height))
        text = data.draw(st.sampled_from(["a 1%", "traffic light 93%", "x" * 400]))
        place_label(pen, text, (x1, y1, x2, y2), "red", data.draw(st.integers(8, 20)), taken)
    for x1, y1, x2, y2 in taken:
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
    for a, b in combinations(taken, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_boxes_at_one_place_get_labels_side_by_side() -> None:
    picture = Image.new("RGB", (300, 300))
    taken: list[drawing.Rectangle] = []
    for _ in range(8):
        place_label(ImageDraw.Draw(picture), "apple 90%", (50, 60, 250, 250), "red", 12, taken)
    assert len(taken) == 8


@pytest.mark.parametrize(
    ("box", "first"),
    [((50, 60, 90, 95), (50, 45)), ((50, 5, 90, 95), (50, 0)), ((95, 60, 100, 95), (70, 45))],
)
def test_the_first_place_is_above_the_box(box: tuple[int, ...], first: tuple[float, float]) -> None:
    assert next(places(box, 30, 15, (100, 100))) == first


def test_only_the_label_is_drawn_where_it_is_said_to_be() -> None:
    picture = Image.new("RGB", (120, 60), "blue")
    taken: list[drawing.Rectangle] = []
    place_label(ImageDraw.Draw(picture), "apple", (10, 30, 60, 55), "red", 12, taken)
    changed = (np.asarray(picture) != np.asarray(Image.new("RGB", (120, 60), "blue"))).any(axis=2)
    rows, columns = np.nonzero(changed)
    extent = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert extent == taken[0]


def test_a_picture_that_is_smaller_than_a_label_gets_frames_only() -> None:
    image = np.zeros((6, 6, 3), np.uint8)
    drawn = draw(image, found([[1, 1, 5, 5]]))
    assert drawn[1, 1].any()
    assert not drawn[3, 3].any()


def test_a_frame_stays_inside_its_box_and_its_edge_is_around_it() -> None:
    picture = Image.new("RGB", (30, 30))
    frame(ImageDraw.Draw(picture), (10, 10, 20, 20), (255, 0, 0), 2, (255, 255, 255))
    pixels = np.asarray(picture)[15]
    colours = ["".join("R" if c[1] == 0 and c[0] else "W" if c[0] else "." for c in pixels)]
    assert colours == [".........WRRW....WRRW" + "." * 9]


@pytest.mark.parametrize("name", ["Äpfel", "Яблоко", "pomme d’été", "μήλο", "جمل", "plain"])
def test_names_of_many_scripts_are_drawn_as_they_are(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert drawable_names((name,)) == [name]
    letters = fonts.font(name, 20)
    absent = letters.getmask("\U0010fffd")  # the box in place of a character that is not there
    masks = [letters.getmask(character) for character in set(name) - {" "}]
    assert all(bytes(mask) != bytes(absent) for mask in masks)


def test_a_name_that_no_font_has_becomes_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_system_fonts", lambda: ())
    fonts._file_with.cache_clear()
    with pytest.warns(SppdetWarning, match=r"\(猫 as #1, 犬 as #2\).*Noto Sans CJK"):
        assert drawable_names(("cat", "猫", "犬")) == ["cat", "#1", "#2"]
    fonts._file_with.cache_clear()


def test_a_font_of_the_system_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "noto-cjk.ttf"
    broken.write_bytes(b"no font")
    own = fonts._dejavu()
    monkeypatch.setattr(fonts, "_dejavu", lambda: own.with_name("STIXGeneral.ttf"))
    monkeypatch.setattr(fonts, "_system_fonts", lambda: (broken, own))
    fonts._file_with.cache_clear()
    assert fonts.font_file("جمل") == own
    fonts._file_with.cache_clear()


def test_control_characters_in_a_name_are_shown_as_codes() -> None:
    assert drawable_names(("a\nb", "\x1b[31m")) == ["a\\nb", "\\x1b[31m"]
    draw(np.zeros((60, 90, 3), np.uint8), found([[5, 30, 60, 55]], "a\nb"))


def test_every_caption_can_be_read() -> None:
    """At a contrast of 4.5 (WCAG 2.1), whatever the number of classes."""
    grounds = {drawing.class_colour(k, count) for count in range(1, 90) for k in range(count)}
    texts = {ground: drawing.text_colour(ground) for ground in grounds}
    assert min(drawing.contrast(text, ground) for ground, text in texts.items()) >= 4.5
    assert set(texts.values()) == {"white", "black"}
    assert drawing.text_colour("#1d4ed8") == "white"
    assert drawing.text_colour("yellow") == "black"


def test_a_contrast_is_that_of_wcag() -> None:
    assert drawing.contrast("white", "black") == pytest.approx(21)
    assert drawing.contrast("#777777", "white") == pytest.approx(4.48, abs=0.005)


def test_a_caption_on_yellow_is_drawn_in_black() -> None:
    picture = Image.new("RGB", (120, 60), "blue")
    place_label(ImageDraw.Draw(picture), "pear", (5, 30, 60, 50), "yellow", 14, [])
    colours = {colour for _, colour in picture.getcolors(5000)}
    assert (0, 0, 0) in colours
    assert (255, 255, 255) not in colours


def test_classes_have_colours_far_apart() -> None:
    colours = np.array([drawing.class_colour(label, 6) for label in range(6)])
    apart = [np.abs(a - b).sum() for a, b in combinations(colours, 2)]
    assert min(apart) > 100
