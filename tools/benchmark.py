"""The same as `sppdet benchmark`."""

from sppdet.cli import run

if __name__ == "__main__":
    run("benchmark")
