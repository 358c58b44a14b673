"""``python -m sppdet``: the same as the program ``sppdet``."""

from sppdet.cli import main

main()
