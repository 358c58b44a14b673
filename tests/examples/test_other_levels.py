from collections.abc import Callable
from types import ModuleType

import pytest

pytestmark = pytest.mark.slow


def test_each_pyramid_is_trained_and_evaluated(
    example: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    example("other_levels").main(["1", "2,3", "--scenes", "12"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(line[1], int(line[2])) for line in lines] == [("1", 256), ("2,3", 13 * 256)]
    one, two = (float(line[-1]) for line in lines)
    assert 0.2 < one <= 1
    assert 0.5 < two <= 1
