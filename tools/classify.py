"""The same as `sppdet classify`: train, test, predict or export."""

from _start import start

if __name__ == "__main__":
    start("classify")
