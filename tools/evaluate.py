"""The same as `sppdet evaluate`."""

from _start import start

if __name__ == "__main__":
    start("evaluate")
