"""The same as `sppdet prepare-data`."""

from sppdet.cli import run

if __name__ == "__main__":
    run("prepare-data")
