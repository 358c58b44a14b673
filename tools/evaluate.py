"""The same as `sppdet evaluate`."""

from sppdet.cli import run

if __name__ == "__main__":
    run("evaluate")
