"""The parts of all shards in one file, after they are checked."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sppdet.errors import SppdetError
from sppdet.runtime.outputs import recorded_path
from sppdet.runtime.words import counted
from sppdet.scale.packages import needed
from sppdet.scale.parts import (
    LIST,
    Part,
    damaged_part,
    doubled,
    read_list,
    read_parts,
    shards_in,
)
from sppdet.scale.places import Place
from sppdet.scale.rows import PURPOSE, from_bytes, schema
from sppdet.scale.setting import difference
from sppdet.scale.shards import Shard, digest_of

FORMATS = (".parquet", ".json")
"""Suffixes of files that are written."""


@dataclass(frozen=True)
class Whole:
    """The parts of all shards.

    Attributes:
        place: the output folder.
        parts: with their shards, in order.
        setting: of all, see :class:`sppdet.scale.setting.Setting`.
    """

    place: Place
    parts: list[tuple[Shard, Part]]
    setting: dict[str, Any]

    @property
    def failed(self) -> list[str]:
        """A line for each image that failed."""
        return [f"{image}: {why}" for _, part in self.parts for image, why in part.failed.items()]

    def summary(self) -> dict[str, Any]:
        """The figures for a program."""
        counts: dict[str, int] = {}
        for _, part in self.parts:
            for label, count in part.detections.items():
                counts[label] = counts.get(label, 0) + count
        return {
            "merged_images": sum(len(part.images) for _, part in self.parts),
            "shards": self.parts[0][0].count,
            "parts": len(self.parts),
            "failed": self.failed,
            "detections": counts,
            "setting": self.setting,
        }


def check(place: Place) -> Whole:
    """Read the lists and manifests of all shards.

    Every shard must be there and complete, no image may be in two parts, and all must have one
    setting, to which the digest of the model belongs.

    Args:
        place: the output folder.

    Raises:
        SppdetError: something is missing, doubled, damaged or of another setting; the line says
            which shard is to be started again.
    """
    files = place.files(deep=True)
    shards = shards_in(files)
    if not shards:
        raise SppdetError(f"{place.name}: holds no shards; sppdet detect --save parquet makes them")
    count = shards[0].count
    for shard in shards:
        if shard.count != count:
            raise SppdetError(
                f"{place.name}: holds shard {shards[0]} and shard {shard}; remove the folders of "
                "one division"
            )
    there = {shard.number for shard in shards if f"{shard.folder}/{LIST}" in files}
    missing = [number for number in range(1, count + 1) if number not in there]
    if missing:
        some = ", ".join(f"{number}/{count}" for number in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise SppdetError(f"{place.name}: shard {some}{more} is missing; start it")
    parts: list[tuple[Shard, Part]] = []
    seen: dict[str, Part] = {}
    setting = read_list(place, shards[0])["setting"]
    for shard in shards:
        own = _checked(place, shard, files, setting, seen)
        parts += [(shard, part) for part in own]
    if not parts:
        raise SppdetError(f"{place.name}: has no images in its shards")
    return Whole(place, parts, setting)


def _checked(
    place: Place,
    shard: Shard,
    files: dict[str, int | None],
    setting: dict[str, Any],
    seen: dict[str, Part],
) -> list[Part]:
    """The parts of a shard; ``seen`` gets its images."""
    listed = read_list(place, shard)
    if differs := difference(listed["setting"], setting):
        raise SppdetError(
            f"{place.name}: shard {shard} has another setting than the first one, {differs}; "
            "start it again in an --output of its own"
        )
    parts = [part for part in read_parts(place, shard, files) if part.name in files]
    wanted = _digest(setting)
    images: list[str] = []
    for part in parts:
        if part.setting != wanted:
            raise SppdetError(
                f"{place.shown(part.name)}: has another setting than {LIST} beside it; remove it, "
                f"and start shard {shard} again"
            )
        for image in part.images:
            if image in seen:
                raise doubled(place, image, seen[image], part)
            if not shard.holds(image):
                raise damaged_part(place, part, f"{image} is of another shard", shard)
            seen[image] = part
        images += part.images
    if len(images) != listed["images"]:
        raise SppdetError(
            f"{place.name}: shard {shard} has {len(images)} of its "
            f"{counted(listed['images'], 'image')}; "
            "start it again"
        )
    if digest_of(images) != listed["names"]:
        raise SppdetError(
            f"{place.name}: shard {shard} has other images than its {LIST} says; start it again"
        )
    return parts


def _digest(setting: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(setting, sort_keys=True).encode("utf-8")).hexdigest()


def tables(whole: Whole) -> Iterator[Any]:
    """The Arrow table of each part.

    Raises:
        SppdetError: a part is not what its manifest says.
    """
    for shard, part in whole.parts:
        content = whole.place.read(part.name)
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise damaged_part(whole.place, part, "its digest is not that of its manifest", shard)
        try:
            table = from_bytes(content)
        except ValueError as error:
            raise damaged_part(whole.place, part, error, shard) from None
        if set(table.column("image").to_pylist()) != set(part.images):
            raise damaged_part(whole.place, part, "it has other images than its manifest", shard)
        yield table


def write(whole: Whole, output: Path) -> None:
    """Write all rows to one file, part by part.

    Args:
        whole: what :func:`check` gives.
        output: a ``.parquet`` file with all rows, or a ``.json`` file with COCO results.

    Raises:
        SppdetError: a part is damaged, or the file cannot be written.
    """
    with recorded_path(output) as temporary:
        if output.suffix.lower() == ".parquet":
            parquet = needed("pyarrow.parquet", PURPOSE)
            with parquet.ParquetWriter(temporary, schema(), compression="zstd") as writer:
                for table in tables(whole):
                    writer.write_table(table)
            return
        ids = {name: number for number, name in enumerate(whole.setting["classes"], 1)}
        between = "[\n"
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            for table in tables(whole):
                for row in table.to_pylist():
                    if row["label"] is not None:
                        file.write(between + json.dumps(_coco(row, ids)))
                        between = ",\n"
            file.write("[]\n" if between == "[\n" else "\n]\n")


def _coco(row: dict[str, Any], ids: dict[str, int]) -> dict[str, Any]:
    x1, y1, x2, y2 = row["box"]
    return {
        "image_id": row["image"],
        "category_id": ids[row["label"]],
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "score": row["score"],
        "category_name": row["label"],
    }
