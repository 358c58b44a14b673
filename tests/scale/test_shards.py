import pytest
from hypothesis import given
from hypothesis import strategies as st

from sppdet.errors import SppdetError
from sppdet.scale.shards import Shard, digest_of


@pytest.mark.parametrize("text", ["1/1", "3/16", "16/16", "99999/99999"])
def test_a_shard_is_read_and_has_a_folder(text: str) -> None:
    shard = Shard.parse(text)
    assert str(shard) == text
    assert Shard.of_folder(shard.folder) == shard


@pytest.mark.parametrize(
    "text", ["0/4", "5/4", "x", "", "1", "1/", "/4", "1/0", "-1/4", "1.0/4", "1/4/4", "1/100000"]
)
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(SppdetError, match=f"--shard {text}: give the number"):
        Shard.parse(text)


@pytest.mark.parametrize("name", ["shard-3-of-16", "shard-00003-of-00016.tmp", "photos"])
def test_other_folders_are_no_shards(name: str) -> None:
    assert Shard.of_folder(name) is None


@given(st.text(min_size=1), st.integers(1, 64))
def test_every_image_is_in_one_shard(image: str, count: int) -> None:
    try:
        image.encode("utf-8")
    except UnicodeEncodeError:
        return
    assert sum(Shard(number, count).holds(image) for number in range(1, count + 1)) == 1


def test_the_division_is_the_same_on_every_machine_and_even() -> None:
    """The numbers are those of SHA-256, computed with sha256sum."""
    assert [Shard(number, 4).holds("photo.jpg") for number in (1, 2, 3, 4)].index(True) == (
        0xAFF6100BD4DF0EA6 % 4
    )
    names = [f"{number:06d}.jpg" for number in range(4000)]
    sizes = [sum(Shard(number, 4).holds(name) for name in names) for number in (1, 2, 3, 4)]
    assert sum(sizes) == 4000
    assert min(sizes) > 900


def test_the_digest_of_names_does_not_depend_on_their_order() -> None:
    assert digest_of(["b", "a"]) == digest_of(["a", "b"]) != digest_of(["a", "c"])
