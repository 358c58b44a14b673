"""The same as `sppdet detect`."""

from sppdet.cli import run

if __name__ == "__main__":
    run("detect")
