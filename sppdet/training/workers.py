"""Who works on the images of a training, where it is not the threads of this process."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from sppdet.datasets import Dataset
from sppdet.features.regions import RegionExtractor
from sppdet.heads.layers import Layers
from sppdet.settings import TrainSettings
from sppdet.training.photograph import GivenProposals


class Workers(Protocol):
    """Processes, here or on other machines.

    Each has the :class:`sppdet.training.images.TrainingImages` of a training of its own. Work goes
    out, such as to take the negatives that score above a limit, and its results come back. All that
    is learned from them stays in the process of the training.
    """

    def begin(
        self,
        dataset: Dataset,
        extractor: RegionExtractor,
        settings: TrainSettings,
        proposals: GivenProposals | None,
    ) -> None:
        """Give them what ``TrainingImages`` takes."""
        ...

    def map(
        self, work: Callable[[Any], Any], layers: Layers | None, images: Sequence[Any]
    ) -> Iterator[list[Any]]:
        """``TrainingImages.work_on`` for the views of each image, in order.

        Args:
            work: of a prepared image; it can be pickled.
            layers: through which the features go.
            images: for each image its views.
        """
        ...

    def clear(self) -> list[str]:
        """``TrainingImages.clear`` of each; the different lines of their ``cache_lines``."""
        ...
