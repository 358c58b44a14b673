"""A digest of the code that computes something: what is cached is void when the code changes."""

import ast
import hashlib
import importlib.metadata
import sys
import threading
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder of the package."""

PACKAGES = ("numpy", "numba", "opencv-contrib-python", "pillow", "torch", "torchvision")
"""Whose versions are part of every digest: they compute too."""

_PARSING = threading.Lock()
"""CPython 3.11 counts the depth of the trees of all threads in one number, so that parsing in two
threads at once can end with a SystemError (CPython issue 106905)."""


@cache
def code_digest(module: str) -> bytes:
    """A digest of the source of a module, of the modules of sppdet that it imports, directly or
    not, and of the versions of :data:`PACKAGES`.

    A module that is not sppdet's stands for itself, without what it imports.
    """
    content = hashlib.sha256()
    for name in PACKAGES:
        content.update(f"{name} {_version(name)}\n".encode())
    for name, source in sorted(_sources(module).items()):
        content.update(name.encode() + b"\0" + hashlib.sha256(source).digest())
    return content.digest()


def _sources(module: str) -> dict[str, bytes]:
    """The source of a module and of all that it imports, by name."""
    found: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = _file(name)
        if name in found or file is None:
            continue
        found[name] = file.read_bytes()
        if file.is_relative_to(ROOT):
            waiting += _imports(found[name])
    return found


def _file(module: str) -> Path | None:
    first, _, rest = module.partition(".")
    if first == ROOT.name:
        inner = ROOT.joinpath(*rest.split(".")) if rest else ROOT
        for file in (inner.with_suffix(".py"), inner / "__init__.py"):
            if file.is_file():
                return file
        return None
    path = getattr(sys.modules.get(module), "__file__", None)
    return Path(path).resolve() if path else None


def _imports(source: bytes) -> list[str]:
    names = []
    with _PARSING:
        tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.partition(".")[0] == ROOT.name and name != ROOT.name]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
