"""One program of all commands, and how their errors reach the user."""

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

from sppdet.errors import SppdetError
from sppdet.runtime.memory import keep_freed_memory

COMMANDS = {
    "train": "sppdet.cli.train:train",
    "detect": "sppdet.cli.detect:detect",
    "evaluate": "sppdet.cli.evaluate:evaluate",
    "benchmark": "sppdet.cli.benchmark:benchmark",
    "data check": "sppdet.cli.data:data_check",
    "prepare-data": "sppdet.cli.prepare_data:prepare_data",
}
"""Name of a command and where its function is; it is imported when the command is called."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script ``sppdet``: ``sppdet COMMAND ...``."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["classify"]:
        importlib.import_module("sppdet.cli.classify").main(arguments[1:], "sppdet classify")
    for words in (1, 2):
        name = " ".join(arguments[:words])
        if name in COMMANDS:
            run(name, arguments[words:], program=f"sppdet {name}")
    app = _new_app(help=importlib.import_module("sppdet").__doc__, no_args_is_help=True)
    groups: dict[str, typer.Typer] = {"": app}
    for name in COMMANDS:
        group, _, command = name.rpartition(" ")
        if group not in groups:
            groups[group] = _new_app(help="Look at data sets.", no_args_is_help=True)
            app.add_typer(groups[group], name=group)
        groups[group].command(command)(guarded(_function(name)))
    app.add_typer(importlib.import_module("sppdet.cli.classify").make_app(), name="classify")
    app(arguments, prog_name="sppdet")


def run(name: str, arguments: Sequence[str] | None = None, program: str | None = None) -> None:
    """Run one command; leave with exit code 0, 1 (some of a batch failed) or 2 (bad input)."""
    app = _new_app()
    app.command()(guarded(_function(name)))
    app(list(sys.argv[1:] if arguments is None else arguments), prog_name=program)


def _new_app(**options: Any) -> typer.Typer:
    return typer.Typer(
        add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False, **options
    )


def _function(name: str) -> Callable[..., None]:
    module, function = COMMANDS[name].split(":")
    return getattr(importlib.import_module(module), function)


def guarded(function: Callable[..., None]) -> Callable[..., None]:
    """The command, with the errors that a user should read as one line and an exit code."""

    @functools.wraps(function)
    def command(*args: Any, **options: Any) -> None:
        keep_freed_memory()
        try:
            function(*args, **options)
        except SppdetError as error:
            _fail(" ".join(str(error).split()), 2)
        except KeyboardInterrupt:
            _fail("interrupted; finished work is kept, run the command again to go on", 130)
        except MemoryError:
            _fail("out of memory; use smaller --scales or fewer --boxes", 2)

    return command


def _fail(line: str, code: int) -> None:
    print(f"error: {line}", file=sys.stderr)
    raise typer.Exit(code)
