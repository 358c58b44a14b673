"""The classes of a labelling session."""

import threading
from collections.abc import Iterable
from typing import Any

from sppdet.runtime.words import counted
from sppdet.serving.answers import Refused
from sppdet.serving.labels.base import LabelFiles
from sppdet.serving.state import State

LONGEST_NAME = 200


class ClassList:
    """The names of the classes; a class keeps its place in a session.

    Args:
        files: the label files.
        state: remembers classes that no label has yet.
    """

    def __init__(self, files: LabelFiles, state: State) -> None:
        self._files = files
        self._state = state
        self._names = list(dict.fromkeys([*files.classes(), *state.classes]))
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """All names."""
        return list(self._names)

    def check(self, name: Any) -> None:
        """Refuse a class that is not known.

        Raises:
            Refused: there is none of this name.
        """
        if name not in self._names:
            raise Refused(404, f"there is no class {name}; add it first")

    def note(self, names: Iterable[str]) -> None:
        """Take the classes of labels that another program has written."""
        with self._lock:
            self._names += [one for one in dict.fromkeys(names) if one not in self._names]

    def add(self, name: Any) -> list[str]:
        """Add a class; all names.

        Raises:
            Refused, SppdetError: the name cannot be one.
        """
        name = checked_name(name)
        with self._lock:
            self._files.add_class(name)  # another program may have taken it out
            if name not in self._names:
                self._state.add_class(name)
                self._names.append(name)
        return self.names

    def remove(self, name: Any) -> list[str]:
        """Remove a class that has no objects; all names.

        Raises:
            Refused, SppdetError: it has objects, or its files cannot do without it.
        """
        self.check(name)
        count = self._files.objects_of(name)
        if count:
            raise Refused(409, f"{name} has {counted(count, 'object')}; delete them first")
        with self._lock:
            self._files.remove_class(name)
            self._state.change_class(name, None)
            self._names.remove(name)
        return self.names

    def rename(self, name: Any, new: Any) -> list[str]:
        """Give a class another name; all names.

        Raises:
            Refused, SppdetError: the name cannot be one, or another class has it.
        """
        new = checked_name(new)
        self.check(name)
        if new in self._names:
            raise Refused(409, f"there is a class {new} already")
        with self._lock:
            self._files.rename_class(name, new)
            self._state.change_class(name, new)
            self._names[self._names.index(name)] = new
        return self.names


def checked_name(name: Any) -> str:
    """The name of a class in a request.

    Raises:
        Refused: it cannot be one.
    """
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME:
        raise Refused(400, f"give the class a name of 1 to {LONGEST_NAME} characters")
    name = name.strip()
    odd = any(ord(one) < 32 or 0xD800 <= ord(one) < 0xE000 for one in name)
    if odd or len(name.splitlines()) > 1:
        raise Refused(400, "a name of a class is one line")
    return name
