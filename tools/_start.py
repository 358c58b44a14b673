"""How the scripts in this folder start: with one clear line where the packages are missing."""

import os
import sys

ON_POSIX = (
    "run `make install` once, then `.venv/bin/python {script} ...`, or activate it first with "
    "`source .venv/bin/activate`"
)
ON_WINDOWS = (
    "install them as README.md says, then `.venv\\Scripts\\python {script} ...`, or activate it "
    "first with `.venv\\Scripts\\Activate.ps1`"
)


def start(name: str) -> None:
    """Run a command of sppdet with the arguments of the process, and end it.

    Args:
        name: as :func:`sppdet.cli.run` takes it.
    """
    try:
        from sppdet.cli import run
    except ModuleNotFoundError as error:
        remedy = ON_POSIX if os.name == "posix" else ON_WINDOWS
        print(
            f"error: sppdet's packages are not installed for this Python (there is no {error.name} "
            f"for {sys.executable}); {remedy.format(script=sys.argv[0])}",
            file=sys.stderr,
        )
        sys.exit(2)
    run(name)
