"""The class file of YOLO labels with one class more, one less, or another name.

Comments and everything else of a YAML file stay where they can.
"""

from typing import Any

import yaml

from sppdet.datasets.files import read_bytes
from sppdet.datasets.yolo_names import YAML, Names
from sppdet.errors import SppdetError
from sppdet.serving.labels.per_image import check_readable


def longer(names: Names, name: str) -> str:
    """The text with a class behind the last one."""
    text = _text(names)
    number = max(names.by_number) + 1
    if not _is_yaml(names):
        return text.rstrip("\r\n") + f"\n{_line(names, name)}\n"
    return _checked(names, _appended(text, names, number, name), {**names.by_number, number: name})


def shorter(names: Names) -> str:
    """The text without the last class, which is not the only one."""
    text = _text(names)
    last = max(names.by_number)
    if not _is_yaml(names):
        lines = text.rstrip().splitlines(keepends=True)
        return "".join(lines[:-1])
    wanted = {number: name for number, name in names.by_number.items() if number != last}
    return _checked(names, _cut(text, names), wanted)


def renamed(names: Names, number: int, name: str) -> str:
    """The text with another name of one class."""
    text = _text(names)
    if not _is_yaml(names):
        lines = text.splitlines(keepends=True)
        lines[number] = _line(names, name) + lines[number][len(lines[number].rstrip("\r\n")) :]
        return "".join(lines)
    node, _ = _nodes(text)
    plan = None
    if isinstance(node, yaml.SequenceNode) and number < len(node.value):
        one = node.value[number]
        plan = text[: one.start_mark.index] + _quoted(name) + text[one.end_mark.index :]
    elif isinstance(node, yaml.MappingNode):
        for key, one in node.value:
            if key.value == str(number):
                plan = text[: one.start_mark.index] + _quoted(name) + text[one.end_mark.index :]
    return _checked(names, plan, {**names.by_number, number: name})


def _text(names: Names) -> str:
    return check_readable(names.file, read_bytes(names.file))


def _is_yaml(names: Names) -> bool:
    return names.file.suffix.casefold() in YAML


def _line(names: Names, name: str) -> str:
    if name.strip() != name or "\n" in name or "\r" in name:
        raise SppdetError(f"the class {name!r} cannot be a line of {names.file.name}")
    return name


def _quoted(name: str) -> str:
    return yaml.safe_dump(name, allow_unicode=True, width=10**6).splitlines()[0]


def _checked(names: Names, plan: str | None, wanted: dict[int, str]) -> str:
    """A plan that says what is wanted; without one the content is written anew."""
    if plan is not None and _names_in(plan) == wanted:
        return plan
    content = yaml.safe_load(_text(names))
    content["names"] = wanted
    if "nc" in content:
        content["nc"] = max(wanted) + 1
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


def _nodes(text: str) -> tuple[Any, Any]:
    """The nodes of the names and of their number."""
    root = yaml.compose(text, yaml.SafeLoader)
    entries = {key.value: value for key, value in root.value} if root is not None else {}
    return entries.get("names"), entries.get("nc")


def _counted(before: str, plan: str, node: Any, end: int, number: int) -> str:
    """The plan with another ``nc``, which moved where it stands behind the change."""
    if node is None:
        return plan
    shift = len(plan) - len(before) if node.start_mark.index > end else 0
    start, stop = node.start_mark.index + shift, node.end_mark.index + shift
    return f"{plan[:start]}{number}{plan[stop:]}"


def _appended(text: str, names: Names, number: int, name: str) -> str | None:
    """The text with the class written behind the last one; None for other layouts than a list or a
    dictionary of numbers."""
    node, count = _nodes(text)
    if not isinstance(node, yaml.MappingNode | yaml.SequenceNode) or not node.value:
        return None
    keyed = _quoted(name)
    keyed = f"{number}: {keyed}" if isinstance(node, yaml.MappingNode) else keyed
    start, end = _span(node.value[-1])
    if node.flow_style:
        plan = f"{text[:end]}, {keyed}{text[end:]}"
    else:
        begin = text.rfind("\n", 0, start) + 1
        newline = text.find("\n", end)
        newline = len(text) if newline < 0 else newline
        plan = f"{text[:newline]}\n{text[begin:start]}{keyed}{text[newline:]}"
    return _counted(text, plan, count, end, number + 1)


def _cut(text: str, names: Names) -> str | None:
    """The text without the last class; None for other layouts."""
    node, count = _nodes(text)
    if not isinstance(node, yaml.MappingNode | yaml.SequenceNode) or len(node.value) < 2:
        return None
    start, end = _span(node.value[-1])
    if node.flow_style:
        plan = text[: _span(node.value[-2])[1]] + text[end:]
    else:
        begin, newline = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        plan = text[:begin] + ("" if newline < 0 else text[newline + 1 :])
    return _counted(text, plan, count, end, max(names.by_number))


def _span(entry: Any) -> tuple[int, int]:
    """Where an entry of a list or a dictionary begins and ends."""
    first, last = entry if isinstance(entry, tuple) else (entry, entry)
    return first.start_mark.index, last.end_mark.index


def _names_in(text: str) -> dict[int, str] | None:
    try:
        found = yaml.load(text, yaml.BaseLoader)["names"]
        pairs = enumerate(found) if isinstance(found, list) else found.items()
        return {int(key): value for key, value in pairs if value}
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError):
        return None
