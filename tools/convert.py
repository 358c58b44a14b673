"""The same as `sppdet convert`."""

from _start import start

if __name__ == "__main__":
    start("convert")
