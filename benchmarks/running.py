"""What the scripts of this folder share: errors in one line, options, keys, the file of a table."""

import argparse
import hashlib
import json
import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from sppdet import __version__
from sppdet.datasets.files import parse_json
from sppdet.errors import SppdetError
from sppdet.runtime.files import write_text
from sppdet.runtime.names import visible

UNSEEN = ("data", "work", "json", "figure")
"""Options that a recorded command leaves out: places on this machine, which decide no figure."""

FILES = ("weights",)
"""Options that name a file; a recorded command has the name without the folder."""


def start(main: Callable[[], int | None]) -> NoReturn:
    """Run a script; bad input and files that cannot be used end it with one line and exit code 2.

    An error of the system that names no file is not of the input, and keeps its traceback.
    """
    try:
        code = main()
    except SppdetError as error:
        message = str(error)
    except OSError as error:
        if error.filename is None:
            raise
        message = f"{error.filename}: {error.strerror or error}"
    else:
        sys.exit(code)
    print("error:", visible(" ".join(message.split())), file=sys.stderr)
    sys.exit(2)


def whole(least: int, most: int = 10**9) -> Callable[[str], int]:
    """The type of an option: a whole number in this range."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(
                f"{text}: give a whole number from {least} to {most:,}"
            )
        return number

    return read


def several(least: int) -> Callable[[str], list[int]]:
    """The type of an option: whole numbers with commas, each once."""
    one = whole(least)

    def read(text: str) -> list[int]:
        numbers = [one(word) for word in text.split(",")]
        if len(set(numbers)) < len(numbers):
            raise argparse.ArgumentTypeError(f"{text}: give each number once")
        return numbers

    return read


def exactly(count: int, separator: str, example: str, least: int) -> Callable[[str], list[int]]:
    """The type of an option: so many whole numbers, such as the two of ``500x375``."""

    def read(text: str) -> list[int]:
        try:
            numbers = [int(word) for word in text.split(separator)]
        except ValueError:
            numbers = []
        if len(numbers) != count or min(numbers) < least:
            raise argparse.ArgumentTypeError(
                f"{text}: give {count} whole numbers from {least} up, such as {example}"
            )
        return numbers

    return read


def real(least: float, most: float) -> Callable[[str], float]:
    """The type of an option: a number in this range."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not least <= number <= most:  # not so for NaN
            raise argparse.ArgumentTypeError(f"{text}: give a number from {least:g} to {most:g}")
        return number

    return read


def some_of(names: Collection[str]) -> Callable[[str], list[str]]:
    """The type of an option: some of these names, with commas."""

    def read(text: str) -> list[str]:
        chosen = [word.strip() for word in text.split(",")]
        for name in chosen:
            if name not in names:
                raise argparse.ArgumentTypeError(f"{name!r}: choose from {', '.join(names)}")
        return chosen

    return read


def read_json(path: Path, what: str, kind: type, *keys: str) -> Any:
    """The content of a JSON file.

    Args:
        path: the file.
        what: it has to be, for the message.
        kind: ``dict``, or ``list`` for a list of objects.
        keys: of the object, or of each object.

    Raises:
        SppdetError: it cannot be read, or is something else.
    """
    content = parse_json(path)
    objects = content if kind is list and isinstance(content, list) else [content]
    if not isinstance(content, kind) or not all(
        isinstance(one, dict) and one.keys() >= set(keys) for one in objects
    ):
        raise SppdetError(f"{path}: is not {what}")
    return content


def key_of(*parts: Any) -> str:
    """A name for a result that other parts, or another version of sppdet, do not have."""
    content = json.dumps([__version__, *parts], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def command_line(script: str, data: list[str], options: argparse.Namespace) -> str:
    """The command of a table, with every option that has a value, also where it is the default.

    Args:
        script: its name in this folder.
        data: the words that stand for the data.
        options: as the script read them; lists were given with commas.
    """
    words = ["python", f"benchmarks/{script}", *data]
    for name, value in vars(options).items():
        if name in UNSEEN or value is None:
            continue
        if name in FILES:
            value = Path(value).name
        if isinstance(value, list):
            value = ",".join(map(str, value))
        words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def write_table(
    path: Path, command: str, note: str, columns: dict[str, str], rows: list[list[Any]]
) -> None:
    """Write a table with where it is from, in the form of benchmarks/tables.py."""
    import torch

    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    content = {
        "command": [command],
        "commit": commit or "not recorded",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}; Python "
        f"{platform.python_version()}, torch {torch.__version__}",
        "threads": torch.get_num_threads(),
        "date": date.today().isoformat(),
        "note": note,
        "columns": columns,
        "rows": rows,
    }
    write_text(path, json.dumps(content, indent=1) + "\n")
