"""Names from data in places that have rules: file names, lines of text, the terminal."""

import unicodedata
from collections.abc import Callable
from html import escape
from urllib.parse import unquote

_NOT_IN_FILE_NAMES = frozenset('%/\\:*?"<>|')
"""Characters with a meaning in paths of some system, and the one that begins an escape."""

_CONTROLS = ("Cc", "Cf", "Cs", "Zl", "Zp")


def as_file_name(text: str) -> str:
    """``text`` as a part of a file name on every system; :func:`unescaped` gives it back.

    Characters that have a meaning in paths, control characters, and spaces and full stops at the
    ends are percent-encoded.

    Examples:
        >>> as_file_name("../cat")
        '%2E%2E%2Fcat'
        >>> unescaped(as_file_name("100% a/b "))
        '100% a/b '
    """
    escaped = _escape(text, lambda c: c in _NOT_IN_FILE_NAMES or _is_control(c))
    return _escape_ends(escaped, " .")


def as_word(text: str) -> str:
    """``text`` without white space and control characters, which are percent-encoded."""
    return _escape(text, lambda c: c == "%" or c.isspace() or _is_control(c))


def as_words(text: str) -> str:
    """``text`` on one line; control characters, and spaces at the ends, are percent-encoded."""
    escaped = _escape(text, lambda c: c == "%" or _is_control(c))
    return _escape_ends(escaped, " ")


def unescaped(text: str) -> str:
    """The text that one of the functions above has escaped."""
    return unquote(text, errors="surrogateescape")


def visible(text: object) -> str:
    """``text`` for a terminal or a page: a control character is shown as its code.

    Line feeds and tabs are shown too; no text can move the cursor, change colours, or reverse the
    direction of writing.

    Examples:
        >>> visible("red \\x1b[31m")
        'red \\\\x1b[31m'
    """
    return _escape(str(text), _is_control, lambda c: c.encode("unicode_escape").decode())


def as_html(text: object) -> str:
    """``text`` for a page: as :func:`visible`, with the characters of HTML escaped.

    Examples:
        >>> as_html("<b>\\x1b")
        '&lt;b&gt;\\\\x1b'
    """
    return escape(visible(text))


def visible_lines(text: str) -> str:
    """As :func:`visible`, with the line feeds and tabs kept."""
    return _escape(
        text,
        lambda c: c not in "\n\t" and _is_control(c),
        lambda c: c.encode("unicode_escape").decode(),
    )


def _is_control(character: str) -> bool:
    """Control and format characters, lone surrogates, and the separators of lines."""
    return unicodedata.category(character) in _CONTROLS


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))


def _escape(text: str, wanted: Callable[[str], bool], how: Callable[[str], str] = _percent) -> str:
    return "".join(how(c) if wanted(c) else c for c in text)


def _escape_ends(text: str, characters: str) -> str:
    inner = text.strip(characters)
    begin = text[: len(text) - len(text.lstrip(characters))]
    end = text[len(begin) + len(inner) :]
    return "".join(map(_percent, begin)) + inner + "".join(map(_percent, end))
