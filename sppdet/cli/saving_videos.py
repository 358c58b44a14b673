"""The annotated video and the JSON lines of a video or a camera."""

import json
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

from sppdet.cli.saving import Saver, report
from sppdet.detections import Detections
from sppdet.drawing import draw
from sppdet.images import Rgb
from sppdet.inputs.video import VideoWriter
from sppdet.runtime.outputs import recorded_path

PER_FRAME = frozenset({"txt", "voc", "crops"})
"""What is written for each frame as for an image; pictures become a video, JSON files lines."""


def video_files(folder: Path, kinds: Collection[str], name: str) -> list[Path]:
    """``NAME.jsonl`` with a line per frame, and ``NAME.mp4``, as far as they are wanted."""
    suffixes = {"json": ".jsonl", "pictures": ".mp4"}
    return [folder / (name + suffix) for kind, suffix in suffixes.items() if kind in kinds]


class VideoSaver:
    """Writes the outputs of one video; use it with ``with``.

    The files get their names when the block ends; an exception removes them. Ctrl-C in
    the block is for the caller to catch: what was added until then is a whole video.

    Args:
        saver: of the run.
        name: the output name.
        title: the name in the lines.
        rate: frames per second.
    """

    def __init__(self, saver: Saver, name: str, title: str, rate: float) -> None:
        self._title = title
        self._rate = rate
        self._paths = video_files(saver.folder, saver.kinds, name)
        self._stack = ExitStack()
        self._writer: VideoWriter | None = None
        for path in self._paths:
            saver.check(path)

    def __enter__(self) -> "VideoSaver":
        self._lines = self._video = None
        for path in self._paths:  # the lines are renamed last
            temporary = self._stack.enter_context(recorded_path(path))
            if path.suffix == ".mp4":
                self._video = temporary
            else:
                self._lines = self._stack.enter_context(temporary.open("w", encoding="utf-8"))
        return self

    def add(self, number: int, image: Rgb, found: Detections) -> None:
        """Append a frame."""
        if self._lines is not None:
            self._lines.write(json.dumps(report(self._title, found, number)) + "\n")
        if self._video is not None:
            if self._writer is None:
                size = image.shape[1], image.shape[0]
                self._writer = VideoWriter(self._video, self._rate, size)
            self._writer.add(draw(image, found))

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()
        self._stack.__exit__(*error)  # type: ignore[arg-type]
