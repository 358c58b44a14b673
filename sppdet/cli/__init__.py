"""The command line: ``sppdet COMMAND``, and the same commands as scripts in tools/."""

from sppdet.cli.app import main, run

__all__ = ["main", "run"]
