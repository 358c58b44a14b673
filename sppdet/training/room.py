"""How many examples of a class there is memory for."""

from bisect import bisect_right

from sppdet.settings import MiningSettings

FEWEST = 50
"""Examples of one kind that a class may have whatever the memory is."""


def room(settings: MiningSettings, dimension: int, classes: int) -> int:
    """Examples of one kind, positives or negatives, that a class may hold.

    With them all classes together take at most ``settings.memory`` bytes: half-precision features
    of ``dimension`` values, the hard negatives that wait for the next training, and the products of
    each two examples. At least :data:`FEWEST`; ``max_positives`` and ``max_negatives`` bound them
    too.
    """
    share = settings.memory // max(classes, 1)
    numbers = range(max(settings.max_positives, settings.max_negatives) + 1)
    fitting = bisect_right(numbers, share, key=lambda most: class_bytes(settings, dimension, most))
    return max(fitting - 1, FEWEST)


def class_bytes(settings: MiningSettings, dimension: int, most: int) -> int:
    """Bytes of a class with at most ``most`` positives and as many negatives."""
    negatives = min(settings.max_negatives, most)
    held = min(settings.max_positives, most) + negatives
    waiting = most_waiting(settings, negatives)
    return 2 * dimension * (held + waiting) + 4 * min(held, settings.gram_examples) ** 2


def most_waiting(settings: MiningSettings, negatives: int) -> int:
    """Hard negatives of a class that wait until it is trained again, where it may hold so many
    negatives: those that wait are held beside the others, so that it is at most half of these."""
    return min(settings.retrain_after, max(negatives // 2, 1))
