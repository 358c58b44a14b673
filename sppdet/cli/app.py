"""One program of all commands, and how their errors reach the user."""

import functools
import importlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from sppdet.cli.interrupt import (
    CODE,
    LINE,
    TERMINATED,
    Terminated,
    interrupts_unchanged,
    work_begins,
    work_ends,
)
from sppdet.errors import SppdetError, SppdetWarning
from sppdet.runtime.cache import without_cache
from sppdet.runtime.memory import keep_freed_memory
from sppdet.runtime.names import visible

COMMANDS = {
    "train": "sppdet.cli.train:train",
    "detect": "sppdet.cli.detect:detect",
    "merge-results": "sppdet.cli.merge_results:merge_results",
    "propose": "sppdet.cli.propose:propose",
    "explain": "sppdet.cli.explain:explain",
    "find": "sppdet.cli.find:find",
    "evaluate": "sppdet.cli.evaluate:evaluate",
    "ensemble": "sppdet.cli.ensemble:ensemble",
    "label": "sppdet.cli.label:label",
    "serve": "sppdet.cli.serve:serve",
    "info": "sppdet.cli.info:info",
    "warm-up": "sppdet.cli.warm_up:warm_up",
    "export": "sppdet.cli.export:export",
    "add-class": "sppdet.cli.add_class:add_class",
    "remove-class": "sppdet.cli.classes:remove_class",
    "rename-class": "sppdet.cli.classes:rename_class",
    "merge": "sppdet.cli.classes:merge",
    "benchmark": "sppdet.cli.benchmark:benchmark",
    "cache info": "sppdet.cli.cache:info",
    "cache clear": "sppdet.cli.cache:clear",
    "data check": "sppdet.cli.data:data_check",
    "data suspects": "sppdet.cli.suspects:data_suspects",
    "convert": "sppdet.cli.convert:convert",
    "split": "sppdet.cli.convert:split",
    "prepare-data": "sppdet.cli.prepare_data:prepare_data",
    "classify train": "sppdet.cli.classify.train:train",
    "classify test": "sppdet.cli.classify.test:check",
    "classify predict": "sppdet.cli.classify.predict:predict",
    "classify export": "sppdet.cli.classify.export:export",
}
"""Every command and where its function is.

These modules import nothing heavy before their function is called, so that a help text and a usage
error appear at once.
"""

GROUPS = {
    "cache": "Look at the caches on disk, and clear them.",
    "data": "Look at data sets.",
    "classify": "Train and use classification networks.",
}
"""Every first word of two-word commands, with its help."""


def run_program(arguments: Sequence[str] | None) -> None:
    """All commands as one program, see :func:`sppdet.cli.main`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for count in (1, 2):  # the way of most calls: it leaves the other commands out
        name = " ".join(words[:count])
        if name in COMMANDS:
            run_command(name, words[count:], f"sppdet {name}")
    program = _new_app(
        help=importlib.import_module("sppdet").__doc__,
        add_completion=True,
        callback=_options_of_the_program,
        no_args_is_help=True,
    )
    for group in GROUPS:
        program.add_typer(_group(group), name=group)
    for name in COMMANDS:
        if " " not in name:
            program.command(name)(_guarded(_function(name)))
    _call(program, words, "sppdet")


def run_command(name: str, arguments: Sequence[str] | None, program: str | None = None) -> NoReturn:
    """One command or group as a program of this name, see :func:`sppdet.cli.run`."""
    if name in GROUPS:
        app = _group(name)
    else:
        app = _new_app()
        app.command()(_guarded(_function(name)))
    words = list(sys.argv[1:] if arguments is None else arguments)
    _call(app, words, program)


def _group(group: str) -> typer.Typer:
    app = _new_app(help=GROUPS[group], no_args_is_help=True, callback=_no_options)
    for name in COMMANDS:
        first, _, second = name.partition(" ")
        if second and first == group:
            app.command(second)(_guarded(_function(name)))
    return app


def _new_app(add_completion: bool = False, **options: Any) -> typer.Typer:
    return typer.Typer(
        add_completion=add_completion,
        rich_markup_mode=None,  # rich is slow to import
        pretty_exceptions_enable=False,
        **options,
    )


def _function(name: str) -> Callable[..., None]:
    module, function = COMMANDS[name].split(":")
    return getattr(importlib.import_module(module), function)


def _no_options() -> None:
    """With a callback typer makes a group, even of a single command."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sppdet {importlib.import_module('sppdet').__version__}")
        raise typer.Exit


def _options_of_the_program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def _call(app: typer.Typer, words: list[str], program: str | None) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console of another encoding shows a code
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(words, prog_name=program, standalone_mode=False)
    except SppdetError as error:  # from the choice of an option: the command has not begun
        _fail(str(error), 2)
    except Exception as error:
        _fail_as_click(error)
    raise SystemExit(code or 0)


def _fail_as_click(error: Exception) -> NoReturn:
    """An error of the command line in one line; Click would take four.

    Its classes are in Click or in Typer, by the version of Typer.
    """
    if type(error).__name__ == "NoArgsIsHelpError" and hasattr(error, "show"):
        error.show()
        raise SystemExit(2)
    if not hasattr(error, "format_message"):
        raise error
    context = getattr(error, "ctx", None)
    remedy = f"; see '{context.command_path} --help'" if context is not None else ""
    _fail(str(error.format_message()).rstrip(".") + remedy, 2)


def _guarded(function: Callable[..., None]) -> Callable[..., None]:
    """The command, with the errors that a user should read as one line and an exit code."""

    @functools.wraps(function)
    def command(*args: Any, **options: Any) -> None:
        keep_freed_memory()
        warnings.showwarning = functools.partial(_note, warnings.showwarning)
        try:
            work_begins()
            with (
                interrupts_unchanged(),
                without_cache() if options.get("no_cache") else nullcontext(),
                _quietly() if options.get("quiet") else nullcontext(),
            ):
                function(*args, **options)
            sys.stdout.flush()
        except SppdetError as error:
            _fail(str(error), 2)
        except ModuleNotFoundError as error:
            package = str(error.name).partition(".")[0]
            if package == "sppdet":
                raise
            _fail(
                f"the package {package} is missing, which an installation for detection alone "
                "leaves out; pip install sppdet installs all",
                2,
            )
        except KeyboardInterrupt as interrupt:
            _fail(LINE, TERMINATED if isinstance(interrupt, Terminated) else CODE)
        except BrokenPipeError:  # the reader, such as `head`, has stopped
            _drop_output()
            raise SystemExit(1) from None
        except OSError as error:
            _drop_output()
            _fail(f"{error.filename or 'the output'}: {error.strerror or error}", 2)
        except MemoryError:
            _fail("out of memory; use smaller --scales or fewer --boxes", 2)
        finally:
            work_ends()

    return command


@contextmanager
def _quietly() -> Iterator[None]:
    """Without progress, remarks and results; errors are printed as ever."""
    from sppdet.cli.progress import console

    console.quiet = True
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            yield
    finally:
        console.quiet = False


def _drop_output() -> None:
    """Let the interpreter's last flush of a full or closed standard output go nowhere."""
    own = sys.stdout is sys.__stdout__  # another program that calls this has its own
    if sys.stdout is not None and own:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _note(others: Callable[..., None], message: Warning | str, *rest: Any, **named: Any) -> None:
    """Print sppdet's warnings as notes, and leave out those of Pillow, which names no file."""
    if isinstance(message, SppdetWarning):
        from sppdet.cli.progress import console

        console.print(f"note: {message}", markup=False, soft_wrap=True)
    elif "PIL" not in Path(str(rest[1] if len(rest) > 1 else "")).parts:
        others(message, *rest, **named)


def _fail(message: str, code: int) -> NoReturn:
    print("error:", visible(" ".join(message.split())), file=sys.stderr)
    raise SystemExit(code)
