"""How the scripts in this folder start: with one clear line where the packages are missing."""

import sys


def start(name: str) -> None:
    """Run a command of sppdet with the arguments of the process, and end it.

    Args:
        name: as :func:`sppdet.cli.run` takes it.
    """
    try:
        from sppdet.cli import run
    except ModuleNotFoundError as error:
        print(
            f"error: sppdet's packages are not installed for this Python (there is no {error.name} "
            f"for {sys.executable}); run `make install` once, then `.venv/bin/python "
            f"{sys.argv[0]} ...`, or activate it first with `source .venv/bin/activate`",
            file=sys.stderr,
        )
        sys.exit(2)
    run(name)
