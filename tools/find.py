"""The same as `sppdet find`."""

from _start import start

if __name__ == "__main__":
    start("find")
