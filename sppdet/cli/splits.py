"""Which split of a data set a command takes, and what is doubtful about a training's."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sppdet.errors import SppdetError
from sppdet.runtime.words import counted, verb

if TYPE_CHECKING:
    from sppdet.datasets import Dataset

TRAINING_SPLITS = ("trainval", "train", "train2017", "training")
TEST_SPLITS = ("test", "test2007", "testing", "val", "valid", "validation", "val2017", "val2014")


def training_split(data: Path, format: str | None) -> str | None:
    """The split to train on; None for data without splits.

    Raises:
        SppdetError: there is a test split, and no split whose name says training.
    """
    return _split(data, format, TRAINING_SPLITS, TEST_SPLITS, "train")


def test_split(data: Path, format: str | None) -> str | None:
    """The split to test on; None for data without splits.

    Raises:
        SppdetError: there is a training split, and no split whose name says test.
    """
    return _split(data, format, TEST_SPLITS, TRAINING_SPLITS, "test")


def _split(
    data: Path, format: str | None, wanted: Sequence[str], others: Sequence[str], purpose: str
) -> str | None:
    """The first split whose name is wanted; None if there is none of the others either."""
    from sppdet.datasets import splits

    available = {name.lower(): name for name in splits(data, format)}
    for name in wanted:
        if name in available:
            return available[name]
    if set(others) & set(available):
        raise SppdetError(
            f"{data}: has the splits {', '.join(sorted(available.values()))}; name the one to "
            f"{purpose} on with --split"
        )
    return None


def split_doubts(
    data: Path, dataset: "Dataset", split: str | None, format: str | None
) -> list[str]:
    """Lines about training on a test split, and about photographs that a test split has too."""
    from sppdet.datasets import read_dataset, splits
    from sppdet.datasets.doubts import shared_files

    lines = []
    if split is not None and split.lower() in TEST_SPLITS:
        lines.append(f"this trains on {split}, which is usually kept for the test")
    for name in splits(data, format):
        if name.lower() in TEST_SPLITS and dataset.split is not None and name != dataset.split:
            try:
                other = read_dataset(data, name, format=format)
            except SppdetError as error:
                lines.append(f"{name} is not compared with {dataset.split}: {error}")
                continue
            shared = shared_files(dataset.images, other.images)
            if shared:
                lines.append(
                    f"{counted(len(shared), 'photograph')} of {name} {verb(len(shared))} in "
                    f"{dataset.split} too, such as "
                    f"{shared[0][1].name}: figures on {name} will be too good"
                )
    return lines
