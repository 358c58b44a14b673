"""The same as `sppdet split`."""

from _start import start

if __name__ == "__main__":
    start("split")
