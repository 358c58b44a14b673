"""Names of inputs to sources."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.drawing import save_picture
from sppdet.inputs import find_sources, natural_key

NAMES = ("img2.png", "img10.png", "IMG1.PNG", ".hidden.png", "sub/a.jpg", ".git/b.png", "notes.txt")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            (folder / name).write_text("text")
        else:
            Image.new("RGB", (4, 3)).save(folder / name)
    return folder


def found(*given: object, **options: object) -> list[str]:
    sources, problems = find_sources([str(name) for name in given], **options)  # type: ignore[arg-type]
    assert problems == []
    return [source.relative for source in sources]


def test_a_folder_in_natural_order(photos: Path) -> None:
    assert found(photos) == ["IMG1.PNG", "img2.png", "img10.png"]
    assert found(photos, recursive=True) == ["IMG1.PNG", "img2.png", "img10.png", "sub/a.jpg"]


def test_the_folder_of_the_outputs_is_not_looked_into(photos: Path) -> None:
    assert "sub/a.jpg" not in found(photos, recursive=True, avoid=photos / "sub")
    assert found(photos / "sub", avoid=photos / "sub") == ["a.jpg"]


def test_pictures_that_detect_drew_are_no_inputs(photos: Path) -> None:
    save_picture(np.zeros((4, 4, 3), np.uint8), photos / "drawn.jpg")
    assert "drawn.jpg" in found(photos)  # such as a rendered scene
    (photos / "drawn.json").write_text("{}")
    assert "drawn.jpg" not in found(photos)
    assert found(photos / "drawn.jpg") == ["drawn.jpg"]


def test_circles_of_links_end(photos: Path) -> None:
    (photos / "sub" / "up").symlink_to(photos)
    assert found(photos, recursive=True).count("img2.png") == 1


def test_patterns(photos: Path) -> None:
    assert found(f"{photos}/*.png") == ["img2.png", "img10.png"]
    assert found(f"{photos}/**/*.jpg") == ["a.jpg"]
    assert found(f"{photos}/**/*.*g", avoid=photos / "sub") == ["img2.png", "img10.png"]
    assert found(f"{photos}/*.png", avoid=photos) == ["img2.png", "img10.png"]
    (photos / "a[1].png").write_bytes((photos / "img2.png").read_bytes())
    assert found(f"{photos}/a[1].png") == ["a[1].png"]


def test_lists(photos: Path) -> None:
    (photos / "list.txt").write_text(f"# a remark\n\nimg10.png\n{photos}/sub\nhttp://a.b/c.png\n")
    assert found(f"@{photos}/list.txt") == ["img10.png", "a.jpg", "c.png"]


def test_a_file_named_twice_is_one_source(photos: Path) -> None:
    assert found(photos / "img2.png", photos, photos / "." / "img2.png") == [
        "img2.png",
        "IMG1.PNG",
        "img10.png",
    ]


@pytest.mark.parametrize(
    ("name", "kind", "relative"),
    [
        ("https://host/a/b%20c.jpg?size=3", "url", "b c.jpg"),
        ("http://host:80/", "url", "host%3A80"),
        ("https://host/..%2F..%2Fetc", "url", "etc"),
        ("-", "stdin", "stdin"),
        ("0", "camera", "camera0"),
        ("no/such/film.MP4", "video", "film.MP4"),
        ("no/such.jpg", "file", "such.jpg"),
    ],
)
def test_kinds(name: str, kind: str, relative: str) -> None:
    (source,), problems = find_sources([name])
    assert (source.kind, source.relative, problems) == (kind, relative, [])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("{photos}/.git", "holds no images"),
        ("{empty}", "--recursive"),
        ("{photos}/*.gif", "no file fits"),
        ("@{photos}/none.txt", "cannot be read"),
        ("@{photos}/img2.png", "not a text file"),
        ("@{empty}/list.txt", "lists no images"),
    ],
)
def test_a_name_that_leads_to_none_is_one_line(
    name: str, reason: str, photos: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    (empty / "inner").mkdir(parents=True)
    (empty / "list.txt").write_text("# nothing\n")
    (photos / ".git" / "b.png").rename(photos / ".git" / ".b.png")
    sources, problems = find_sources([name.format(photos=photos, empty=empty), photos])
    assert len(problems) == 1
    assert reason in problems[0]
    assert len(sources) == 3


def test_natural_order_of_odd_names() -> None:
    names = ["b", "a10", "a9", "10", "9", "a/1", "", "A9", "a09"]
    expected = ["", "9", "10", "a/1", "A9", "a09", "a9", "a10", "b"]
    for given in (names, names[::-1]):
        assert sorted(given, key=natural_key) == expected
