"""The same as `sppdet train`."""

from _start import start

if __name__ == "__main__":
    start("train")
