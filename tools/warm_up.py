"""The same as `sppdet warm-up`."""

from _start import start

if __name__ == "__main__":
    start("warm-up")
