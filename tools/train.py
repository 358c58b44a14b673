"""The same as `sppdet train`."""

from sppdet.cli import run

if __name__ == "__main__":
    run("train")
