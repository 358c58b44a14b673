import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sppdet.errors import SppdetError
from sppdet.scale.merging import check, tables, write
from sppdet.scale.parts import ShardFolder
from sppdet.scale.places import Place
from sppdet.scale.rows import Record, from_bytes
from sppdet.scale.setting import Setting
from sppdet.scale.shards import Shard


@pytest.fixture
def shards(records: dict[str, Record], setting: Setting, output: Place) -> Place:
    """Two shards, an image to a part."""
    for number in (1, 2):
        shard = Shard(number, 2)
        own = [image for image in records if shard.holds(image)]
        assert len(own) > 1
        folder = ShardFolder(output, shard, setting)
        folder.begin(own)
        for image in own:
            folder.write([records[image]])
    return output


def parts(place: Place, number: int = 1) -> list[str]:
    start = f"shard-{number:05d}-of-00002/part-"
    return [name for name in place.files(deep=True) if name.startswith(start)]


def without_a_part(place: Place) -> None:
    name = parts(place)[0]
    place.remove(name.replace(".json", ".parquet"))


def without_a_manifest(place: Place) -> None:
    place.remove(parts(place)[0].replace(".parquet", ".json"))


def without_a_shard(place: Place) -> None:
    for name in place.files(deep=True):
        if name.startswith("shard-00002"):
            place.remove(name)


def with_another_division(place: Place) -> None:
    place.write("shard-00001-of-00003/shard.json", b"{}")


def twice(place: Place) -> None:
    name = next(name for name in parts(place) if name.endswith(".json"))
    content = json.loads(place.read(name))
    other = content["name"].replace("part-", "part-0")
    place.write(other, place.read(content["name"]))
    place.write(other.replace(".parquet", ".json"), json.dumps({**content, "name": other}).encode())


def with_a_flipped_bit(place: Place) -> None:
    name = next(name for name in parts(place) if name.endswith(".parquet"))
    content = bytearray(place.read(name))
    content[len(content) // 2] ^= 1
    place.write(name, bytes(content))


def of_another_model(place: Place) -> None:
    name = "shard-00002-of-00002/shard.json"
    content = json.loads(place.read(name))
    content["setting"]["model"] = "f" * 64
    place.write(name, json.dumps(content).encode())


def of_other_images(place: Place) -> None:
    name = "shard-00002-of-00002/shard.json"
    place.write(name, json.dumps({**json.loads(place.read(name)), "names": "0"}).encode())


def in_the_wrong_shard(place: Place) -> None:
    for name in parts(place, 2)[:2]:
        moved = name.replace("shard-00002", "shard-00001")
        text = place.read(name)
        if name.endswith(".json"):
            content = json.loads(text)
            content |= {"shard": "1/2", "name": moved.replace(".json", ".parquet")}
            text = json.dumps(content).encode()
        place.write(moved, text)
        place.remove(name)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (without_a_part, r"shard 1/2 has \d of its \d images; start it again"),
        (without_a_manifest, r"shard 1/2 has \d of its \d images; start it again"),
        (without_a_shard, r"shard 2/2 is missing; start it"),
        (with_another_division, r"holds shard 1/2 and shard 1/3; remove"),
        (twice, r"has the image .*, which is also in .*; remove both"),
        (with_a_flipped_bit, r"is damaged \(its digest is not that of its manifest\); remove it"),
        (of_another_model, r"shard 2/2 has another setting .*model ffffffffffff, not 0000"),
        (of_other_images, r"shard 2/2 has other images than its shard.json says; start it"),
        (in_the_wrong_shard, r"is damaged \(.* is of another shard\)"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_nothing_is_written(
    spoil: Callable[[Place], None], why: str, shards: Place, tmp_path: Path
) -> None:
    spoil(shards)
    for name in ("all.json", "all.parquet"):
        with pytest.raises(SppdetError, match=why):
            write(check(shards), tmp_path / name)
        assert not (tmp_path / name).exists()


def test_a_folder_without_shards(output: Place) -> None:
    with pytest.raises(SppdetError, match="holds no shards"):
        check(output)


def test_one_file_has_all_rows(shards: Place, tmp_path: Path) -> None:
    whole = check(shards)
    rows = [row for table in tables(whole) for row in table.to_pylist()]
    assert len({row["image"] for row in rows}) == 7
    write(whole, tmp_path / "all.parquet")
    assert from_bytes((tmp_path / "all.parquet").read_bytes()).to_pylist() == rows
    write(whole, tmp_path / "all.json")
    entries = json.loads((tmp_path / "all.json").read_text("utf-8"))
    found = [row for row in rows if row["label"] is not None]
    assert [entry["image_id"] for entry in entries] == [row["image"] for row in found]
    for entry, row in zip(entries, found, strict=True):
        x1, y1, x2, y2 = row["box"]
        assert entry["bbox"] == [x1, y1, x2 - x1, y2 - y1]
        assert whole.setting["classes"][entry["category_id"] - 1] == row["label"]
    summary = whole.summary()
    assert (summary["merged_images"], summary["shards"], summary["parts"]) == (7, 2, 7)
    assert sum(summary["detections"].values()) == len(found)
    assert [line.split(":")[0] for line in summary["failed"]] == ["bad.jpg"]


def test_no_detection_at_all_is_an_empty_list(
    records: dict[str, Record], setting: Setting, output: Place, tmp_path: Path
) -> None:
    folder = ShardFolder(output, Shard(1, 1), setting)
    folder.begin(["empty.png"])
    folder.write([records["empty.png"]])
    write(check(output), tmp_path / "all.json")
    assert json.loads((tmp_path / "all.json").read_text("utf-8")) == []
