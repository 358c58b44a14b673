"""The same as `sppdet export`."""

from _start import start

if __name__ == "__main__":
    start("export")
