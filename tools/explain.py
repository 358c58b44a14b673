"""The same as `sppdet explain`."""

from _start import start

if __name__ == "__main__":
    start("explain")
