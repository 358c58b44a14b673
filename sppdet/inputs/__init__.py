"""What a user names as input, found and read: files, folders, patterns, lists, URLs, videos."""

from sppdet.inputs.frames import Frame, count_frames, frames_of, images_of
from sppdet.inputs.sources import Inputs, Source, find_sources, natural_key

__all__ = [
    "Frame",
    "Inputs",
    "Source",
    "count_frames",
    "find_sources",
    "frames_of",
    "images_of",
    "natural_key",
]
