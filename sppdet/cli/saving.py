"""The files that ``sppdet detect`` writes.

==========  ======================================================================================
``--save``  files below the output folder, for an image with the output name NAME
==========  ======================================================================================
pictures    ``NAME.jpg``: the image with the detections drawn
json        ``NAME.json``: image, size, detections, seconds
jsonl       ``detections.jsonl``: the same, one line per image
csv         ``detections.csv``: one row per detection; the columns of ``sppdet convert``, and score
txt         ``labels/NAME.txt``: ``class cx cy w h score`` (YOLO), and ``data.yaml`` with the names
voc         ``annotations/NAME.xml``: PASCAL VOC
coco        ``detections.coco.json``: COCO results
crops       ``crops/CLASS/NAME_1.jpg``: the detections, cut out
==========  ======================================================================================

A picture and its JSON are whole or absent together: they are written under temporary names, and
renamed one after the other, the JSON last. Files of the whole run are written at its end.
"""

import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import yaml

from sppdet.datasets.writers.csv_boxes import HEADINGS
from sppdet.detections import Detections
from sppdet.drawing import draw, save_picture
from sppdet.errors import SppdetError
from sppdet.evaluation.result_files import RUN_AS_COCO
from sppdet.images import Rgb
from sppdet.runtime.files import atomic_path, write_text
from sppdet.runtime.names import as_file_name
from sppdet.runtime.outputs import made_by_sppdet, recorded_path, write_recorded

LONGEST_JPEG = 65_500
"""Pixels of a side that libjpeg writes (JPEG_MAX_DIMENSION)."""

_EACH = {
    "json": "{}.json",
    "pictures": "{}.jpg",
    "txt": "labels/{}.txt",
    "voc": "annotations/{}.xml",
}
"""Files per image. What is renamed last stands first."""

_RUN = {
    "jsonl": ("detections.jsonl", "", "\n", "\n"),
    "csv": ("detections.csv", "", "", ""),
    "coco": (RUN_AS_COCO, "[", ",\n", "]\n"),
}
"""Files per run: their name, what they begin with, what separates their entries, and their end."""

KINDS = (*_EACH, *_RUN, "crops")
"""All that is saved here; :mod:`sppdet.scale` writes parquet."""


def report(title: str, found: Detections, frame: int | None = None) -> dict[str, Any]:
    """The JSON of one image or frame."""
    width, height = found.size or (0, 0)
    return {
        "image": title,
        **({} if frame is None else {"frame": frame}),
        "width": width,
        "height": height,
        "detections": found.to_json(),
        "seconds": {name: round(value, 4) for name, value in found.seconds.items()},
    }


def each_file(folder: Path, kinds: Collection[str], name: str) -> dict[str, Path]:
    """The files of one image by their kind, without its crops."""
    return {kind: folder / text.format(name) for kind, text in _EACH.items() if kind in kinds}


def run_files(folder: Path, kinds: Collection[str]) -> list[Path]:
    """The files of the whole run."""
    names = [name for kind, (name, *_) in _RUN.items() if kind in kinds]
    return [folder / name for name in (*names, *(["data.yaml"] if "txt" in kinds else []))]


class Saver:
    """Writes what was found, in all formats that were asked for.

    Args:
        folder: the output folder.
        kinds: of :data:`sppdet.cli.choices.SAVES`.
        classes: of the detector.
        inputs: files that are never written over.
    """

    def __init__(
        self,
        folder: Path,
        kinds: Collection[str],
        classes: tuple[str, ...],
        inputs: Iterable[Path],
    ) -> None:
        self.folder = folder
        self.kinds = frozenset(kinds)
        self._classes = classes
        self._inputs = {os.path.realpath(path) for path in inputs}
        self._run: dict[str, IO[str]] = {
            kind: tempfile.TemporaryFile("w+", encoding="utf-8", newline="")  # noqa: SIM115
            for kind in _RUN
            if kind in self.kinds
        }
        self._before: dict[str, list[dict[str, Any]]] | None = None
        self._counts = dict.fromkeys(self._run, 0)
        if "csv" in self._run:
            self._run["csv"].write(_row([*HEADINGS, "score"]))

    def files(self, name: str) -> dict[str, Path]:
        """The files of one image by their kind, see :func:`each_file`."""
        return each_file(self.folder, self.kinds, name)

    def only(self, kinds: Collection[str]) -> "Saver":
        """A saver of some of the kinds, which has no files of the run."""
        chosen = (self.kinds & frozenset(kinds)) - _RUN.keys()
        return Saver(self.folder, chosen, self._classes, map(Path, self._inputs))

    def lines_before(self, title: str) -> list[dict[str, Any]] | None:
        """The entries of an image in the ``detections.jsonl`` of an earlier run; None without."""
        if self._before is None:
            before: dict[str, list[dict[str, Any]]] = {}
            with suppress(OSError, ValueError, KeyError, TypeError):
                for line in (self.folder / _RUN["jsonl"][0]).read_text("utf-8").splitlines():
                    entry = json.loads(line)
                    before.setdefault(entry["image"], []).append(entry)
            self._before = before
        return self._before.get(title)

    def save(
        self, name: str, title: str, image: Rgb, found: Detections, frame: int | None = None
    ) -> None:
        """Write the files of one image; all are whole, or none is there.

        Raises:
            SppdetError: a file cannot be written, or is an input or not one of sppdet's.
        """
        targets = self.files(name)
        for target in targets.values():
            self.check(target)
        if "crops" in self.kinds:
            self._save_crops(name, image, found)
        with ExitStack() as renamed:
            for kind, target in targets.items():
                marked = kind in ("json", "pictures")
                whole = atomic_path if marked else recorded_path
                temporary = renamed.enter_context(whole(target))
                try:
                    self._write(kind, temporary, title, image, found, frame)
                except SppdetError as error:
                    text = str(error).replace(str(temporary), str(target))
                    raise SppdetError(text) from error
            if "json" in targets:  # a run that is killed now leaves no JSON of another picture
                targets["json"].unlink(missing_ok=True)

    def _write(
        self,
        kind: str,
        path: Path,
        title: str,
        image: Rgb,
        found: Detections,
        frame: int | None,
    ) -> None:
        if kind == "json":
            write_text(path, json.dumps(report(title, found, frame), indent=1))
        elif kind == "txt":
            write_text(path, found.to_yolo())
        elif kind == "voc":
            write_text(path, found.to_voc(title))
        else:
            height, width = image.shape[:2]
            if max(width, height) > LONGEST_JPEG:
                raise SppdetError(
                    f"{path}: a JPEG has at most {LONGEST_JPEG:,} pixels a side, and this picture "
                    f"has {width} x {height}; use --no-pictures"
                )
            save_picture(draw(image, found), path)

    def _save_crops(self, name: str, image: Rgb, found: Detections) -> None:
        for number, (one, crop) in enumerate(zip(found, found.crops(image), strict=True), 1):
            inner = as_file_name(one.label) or "%"
            target = self.folder / "crops" / inner / f"{name}_{number}.jpg"
            self.check(target)
            save_picture(crop, target)

    def check(self, target: Path) -> None:
        """Refuse to write over an input, or over a file that sppdet did not make.

        Raises:
            SppdetError: it is one.
        """
        if not target.exists():
            return
        if os.path.realpath(target) in self._inputs:
            raise SppdetError(f"{target}: is an input of this command; choose another output")
        if not made_by_sppdet(target):
            raise SppdetError(
                f"{target}: exists, and sppdet did not make it; choose another name, or remove it"
            )

    def add(self, entry: dict[str, Any]) -> None:
        """Append one image, as its :func:`report`, to the files of the run."""
        frame = entry.get("frame")
        title = entry["image"] if frame is None else f"{entry['image']}#{frame}"
        found = Detections.from_dict({**entry, "classes": list(self._classes)})
        if "jsonl" in self._run:
            self._append("jsonl", json.dumps(entry))
        if "coco" in self._run:
            for record in found.to_coco(title):
                self._append("coco", json.dumps(record))
        if "csv" in self._run:
            start = [title, entry["width"], entry["height"]]
            for one in found:
                box = (round(value, 1) for value in one.box)
                self._append("csv", _row([*start, one.label, *box, round(one.score, 4)]))
            if not len(found):
                self._append("csv", _row([*start, *[""] * 6]))

    def _append(self, kind: str, text: str) -> None:
        _, begin, between, _ = _RUN[kind]
        first = self._counts[kind] == 0
        self._run[kind].write((begin if first else between) + text)
        self._counts[kind] += 1

    def close(self) -> None:
        """Write the files of the run.

        Raises:
            SppdetError: one cannot be written.
        """
        for kind, stream in self._run.items():
            name, begin, _, end = _RUN[kind]
            if not self._counts[kind]:
                stream.write(begin)
                end = end.lstrip("\n")
            stream.write(end)
            stream.seek(0)
            with recorded_path(self.folder / name) as path:
                with path.open("w", encoding="utf-8", newline="") as file:
                    shutil.copyfileobj(stream, file)
            stream.close()
        if "txt" in self.kinds:
            names = {"names": dict(enumerate(self._classes))}
            text = yaml.safe_dump(names, allow_unicode=True, sort_keys=False)
            write_recorded(self.folder / "data.yaml", text)


def _row(values: list[Any]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow(values)
    return line.getvalue()
