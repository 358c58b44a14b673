"""How the scripts in this folder start: with one clear line where the packages are missing."""

import os
import sys

REMEDY = (
    "run `make install` once, then activate it in each terminal with `source .venv/bin/activate`"
    if os.name == "posix"
    else "install them as README.md says, then run `.venv\\Scripts\\Activate.ps1` in each terminal"
)


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
            f"for {sys.executable}); {REMEDY}",
            file=sys.stderr,
        )
        sys.exit(2)
    run(name)
