"""The command line: ``sppdet COMMAND``, and the same commands as scripts in tools/."""

from collections.abc import Sequence

from sppdet.cli.interrupt import handled_interrupts

__all__ = ["main", "run"]


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script ``sppdet``: ``sppdet COMMAND ...``.

    Args:
        arguments: the words that follow; by default those of the process.
    """
    with handled_interrupts(to_the_end=arguments is None):
        from sppdet.cli.app import run_program

        run_program(arguments)


def run(name: str, arguments: Sequence[str] | None = None) -> None:
    """Run one command, or one of a group of commands, and end the process.

    The exit code is 0, 1 (some of a batch failed), 2 (bad input) or 130 (interrupted).

    Args:
        name: a key of ``COMMANDS`` or of ``GROUPS`` in :mod:`sppdet.cli.app`.
        arguments: the words that follow; by default those of the process.
    """
    with handled_interrupts(to_the_end=arguments is None):
        from sppdet.cli.app import run_command

        run_command(name, arguments)
