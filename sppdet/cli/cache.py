"""``sppdet cache``: what is kept on disk between runs."""

import json
from pathlib import Path

import typer

from sppdet.cli.options import JsonFile, Quiet
from sppdet.runtime.cache import SUFFIXES, DiskCache, cache_dir
from sppdet.runtime.files import write_text
from sppdet.runtime.outputs import check_outputs
from sppdet.runtime.words import counted


def info(json_file: JsonFile = None, quiet: Quiet = False) -> None:
    """Show where the caches are, and how much is in them.

    Proposals and pixels make the next run faster, and prepared regions let an interrupted training
    go on. All are found by content, settings and source code, and nothing is lost but time without
    them. The environment variable SPPDET_CACHE names another folder.

    \b
    Example:
      sppdet cache info
    """
    check_outputs([json_file])
    typer.echo(f"{cache_dir()} (SPPDET_CACHE names another folder)")
    found = {}
    for name in SUFFIXES:
        entries = _cache(name).entries()
        size = sum(bytes_ for _, _, bytes_ in entries)
        found[name] = {"files": len(entries), "bytes": size}
        typer.echo(f"  {name:<16} {len(entries):>7} files  {size / 1e6:>10.1f} MB")
    _write(json_file, found)


def clear(json_file: JsonFile = None, quiet: Quiet = False) -> None:
    """Remove everything from the caches, and what killed runs left there.

    An interrupted training begins again after that. Other files in the folder stay.

    \b
    Example:
      sppdet cache clear
    """
    check_outputs([json_file])
    removed = {}
    for name in SUFFIXES:
        count, size = _cache(name).clear()
        removed[name] = {"files": count, "bytes": size}
        typer.echo(f"{name}: {counted(count, 'file')} removed, {size / 1e6:.1f} MB")
    _write(json_file, removed)


def _cache(name: str) -> DiskCache:
    return DiskCache(cache_dir() / name, SUFFIXES[name], 0)


def _write(path: Path | None, content: dict[str, dict[str, int]]) -> None:
    """The figures as JSON, with the folder of the caches."""
    if path is not None:
        write_text(path, json.dumps({"cache": str(cache_dir()), **content}, indent=1) + "\n")
