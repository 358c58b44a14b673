"""VOC XML: the objects of one image.

VOC counts pixels from 1 and includes both corners; :func:`read_xml` is the one place that turns
``xmin, ymin, xmax, ymax`` into ``xmin - 1, ymin - 1, xmax, ymax``.
"""

import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from xml.parsers import expat

from sppdet.datasets.base import Problem, RawObject
from sppdet.datasets.files import read_bytes
from sppdet.datasets.per_image import Size, stated_size
from sppdet.datasets.shapes import turned
from sppdet.errors import SppdetError

DECLARATION = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["'][^>]*\?>""")
DECLARED = '<?xml version="1.0" encoding="utf-8"?>'
"""What a file begins with that is written again, if it began with a declaration."""

NATIVE = ("utf-8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1", "utf8")
"""Encodings that the XML parser reads itself."""

TAG = re.compile(rb"""(?:[^>"']|"[^"]*"|'[^']*')*>""")
"""The rest of a tag: a value in quotes may contain the sign that ends it."""

PRESERVE = "{http://www.w3.org/XML/1998/namespace}space"
"""The attribute ``xml:space``: with "preserve", the spaces at the ends of a name belong to it."""


UTF_8 = (b"utf-8", b"utf8", b"us-ascii", b"ascii")
"""Encodings whose files some programs write in the system's encoding instead."""


def parse_xml(path: Path, problems: list[Problem] | None = None) -> ET.Element:
    """The root of an XML file in any encoding that Python knows.

    Args:
        path: the file.
        problems: a file is added that is not UTF-8, as it should be, and is read as Latin-1.

    Raises:
        SppdetError: it cannot be read.
    """
    content = read_bytes(path)
    if not _is_latin(content):
        return parsed(path, content)
    root = parsed(path, _without_declaration(content.decode("latin-1")).encode())
    if problems is not None:
        text = "is not UTF-8, though it names no other encoding; it is read as Latin-1"
        problems.append(Problem("other encoding", path, text))
    return root


def _is_latin(content: bytes) -> bool:
    """Whether XML should be UTF-8 and is not, nor damaged UTF-8, which has letters of it."""
    declared = DECLARATION.match(content)
    if content.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        return False
    if declared and declared[1].lower() not in UTF_8:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return content.decode(errors="ignore").isascii()
    return False


def parsed(path: Path, content: bytes, keep_comments: bool = False) -> ET.Element:
    """The root of XML that was read.

    Args:
        path: of the file, for the message.
        content: of the file.
        keep_comments: whether comments inside the root stay, for a file that is written again.

    Raises:
        SppdetError: it is not XML in the encoding that it names.
    """
    try:
        text = _decoded(content)
        return _root(content if text is None else _without_declaration(text), keep_comments)
    except (ET.ParseError, ValueError, LookupError, RecursionError) as error:
        raise SppdetError(f"{path}: is not readable XML ({error})") from None


def around_root(path: Path, content: bytes) -> tuple[str, str]:
    """What stands before and behind the root of XML: comments, processing instructions, spaces.

    An XML declaration names UTF-8 then, for a file that is written again.

    Raises:
        SppdetError: it cannot be read.
    """
    try:
        text = _decoded(content)
        if text is None:
            declared = DECLARATION.match(content.removeprefix(b"\xef\xbb\xbf"))
            text = content.decode(declared[1].decode() if declared else "utf-8")
        text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        told = re.match(r"\s*<\?xml[^>]*\?>", text)
        whole = text[told.end() :] if told else text
        start, end = _span_of_root(whole)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise SppdetError(f"{path}: is not readable XML ({error})") from None
    return (DECLARED if told else "") + whole[:start], whole[end:]


def _span_of_root(text: str) -> tuple[int, int]:
    """The first character of the root element, and the one behind it."""
    content = text.encode()
    parser, depth, places = expat.ParserCreate("utf-8"), 0, [0, 0]

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        if depth == 0:
            places[0] = parser.CurrentByteIndex
        depth += 1

    def closed(name: str) -> None:
        nonlocal depth
        depth -= 1
        if depth == 0:
            at = parser.CurrentByteIndex
            empty = content[at : at + 2] != b"</"  # expat is at its start, or behind it
            tag = TAG.match(content, places[0] if empty else at)
            assert tag is not None  # or it would not be XML
            places[1] = tag.end()

    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    parser.Parse(content, True)
    return len(content[: places[0]].decode()), len(content[: places[1]].decode())


def _decoded(content: bytes) -> str | None:
    """The text of XML in an encoding that the XML parser does not read; None of another one."""
    declared = DECLARATION.match(content.removeprefix(b"\xef\xbb\xbf"))
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    if declared and declared[1].decode().casefold() not in NATIVE:
        encoding = declared[1].decode().casefold()
        encoding = {"gb2312": "gb18030", "gbk": "gb18030"}.get(encoding, encoding)
        return content.decode(encoding)
    return None


def _root(text: str | bytes, keep_comments: bool) -> ET.Element:
    builder = ET.TreeBuilder(insert_comments=keep_comments)
    return ET.fromstring(text, ET.XMLParser(target=builder))


def _without_declaration(text: str) -> str:
    return re.sub(r"^\ufeff?\s*<\?xml[^>]*\?>", "", text, count=1)


def read_xml(path: Path, problems: list[Problem]) -> tuple[Size | None, list[RawObject]]:
    """The size in a VOC XML file (None where it is absent or 0) and its objects.

    An object without a name or with an invalid box goes to ``problems``.

    Raises:
        SppdetError: the file is not a VOC annotation.
    """
    root = parse_xml(path, problems)
    if root.tag != "annotation":
        raise SppdetError(f"{path}: is not a VOC annotation (its root is <{root.tag}>)")
    objects = []
    for number, entry in enumerate(root.findall("object"), 1):
        try:
            objects.append(object_of(entry))
        except _Inverted as error:
            problems.append(Problem("inverted box", path, f"{error}, left out"))
        except ValueError as error:
            problems.append(Problem("bad object", path, f"object {number}: {error}, left out"))
    return stated_size(root.findtext("size/width"), root.findtext("size/height")), objects


class _Inverted(ValueError):
    """A box that ends before it begins."""


def object_of(entry: ET.Element) -> RawObject:
    """The object of an element ``<object>``.

    Raises:
        ValueError: it has no name or no usable box.
    """
    name, box = _name(entry), _corners(entry)
    if box[2] < box[0] or box[3] < box[1]:
        x1, y1, x2, y2 = box
        raise _Inverted(f"{name} box {x1:g}, {y1:g}, {x2:g}, {y2:g} has max < min")
    difficult = (entry.findtext("difficult") or "0").strip().lower() in ("1", "true", "yes")
    return RawObject(name, (box[0] - 1, box[1] - 1, box[2], box[3]), difficult)


def _name(entry: ET.Element) -> str:
    element = entry.find("name")
    name = "" if element is None else element.text or ""
    if element is None or element.get(PRESERVE) != "preserve":
        name = name.strip()
    if not name:
        raise ValueError("no name")
    return name


def _corners(entry: ET.Element) -> tuple[float, float, float, float]:
    """xmin, ymin, xmax, ymax as VOC counts; of a turned box (roLabelImg) those of its hull."""
    corners = entry.find("bndbox")
    if corners is not None:
        x1, y1, x2, y2 = (_number(corners, tag) for tag in ("xmin", "ymin", "xmax", "ymax"))
        return x1, y1, x2, y2
    turned_box = entry.find("robndbox")
    if turned_box is None:
        raise ValueError("no bndbox")
    cx, cy, w, h, angle = (_number(turned_box, tag) for tag in ("cx", "cy", "w", "h", "angle"))
    x1, y1, x2, y2 = turned(cx - w / 2, cy - h / 2, w, h, math.degrees(angle), (cx, cy))
    return x1 + 1, y1 + 1, x2, y2


def _number(corners: ET.Element, tag: str) -> float:
    text = corners.findtext(tag)
    if text is None or not text.strip():
        raise ValueError(f"no {tag}")
    return float(text)
