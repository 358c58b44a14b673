"""What an earlier run of ``sppdet detect`` has done already."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sppdet.cli.saving import Saver
from sppdet.cli.saving_videos import video_files
from sppdet.detections import Detections
from sppdet.inputs import Source, count_frames


def entries_before(
    saver: Saver, source: Source, name: str, every: int | None
) -> list[dict[str, Any]] | None:
    """The entries of a source from an earlier run; None where a file of it lacks.

    Args:
        saver: of this run.
        source, name: the input and its output name.
        every: which frames are taken.
    """
    if source.kind == "camera":
        return None
    if source.kind == "video":
        files = video_files(saver.folder, saver.kinds, name)
    else:
        files = list(saver.files(name).values())
        if every is not None and (count := count_frames(source)) > 1:
            numbered = (f"{name}_{k:06d}" for k in range(0, count, every))
            files = [file for own in numbered for file in saver.files(own).values()]
    if not all(file.is_file() for file in files):
        return None
    if "json" not in saver.kinds:
        return saver.lines_before(source.name)
    read = [file for file in files if file.suffix in (".json", ".jsonl")]
    entries = [entry for file in read for entry in _read(file)]
    return entries if entries and all(e["image"] == source.name for e in entries) else None


def _read(file: Path) -> Iterator[dict[str, Any]]:
    """The entries of a JSON file, or of one with a line per frame; none where it is another's."""
    try:
        text = file.read_text(encoding="utf-8")
        for part in text.splitlines() if file.suffix == ".jsonl" else [text]:
            entry = json.loads(part)
            Detections.from_dict(entry)
            if {"image", "width", "height"} <= entry.keys():
                yield entry
    except (OSError, ValueError):
        return
