"""Faults that the campaign of mutations must find, one kind each."""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def _traceback(case: Any) -> list[Any]:
    def fails() -> None:
        raise KeyError("planted")

    return [fails]


def _processor(case: Any) -> list[Any]:
    def turns() -> None:
        while True:
            pass

    return [turns]


def _memory(case: Any) -> list[Any]:
    return [lambda: np.ones(2_200_000_000, np.uint8).max()]


def _outside(case: Any) -> list[Any]:
    return [lambda: (case.folder.parent / "stray").write_text("x")]


def _death(case: Any) -> list[Any]:
    return [lambda: os._exit(9)]


def _escape(case: Any) -> list[Any]:
    return [lambda: print("\x1b[2J", file=sys.stdout)]


def _sleep(case: Any) -> list[Any]:
    return [lambda: time.sleep(30)]


def _sound(case: Any) -> list[Any]:
    return [lambda: time.sleep(0)]


PLANTED: dict[str, tuple[Callable[[Any], list[Any]], int]] = {
    "traceback": (_traceback, 1),
    "processor": (_processor, 1),
    "memory": (_memory, 1),
    "outside": (_outside, 1),
    "death": (_death, 1),
    "escape": (_escape, 1),
    "sleep": (_sleep, 1),
    "sound": (_sound, 1),
}
