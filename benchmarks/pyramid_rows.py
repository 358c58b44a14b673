"""The networks that pyramids.py trains, and the claims of the paper that it looks at."""

from dataclasses import dataclass

from sppdet.classification.networks import WITH_LEVELS
from sppdet.classification.settings import Augmentation, ClassifySettings

SIDE, WHOLE = 32, 36
"""Pixels: of a training crop, and of a whole test image at the same magnification."""

SMALLEST = (28 / 32) ** 2
"""Part of the area of the smallest crop: 28 px of 32, as 224 of 256."""

BINS = (4, 2, 1)
"""The pyramid of most rows, 21 bins of a map of 8 x 8 cells."""


@dataclass(frozen=True)
class Row:
    """One network and how it is trained."""

    name: str
    network: str = "spp5"
    levels: tuple[int, ...] | None = BINS
    pooling: str = "max"
    sizes: tuple[int, ...] = (SIDE,)


ROWS = (
    Row("no SPP", "spp5-flatten", None),
    Row("one size"),
    Row("two sizes", sizes=(26, SIDE)),
    Row("levels 1", levels=(1,)),
    Row("levels 2,1", levels=(2, 1)),
    Row("levels 6,3,2,1", levels=(6, 3, 2, 1)),
    Row("level 4", levels=(4,)),
    Row("level 5", levels=(5,)),
    Row("level 7", levels=(7,)),
    Row("average", pooling="average"),
)


@dataclass(frozen=True)
class Claim:
    """A difference that the paper finds: ``better`` is more accurate than ``worse``."""

    text: str
    better: tuple[str, str]
    worse: tuple[str, str]


CLAIMS = (
    Claim("a pyramid helps", ("one size", "crop"), ("no SPP", "crop")),
    Claim("several training sizes help", ("two sizes", "crop"), ("one size", "crop")),
    Claim("the whole image beats its crop", ("one size", "whole"), ("one size", "crop")),
    Claim("several views help", ("one size", "views"), ("one size", "whole")),
    Claim("more levels help: 4,2,1 against 2,1", ("one size", "whole"), ("levels 2,1", "whole")),
    Claim("2,1 against 1", ("levels 2,1", "whole"), ("levels 1", "whole")),
    Claim("6,3,2,1 against 4,2,1", ("levels 6,3,2,1", "whole"), ("one size", "whole")),
    Claim(
        "levels, not bins: 21 bins of 4,2,1 against 25 of one level",
        ("one size", "whole"),
        ("level 5", "whole"),
    ),
    Claim("4,2,1 against 16 bins of one level", ("one size", "whole"), ("level 4", "whole")),
    Claim(
        "50 bins of 6,3,2,1 against 49 of one level",
        ("levels 6,3,2,1", "whole"),
        ("level 7", "whole"),
    ),
    Claim("maxima against averages", ("one size", "whole"), ("average", "whole")),
)
"""What is compared, as (row, way of testing)."""

WAYS = ("crop", "whole", "views")


def settings_of(row: Row, seed: int, epochs: int) -> ClassifySettings:
    """The training of a row."""
    return ClassifySettings(
        row.network,
        row.levels if row.network in WITH_LEVELS else None,
        pooling="average" if row.pooling == "average" else "max",
        epochs=epochs,
        sizes=row.sizes,
        test_size=SIDE,
        schedule="linear",
        label_smoothing=0.1,
        average=0.995,
        seed=seed,
        augmentation=Augmentation(SMALLEST, 1.0),
    )


def ways_of(row: Row) -> tuple[str, ...]:
    """How a row's network can be tested: without a pyramid it takes the crop only."""
    return WAYS if row.network in WITH_LEVELS else WAYS[:1]
