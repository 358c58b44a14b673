"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import sppdet

MODULES = [
    module.name
    for module in pkgutil.walk_packages(sppdet.__path__, "sppdet.")
    if not module.name.endswith("__main__")
]
WITH_EXAMPLES = {
    "sppdet.boxes": 10,
    "sppdet.detections": 5,
    "sppdet.features.pyramid": 4,
    "sppdet.features.window_pooling": 2,
    "sppdet.features.windows": 4,
    "sppdet.images": 2,
    "sppdet.proposals": 3,
}
"""Examples that a module has at least: a test that finds none would pass for nothing."""


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0, capsys.readouterr().out
    assert result.attempted >= WITH_EXAMPLES.get(name, 0)


def test_the_modules_are_found() -> None:
    assert set(WITH_EXAMPLES) <= set(MODULES)
