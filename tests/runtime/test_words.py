"""Numbers in messages have their nouns in the right number."""

import re
from pathlib import Path

import pytest

import sppdet
from sppdet.runtime.words import counted, megabytes, verb

ROOT = Path(sppdet.__file__).parent

NOUNS = "image|object|class|detection|problem|photograph|region|shard|label|frame|file|box|entry"
PLURAL = re.compile(rf"(\{{[^{{}}]+\}}) (?:more )?(?:{NOUNS})(?:s|es|ies)\b")
"""A number in a message, with a noun that is in the plural whatever the number is."""

NEVER_ONE = {
    "{FEW_OBJECTS}",
    "{MOST_ARRIVING}",
    "{len(boxes)}",  # over MOST_OBJECTS
    "{len(by_name)}",  # over REPORTED
    "{len(entries):>7}",  # a column
    "{one['objects']:>5}",  # a column
    "{files.format}",
    "{figures['photographs_per_second']:.2f}",
}


def test_the_singular_has_no_s() -> None:
    assert [counted(k, "image") for k in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [counted(k, "class", "classes") for k in (1, 5)] == ["1 class", "5 classes"]
    assert [verb(1), verb(3), verb(1, "has", "have")] == ["is", "are", "has"]
    assert [megabytes(size) for size in (1, 64_000_000)] == ["1 byte", "64 MB"]


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.stem)
def test_no_message_is_wrong_about_one(path: Path) -> None:
    found = {match[1] for match in PLURAL.finditer(path.read_text("utf-8"))}
    assert found - NEVER_ONE == set()
