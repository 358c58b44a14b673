"""One program of all commands, and how their errors reach the user."""

import importlib
import sys
from collections.abc import Sequence

import click
import typer
from typer.main import get_command

from sppdet.errors import SppdetError

COMMANDS = {
    "train": "sppdet.cli.train:train",
    "detect": "sppdet.cli.detect:detect",
    "evaluate": "sppdet.cli.evaluate:evaluate",
}
"""Name of a command and where its function is; it is imported when the command is called."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script ``sppdet``: ``sppdet COMMAND ...``."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments and arguments[0] in COMMANDS:
        run(arguments[0], arguments[1:], program=f"sppdet {arguments[0]}")
    overview = typer.Typer(
        add_completion=False, rich_markup_mode="rich", help=importlib.import_module("sppdet").__doc__
    )
    for name in COMMANDS:
        overview.command(name)(_function(name))
    _execute(get_command(overview), arguments or ["--help"], "sppdet")


def run(name: str, arguments: Sequence[str] | None = None, program: str | None = None) -> None:
    """Run one command and leave with its exit code: 0, 1 (some of a batch failed) or 2 (bad input)."""
    app = typer.Typer(add_completion=False, rich_markup_mode="rich")
    app.command()(_function(name))
    command = get_command(app)
    _execute(command, sys.argv[1:] if arguments is None else arguments, program)


def _function(name: str):  # noqa: ANN202
    module, function = COMMANDS[name].split(":")
    return getattr(importlib.import_module(module), function)


def _execute(command: click.Command, arguments: Sequence[str], program: str | None) -> None:
    try:
        code = command.main(list(arguments), prog_name=program, standalone_mode=False)
    except SppdetError as error:
        _fail(" ".join(str(error).split()))
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.exceptions.Abort):
        print("interrupted; what was finished is kept, run the command again to go on", file=sys.stderr)
        sys.exit(130)
    except MemoryError:
        _fail("out of memory; use smaller --scales or fewer --boxes")
    sys.exit(code or 0)


def _fail(line: str) -> None:
    print(f"error: {line}", file=sys.stderr)
    sys.exit(2)
