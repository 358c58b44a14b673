import os
from pathlib import Path

import pytest

from sppdet.errors import SppdetError
from sppdet.scale.places import Place, images_in


def test_a_file_is_written_read_listed_and_removed(output: Place) -> None:
    assert output.files(deep=True) == {}
    output.write("a/b.bin", b"123")
    output.write("a/b.bin", b"12345")
    output.write("c.bin", b"")
    assert output.files(deep=True) == {"a/b.bin": 5, "c.bin": 0}
    assert output.files("a") == {"a/b.bin": 5}
    assert output.files() == {"c.bin": 0}
    assert output.read("a/b.bin") == b"12345"
    output.remove("a/b.bin")
    assert output.files(deep=True) == {"c.bin": 0}
    with pytest.raises(SppdetError, match=r"a/b\.bin: "):
        output.read("a/b.bin")


def test_a_write_that_fails_leaves_the_old_file(
    output: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    output.write("a.bin", b"old")

    def full(*rest: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr(type(output.system), "mv", full)
    with pytest.raises(SppdetError, match=r"a\.bin: cannot be written \(No space left"):
        output.write("a.bin", b"new")
    assert output.read("a.bin") == b"old"


@pytest.mark.parametrize(
    ("address", "why"),
    [("xx://bucket/a", "Protocol not known"), ("s3://bucket/a", "s3fs")],
)
def test_an_address_that_nobody_knows(address: str, why: str) -> None:
    if why == "s3fs":
        try:
            import s3fs  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("s3fs is installed")
    with pytest.raises(SppdetError, match=f"{address}: cannot be reached .*{why}"):
        Place.at(address)


def test_the_images_of_a_folder(photos: Path) -> None:
    images, videos = images_in(Place.at(str(photos)))
    own = ["bad.jpg", "empty.png", *(f"scene_000{k}.jpg" for k in range(4))]
    assert (sorted(images), videos) == (own, 1)
    deep, _ = images_in(Place.at(f"file://{photos}"), recursive=True)
    assert sorted(deep) == sorted([*own, "more/scene_0004.jpg"])


def test_the_images_are_the_same_in_memory(photos: Path, output: Place) -> None:
    for path in photos.rglob("*.*"):
        output.write(path.relative_to(photos).as_posix(), path.read_bytes())
    for recursive in (False, True):
        assert images_in(output, recursive) == images_in(Place.at(str(photos)), recursive)


def test_a_folder_without_images_and_none(output: Place) -> None:
    with pytest.raises(SppdetError, match="holds no images; --recursive looks"):
        images_in(output)
    output.write("a/b.jpg", b"")
    with pytest.raises(SppdetError, match="holds no images; --recursive looks"):
        images_in(output)
    assert images_in(output, recursive=True) == ({"a/b.jpg": "a/b.jpg"}, 0)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_a_name_that_is_not_utf8_is_recorded_and_read(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"123")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    place = Place.at(str(tmp_path))
    ((recorded, name),) = images_in(place)[0].items()
    assert recorded == "caf\\xe9.jpg"
    assert place.read(name) == b"123"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(SppdetError, match="pipe"):
        Place.at(str(tmp_path)).read("a.jpg")
