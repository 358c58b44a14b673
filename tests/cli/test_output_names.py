"""Output names: apart, short enough, and readable back."""

from pathlib import Path

import pytest

from sppdet.cli.output_names import LONGEST, output_names
from sppdet.inputs import Source
from sppdet.runtime.names import unescaped


def files(*places: str) -> list[Source]:
    """Sources of files; what stands before ``|`` is the folder in which they were found."""
    sources = []
    for place in places:
        folder, _, relative = place.rpartition("|")
        path = Path(folder or "photos", relative)
        sources.append(Source("file", str(path), relative, path))
    return sources


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (["a.jpg", "b.png"], ["a", "b"]),
        (["sub/a.jpg", "a.jpg"], ["sub/a", "a"]),
        (["p/a|1.jpg", "p/b|1.jpg", "p/b|2.jpg"], ["a/1", "b/1", "2"]),
        (["1.jpg", "1.png"], ["1.jpg", "1.png"]),
        (["A.jpg", "a.jpg"], ["A.jpg", "a.jpg_2"]),
        (["a.b.jpg", "no_suffix"], ["a.b", "no_suffix"]),
        (["p|1.jpg", "p|1.png", "q|1.jpg"], ["p/1.jpg", "p/1.png", "q/1"]),
        (["x|1.jpg", "y|1.jpg", "z|x/1.jpg"], ["x/1.jpg", "y/1", "x/1.jpg_2"]),
    ],
)
def test_names(places: list[str], expected: list[str]) -> None:
    assert output_names(files(*places)) == expected


def test_long_names_are_cut_and_stay_apart() -> None:
    names = output_names(files("é" * 120 + "a.jpg", "é" * 120 + "b.jpg"))
    assert len(set(names)) == 2
    assert max(len(name.encode()) for name in names) <= LONGEST


def test_addresses_can_be_read_back() -> None:
    urls = ["http://a/x.jpg", "http://b/x.jpg"]
    names = output_names([Source("url", url, "x.jpg") for url in urls])
    assert all("/" not in name for name in names)
    assert [unescaped(name) for name in names] == [url.removesuffix(".jpg") for url in urls]
