import os

import pytest

from sppdet.runtime.names import as_file_name, as_word, as_words, unescaped, visible, visible_lines

NAMES = [
    "cat", "traffic light", " cat ", "a  b", "../../x", "..", ".", "a/b", "a\\b", "C:x", "100%",
    "%41", "a\nb", "a\rb", "a\tb", "\x1b[31mred", "\x00", "a\u2028b", "\u202egnp.exe", "<b>&\"'",
    "[/bold]", "猫", "кошка", "é", "e\u0301", "a" * 300, "\udcff", "?*|",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_escape_gives_the_name_back(name: str) -> None:
    for escape in (as_file_name, as_word, as_words):
        assert unescaped(escape(name)) == name
    assert unescaped(as_words(f" {name}  1")).rsplit(None, 1)[0] != ""


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_stays_in_its_folder(name: str) -> None:
    file = as_file_name(name)
    assert not set(file) & set('/\\:*?"<>|\0')
    assert file not in (".", "..")
    assert os.path.dirname(os.path.normpath(os.path.join("folder", file))) == "folder"


@pytest.mark.parametrize("name", NAMES)
def test_words_are_one_line_or_one_word(name: str) -> None:
    assert as_word(name).split() == [as_word(name)]
    line = f"{as_words(name)} 0.5 1 2 3 4"
    assert line.splitlines() == [line]
    assert unescaped(line.strip().rsplit(None, 5)[0]) == name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"),
        ("猫 é", "猫 é"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\u202egnp", "\\u202egnp"),
        ("\x9b31m", "\\x9b31m"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_a_terminal_gets(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible_lines("a\n\tb\x1b") == "a\n\tb\\x1b"
