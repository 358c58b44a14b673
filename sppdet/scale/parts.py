"""The folder of a shard: parts, their manifests, and the list of what the shard has to do.

==================  ================================================================================
``shard.json``      the shard, its setting, how many images it has, and a digest of their names
``part-X.parquet``  the rows of some images
``part-X.json``     the manifest of that part: its digest, its images, and which of them failed
==================  ================================================================================

A part counts only with its manifest, which is written after it. X is a digest of the names of the
images: a part that is written twice, after a kill or by two workers, has one file.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sppdet.errors import SppdetError
from sppdet.runtime.threads import ordered_map
from sppdet.scale.places import Place
from sppdet.scale.rows import Record, from_bytes, table_of, to_bytes
from sppdet.scale.setting import Setting, difference
from sppdet.scale.shards import Shard, digest_of

LIST = "shard.json"
"""The file with what a shard has to do."""

READERS = 16
"""Manifests that are read at the same time: the time of each is that of the network."""


@dataclass(frozen=True)
class Part:
    """A part that is whole.

    Attributes:
        name: of its parquet file, from the output folder.
        sha256: of that file.
        size: of that file in bytes.
        images: in it.
        failed: why images failed, by image.
        setting: the digest of the setting.
        detections: how many of each class.
    """

    name: str
    sha256: str
    size: int
    images: tuple[str, ...]
    failed: dict[str, str]
    setting: str
    detections: dict[str, int]


class ShardFolder:
    """The outputs of one shard.

    Args:
        place: the output folder of all shards.
        shard: which.
        setting: of this run.
    """

    def __init__(self, place: Place, shard: Shard, setting: Setting) -> None:
        self.place, self.shard, self.setting = place, shard, setting

    def begin(self, images: Collection[str]) -> dict[str, Part]:
        """Say what the shard has to do, and see what is done.

        Args:
            images: of the shard.

        Returns:
            The parts that are there, by their images. What belongs to no whole part is removed.

        Raises:
            SppdetError: the output folder holds shards of another number, another model or another
                setting, or results of images that are not in ``images``.
        """
        files = self.place.files(deep=True)
        others = shards_in(files)
        for other in others:
            if other.count != self.shard.count:
                raise SppdetError(
                    f"{self.place.name}: holds shard {other}, and this is shard {self.shard}; "
                    "choose another --output"
                )
        begun = [other for other in others if f"{other.folder}/{LIST}" in files]
        for other in {*begun[:1], *({self.shard} & set(begun))}:  # merging compares all
            before = read_list(self.place, other)["setting"]
            if differs := difference(before, self.setting.to_json()):
                raise SppdetError(
                    f"{self.place.name}: holds shard {other} of another setting, {differs}; "
                    "choose another --output"
                )
        done = self._parts(files)
        listed = set(images)
        for image, part in done.items():
            if image not in listed:
                raise SppdetError(
                    f"{self.place.shown(part.name)}: has the image {image}, which is not in the "
                    "folder of images; choose another --output"
                )
        content = {
            "shard": str(self.shard),
            "images": len(listed),
            "names": digest_of(listed),
            "setting": self.setting.to_json(),
        }
        name = f"{self.shard.folder}/{LIST}"
        if name not in files or read_list(self.place, self.shard) != content:
            self.place.write(name, _json(content))
        return done

    def _parts(self, files: dict[str, int | None]) -> dict[str, Part]:
        done: dict[str, Part] = {}
        start = f"{self.shard.folder}/part-"
        own = {name: size for name, size in files.items() if name.startswith(start)}
        for part in read_parts(self.place, self.shard, own):
            if part.name not in own:
                self.place.remove(_manifest(part.name))
                continue
            if own[part.name] not in (None, part.size):
                why = f"it has {own[part.name]} bytes, and was written with {part.size}"
                raise damaged_part(self.place, part, why, self.shard)
            if part.setting != self.setting.digest:
                raise SppdetError(
                    f"{self.place.shown(part.name)}: is of another setting than {LIST} beside it; "
                    "choose another --output"
                )
            for image in part.images:
                if image in done:
                    raise doubled(self.place, image, done[image], part)
                done[image] = part
        whole = {part.name for part in done.values()}
        for name in own:
            if name.endswith(".parquet") and name not in whole:
                self.place.remove(name)
        return done

    def write(self, records: Sequence[Record]) -> Part:
        """Write a part, and then its manifest.

        Raises:
            SppdetError: it cannot be written.
        """
        counts: dict[str, int] = {}
        for record in records:
            for one in record.found or ():
                counts[one.label] = counts.get(one.label, 0) + 1
        failed = {record.image: record.error for record in records if record.error is not None}
        images = tuple(record.image for record in records)
        return self._store(images, table_of(records, self.setting.model), failed, counts)

    def forget_failed(self, done: dict[str, Part]) -> dict[str, Part]:
        """Take the images that failed out of their parts, so that they are tried again.

        A part without its failed images is another part: the old one is removed first, since no
        image may be in two. A kill between the two costs the work of one part.

        Args:
            done: of :meth:`begin`.

        Returns:
            ``done`` without them.

        Raises:
            SppdetError: a part is damaged, or cannot be written.
        """
        done = dict(done)
        for part in {part.name: part for part in done.values() if part.failed}.values():
            content = self.place.read(part.name)
            if hashlib.sha256(content).hexdigest() != part.sha256:
                raise damaged_part(
                    self.place, part, "its digest is not that of its manifest", self.shard
                )
            table = from_bytes(content)
            self.place.remove(_manifest(part.name))
            self.place.remove(part.name)
            for image in part.images:
                del done[image]
            images = tuple(image for image in part.images if image not in part.failed)
            if images:
                kept = table.filter(table["error"].is_null())
                new = self._store(images, kept, {}, part.detections)
                done |= dict.fromkeys(images, new)
        return done

    def _store(
        self,
        images: tuple[str, ...],
        table: Any,
        failed: dict[str, str],
        detections: dict[str, int],
    ) -> Part:
        content = to_bytes(table)
        part = Part(
            f"{self.shard.folder}/part-{digest_of(images)[:16]}.parquet",
            hashlib.sha256(content).hexdigest(),
            len(content),
            images,
            failed,
            self.setting.digest,
            detections,
        )
        self.place.write(part.name, content)
        self.place.write(_manifest(part.name), _json({**vars(part), "shard": str(self.shard)}))
        return part


def shards_in(files: Collection[str]) -> list[Shard]:
    """The shards of which there are files, in order; ``files`` are names from the output folder."""
    found = (Shard.of_folder(name.split("/")[0]) for name in files if "/" in name)
    return sorted({shard for shard in found if shard is not None})


def read_list(place: Place, shard: Shard) -> dict[str, Any]:
    """What a shard has to do: ``shard``, ``images``, ``names`` and ``setting``.

    Raises:
        SppdetError: the file is damaged.
    """
    name = f"{shard.folder}/{LIST}"
    try:
        content = json.loads(place.read(name))
        images, names, setting = content["images"], content["names"], content["setting"]
        if content["shard"] != str(shard) or not isinstance(setting, dict):
            raise ValueError("it is of another shard")
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(place, name, error, shard) from None
    return {"shard": str(shard), "images": int(images), "names": str(names), "setting": setting}


def read_parts(place: Place, shard: Shard, files: Collection[str]) -> list[Part]:
    """The parts of a shard, from their manifests.

    Args:
        place: the output folder.
        shard: which.
        files: names from the output folder.

    Raises:
        SppdetError: a manifest is damaged.
    """
    start = f"{shard.folder}/part-"
    names = sorted(name for name in files if name.startswith(start) and name.endswith(".json"))
    return list(ordered_map(lambda name: _read_part(place, shard, name), names, READERS))


def _read_part(place: Place, shard: Shard, name: str) -> Part:
    try:
        content = json.loads(place.read(name))
        part = Part(**{key: content[key] for key in Part.__dataclass_fields__})
        if _manifest(part.name) != name or content["shard"] != str(shard):
            raise ValueError("it is of another part")
        if not all(isinstance(image, str) for image in (*part.images, *part.failed)):
            raise ValueError("its images are not names")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(place, name, error, shard) from None
    return part


def doubled(place: Place, image: str, one: Part, other: Part) -> SppdetError:
    """The error for an image in two parts."""
    return SppdetError(
        f"{place.shown(other.name)}: has the image {image}, which is also in "
        f"{one.name}; remove both with their .json, and start that shard again"
    )


def damaged_part(place: Place, part: Part, why: object, shard: Shard) -> SppdetError:
    """The error for a part whose content is not what its manifest says."""
    return _damaged(place, part.name, why, shard)


def _damaged(place: Place, name: str, why: object, shard: Shard) -> SppdetError:
    reason = f"{why!r}" if isinstance(why, KeyError) else f"{why}"
    return SppdetError(
        f"{place.shown(name)}: is damaged ({reason}); remove it, and start shard {shard} again"
    )


def _manifest(part: str) -> str:
    return part.removesuffix(".parquet") + ".json"


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode("utf-8")
