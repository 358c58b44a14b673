"""Packages that only this room needs, imported when it is used."""

from importlib import import_module
from types import ModuleType

from sppdet.errors import SppdetError


def needed(package: str, purpose: str, extra: str = "scale") -> ModuleType:
    """The package, imported.

    Args:
        package: its name, such as ``pyarrow.parquet``.
        purpose: what it is needed for, for the message.
        extra: of this project, which installs it.

    Raises:
        SppdetError: it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        top = package.partition(".")[0]
        if str(error.name).partition(".")[0] != top:
            raise
        raise SppdetError(
            f"{purpose}: needs the package {top}; pip install 'sppdet[{extra}]'"
        ) from None
