"""Thresholds of classes on a command line."""

from sppdet.errors import SppdetError


def parse_thresholds(given: list[str], classes: tuple[str, ...]) -> dict[str, float]:
    """``["0.5", "apple=0.6"]`` as thresholds of classes; a later entry wins over an earlier one.

    Raises:
        SppdetError: an entry is not a number from 0 to 1, or its class is unknown to the detector.
    """
    result: dict[str, float] = {}
    for text in given:
        name, equals, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise SppdetError(
                f"--threshold {text}: give a number from 0 to 1, or one for a class: apple=0.6"
            )
        if equals and name not in classes:
            raise SppdetError(
                f"--threshold {text}: the detector has no class {name!r}; it knows "
                f"{', '.join(classes)}"
            )
        result |= {name: value} if equals else dict.fromkeys(classes, value)
    return result
