"""Packages that only this room needs, imported when it is used."""

import os
from importlib import import_module
from types import ModuleType

from sppdet.errors import SppdetError

OF_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # errors reach Python as exceptions
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # silences a warning
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # of work that nobody waits for any more
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # SIGTERM is one line of ours, not a trace of C++
}
"""Variables that Ray reads when it is imported or started; what the user has set stays."""


def needed(package: str, purpose: str, extra: str = "scale") -> ModuleType:
    """The package, imported.

    Args:
        package: its name, such as ``pyarrow.parquet``.
        purpose: what it is needed for, for the message.
        extra: of this project, which installs it.

    Raises:
        SppdetError: it is not installed.
    """
    top = package.partition(".")[0]
    if top == "ray":
        for name, value in OF_RAY.items():
            os.environ.setdefault(name, value)
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != top:
            raise
        raise SppdetError(
            f"{purpose}: needs the package {top}; pip install 'sppdet[{extra}]'"
        ) from None
