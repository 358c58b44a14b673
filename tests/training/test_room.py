"""How many examples there is memory for, against a search one by one."""

import pytest

from sppdet.settings import MiningSettings
from sppdet.training.room import FEWEST, class_bytes, most_waiting, room


@pytest.mark.parametrize("dimension", [1, 500, 12_800, 100_000])
@pytest.mark.parametrize("classes", [0, 1, 3, 20, 1000])
@pytest.mark.parametrize("settings", [MiningSettings(), MiningSettings(memory=10**7)])
def test_it_is_the_largest_number_that_fits(
    settings: MiningSettings, dimension: int, classes: int
) -> None:
    share, found = settings.memory // max(classes, 1), 0
    for most in range(3001):
        if class_bytes(settings, dimension, most) <= share:
            found = most
    assert room(settings, dimension, classes) == max(found, FEWEST)


def test_what_a_class_takes() -> None:
    """40 positives and 40 negatives, 20 that wait, and 80 x 80 products of four bytes."""
    assert class_bytes(MiningSettings(), 500, 40) == 100 * 1000 + 80 * 80 * 4
    few = MiningSettings(max_positives=10, retrain_after=5)
    assert class_bytes(few, 500, 40) == 55 * 1000 + 50 * 50 * 4


def test_three_classes_have_all_that_the_settings_allow() -> None:
    """With the features of the default trunk, 50 bins of 416 channels."""
    settings = MiningSettings()
    assert room(settings, 20_800, 3) == settings.max_negatives
    assert room(settings, 20_800, 20) == 480


@pytest.mark.parametrize(("negatives", "waiting"), [(0, 1), (1, 1), (9, 4), (5000, 1000)])
def test_half_of_the_negatives_wait(negatives: int, waiting: int) -> None:
    assert most_waiting(MiningSettings(), negatives) == waiting
