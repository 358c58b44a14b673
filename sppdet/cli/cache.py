"""``sppdet cache``: what is kept on disk between runs."""

import typer

from sppdet.runtime.cache import SUFFIXES, DiskCache, cache_dir


def info() -> None:
    """Show where the caches are, and how much is in them.

    Proposals and pixels make the next run faster, and prepared regions let an interrupted training
    go on. All are found by content, settings and source code, and nothing is lost but time without
    them. The environment variable SPPDET_CACHE names another folder.

    \b
    Example:
      sppdet cache info
    """
    typer.echo(f"{cache_dir()} (SPPDET_CACHE names another folder)")
    for name in SUFFIXES:
        entries = _cache(name).entries()
        size = sum(bytes_ for _, _, bytes_ in entries)
        typer.echo(f"  {name:<16} {len(entries):>7} files  {size / 1e6:>10.1f} MB")


def clear() -> None:
    """Remove everything from the caches, and what killed runs left there.

    An interrupted training begins again after that. Other files in the folder stay.

    \b
    Example:
      sppdet cache clear
    """
    for name in SUFFIXES:
        count, size = _cache(name).clear()
        typer.echo(f"{name}: {count} files removed, {size / 1e6:.1f} MB")


def _cache(name: str) -> DiskCache:
    return DiskCache(cache_dir() / name, SUFFIXES[name], 0)
