from pathlib import Path

import pytest

from sppdet.datasets.image_names import ImageFinder, image_keys, relative_names
from sppdet.errors import SppdetError

TWO = ["d/a/1.jpg", "d/b/1.jpg", "d/b/2.jpg"]


@pytest.mark.parametrize(
    ("images", "names", "keys"),
    [
        ([], [], []),
        (["d/1.jpg"], ["1.jpg"], ["1"]),
        (TWO, ["a/1.jpg", "b/1.jpg", "b/2.jpg"], ["a/1", "b/1", "b/2"]),
        (["d/1.jpg", "d/1.png"], ["1.jpg", "1.png"], ["1.jpg", "1.png"]),
        (["d/a.jpg", "d/a.jpg.png"], ["a.jpg", "a.jpg.png"], ["a", "a.jpg"]),
        (["d/1.jpg", "d/x/1.jpg"], ["1.jpg", "x/1.jpg"], ["1", "x/1"]),
        (["d/x/../1.jpg", "d/y/2.jpg"], ["1.jpg", "y/2.jpg"], ["1", "y/2"]),
    ],
)
def test_names_and_keys(images: list[str], names: list[str], keys: list[str]) -> None:
    paths = [Path(image) for image in images]
    assert relative_names(paths) == names
    assert image_keys(paths) == keys


@pytest.mark.parametrize(
    ("images", "name", "index"),
    [
        (TWO, "a/1", 0),
        (TWO, "a/1.jpg", 0),
        (TWO, "b/1", 1),
        (TWO, "b\\1.jpg", 1),
        (TWO, "./b/1", 1),
        (TWO, "2", 2),
        (TWO, "2.jpg", 2),
        (TWO, "/elsewhere/d/b/1.jpg", 1),
        (TWO, "c/1.jpg", None),
        (TWO, "c/2.jpg", None),
        (TWO, "2.png", None),
        (TWO, "", None),
        (["d/1.jpg", "d/x/1.jpg"], "1", 0),
        (["d/1.jpg", "d/x/1.jpg"], "x/1", 1),
        (["d/1.jpg"], "somewhere/1.jpg", 0),
        (["d/000007.jpg"], "7", 0),
        (["d/000007.jpg", "d/7.jpg"], "7", 1),
        (["d/a.b.jpg"], "a.b", 0),
        (["d/1.jpg", "d/1.jpg"], "1", 0),
        (["d/²۳.jpg"], "²", None),
    ],
)
def test_images_are_found(images: list[str], name: str, index: int | None) -> None:
    assert ImageFinder([Path(image) for image in images]).find(name) == index


@pytest.mark.parametrize(
    ("images", "name"),
    [(TWO, "1"), (TWO, "1.jpg"), (["d/1.jpg", "d/1.png"], "1"), (["d/07.jpg", "d/007.jpg"], "7")],
)
def test_a_name_of_two_images_is_refused(images: list[str], name: str) -> None:
    with pytest.raises(SppdetError, match=r"may be .* or "):
        ImageFinder([Path(image) for image in images]).find(name)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["d/1.jpg", "e/1.jpg", "x.jpg"], {"d/1.jpg": 0}),
        (["e/1.jpg", "d/1.jpg"], {"d/1.jpg": 0}),
        (["1", "c/d/1.jpg", "d/1.jpg"], {"c/d/1.jpg": 0}),
        (["z/2.jpg"], {"z/2.jpg": 1}),
        ([], {}),
    ],
)
def test_of_several_names_the_longest_counts(names: list[str], found: dict[str, int]) -> None:
    assert ImageFinder([Path("/c/d/1.jpg"), Path("/c/d/2.jpg")]).find_each(names) == found


@pytest.mark.parametrize("names", [["y/2.jpg", "z/2.jpg"], ["2", "2.jpg"], ["./2.jpg", "2.jpg"]])
def test_two_names_of_one_image_are_refused(names: list[str]) -> None:
    with pytest.raises(SppdetError, match=r"may both be the image 2\.jpg"):
        ImageFinder([Path("/c/d/1.jpg"), Path("/c/d/2.jpg")]).find_each(names)
