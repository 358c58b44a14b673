"""The same as `sppdet prepare-data`."""

from _start import start

if __name__ == "__main__":
    start("prepare-data")
