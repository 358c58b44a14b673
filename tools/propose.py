"""The same as `sppdet propose`."""

from _start import start

if __name__ == "__main__":
    start("propose")
