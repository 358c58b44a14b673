"""A training photograph: read and searched when that is first asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sppdet.boxes import Boxes
from sppdet.errors import SppdetError
from sppdet.images import Rgb, read_image
from sppdet.proposals.cache import ProposalCache
from sppdet.settings import DetectorSettings
from sppdet.training.region_store import image_key

GivenProposals = Mapping[Path, Boxes]
"""Proposals that were computed before, best first, by image file."""


@dataclass(frozen=True)
class Photograph:
    """An image file, read and searched when that is first asked for, for all of its views."""

    path: Path
    cache: ProposalCache
    searched: DetectorSettings
    given: GivenProposals | None

    @cached_property
    def image(self) -> Rgb:
        """Its pixels."""
        try:
            return read_image(self.path)
        except (OSError, SppdetError) as error:
            raise Unreadable(str(error)) from None

    @cached_property
    def key(self) -> bytes:
        """A name of its content."""
        try:
            return image_key(self.path)
        except OSError as error:
            raise Unreadable(str(error)) from None

    @cached_property
    def proposals(self) -> Boxes:
        """Its proposals, best first."""
        most = self.searched.max_boxes
        if self.given is not None:
            return self.given[self.path][:most]
        return self.cache.get(self.image, self.searched.proposals, most)


class Unreadable(Exception):
    """An image that cannot be read; the others go on."""
