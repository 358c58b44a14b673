"""The same as `sppdet detect`."""

from _start import start

if __name__ == "__main__":
    start("detect")
