"""The same as `sppdet benchmark`."""

from _start import start

if __name__ == "__main__":
    start("benchmark")
