"""A worker that is killed anywhere, and started again."""

import json
from pathlib import Path

import pytest

from sppdet.errors import SppdetError
from sppdet.pipeline.stream import Pipeline
from sppdet.scale.merging import check, tables
from sppdet.scale.parts import Part, ShardFolder
from sppdet.scale.places import Place, images_in
from sppdet.scale.setting import Setting
from sppdet.scale.shards import Shard
from sppdet.scale.work import count_before, write_parts

WRITES = 9
"""Files of the shard: its list, four parts and their manifests."""


class Killed(BaseException):
    """The process is no more."""


def work(pipeline: Pipeline, setting: Setting, tiny: Path, output: Place) -> list[Part]:
    """A run over all photographs, two to a part; gives the parts that it wrote."""
    source = Place.at(str(tiny))
    images, _ = images_in(source, recursive=True)
    folder = ShardFolder(output, Shard(1, 1), setting)
    done = folder.begin(images)
    missing = {image: name for image, name in images.items() if image not in done}
    return list(write_parts(pipeline, folder, source, missing, 2))


def rows_of(output: Place) -> list[dict[str, object]]:
    rows = [row for table in tables(check(output)) for row in table.to_pylist()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def undisturbed(
    pipeline: Pipeline, setting: Setting, tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, object]]:
    output = Place.at(str(tmp_path_factory.mktemp("undisturbed")))
    assert len(work(pipeline, setting, tiny, output)) == 4
    assert len(output.files(deep=True)) == WRITES
    return rows_of(output)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(WRITES))
def test_a_kill_at_any_write_loses_and_doubles_nothing(
    number: int,
    after: bool,
    pipeline: Pipeline,
    setting: Setting,
    tiny: Path,
    output: Place,
    undisturbed: list[dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, left = Place.write, [number]

    def write(place: Place, name: str, content: bytes) -> None:
        left[0] -= 1
        if left[0] < 0 and not after:
            raise Killed
        real(place, name, content)
        if left[0] < 0:
            raise Killed

    monkeypatch.setattr(Place, "write", write)
    with pytest.raises(Killed):
        work(pipeline, setting, tiny, output)
    monkeypatch.undo()
    whole = {name for name in output.files(deep=True) if name.endswith(".json")} - {
        "shard-00001-of-00001/shard.json"
    }
    again = work(pipeline, setting, tiny, output)
    assert len(again) == 4 - len(whole)
    assert len(whole) == max(number + after - 1, 0) // 2
    assert rows_of(output) == undisturbed
    assert work(pipeline, setting, tiny, output) == []


def test_what_was_done_is_counted(
    pipeline: Pipeline, setting: Setting, tiny: Path, output: Place
) -> None:
    parts = work(pipeline, setting, tiny, output)
    images, _ = images_in(Place.at(str(tiny)), recursive=True)
    totals = count_before(ShardFolder(output, Shard(1, 1), setting).begin(images))
    assert (totals.images, totals.skipped, totals.new) == (6, 7, 0)
    assert list(totals.failed) == ["bad.jpg"]
    assert sum(totals.detections.values()) == sum(
        count for part in parts for count in part.detections.values()
    )


def test_new_images_are_done_by_the_next_run(
    pipeline: Pipeline, setting: Setting, tiny: Path, output: Place, tmp_path: Path
) -> None:
    few = tmp_path / "photos"
    few.mkdir()
    content = (tiny / "empty.png").read_bytes()
    for name in "abc":
        (few / f"{name}.png").write_bytes(content)
    assert len(work(pipeline, setting, few, output)) == 2
    for name in ("aa", "d"):
        (few / f"{name}.png").write_bytes(content)
    (part,) = work(pipeline, setting, few, output)
    assert list(part.images) == ["aa.png", "d.png"]
    assert len(rows_of(output)) == 5


def test_an_image_that_is_gone_is_said(
    pipeline: Pipeline, setting: Setting, tiny: Path, output: Place, tmp_path: Path
) -> None:
    work(pipeline, setting, tiny, output)
    (tmp_path / "other.png").write_bytes((tiny / "empty.png").read_bytes())
    with pytest.raises(SppdetError, match=r"has the image .*not in the folder of images"):
        work(pipeline, setting, tmp_path, output)


def first(output: Place, suffix: str) -> str:
    return next(
        name for name in output.files(deep=True) if "part-" in name and name.endswith(suffix)
    )


@pytest.mark.parametrize(
    ("suffix", "content", "why"),
    [
        (".parquet", b"PAR1", r"\.parquet: is damaged \(it has 4 bytes, and was written with"),
        (".json", b"{", r"\.json: is damaged \("),
        (".json", b"[]", r"\.json: is damaged \("),
        (".json", b"{}", r"\.json: is damaged \("),
        (".json", b"\xff", r"\.json: is damaged \("),
    ],
)
def test_a_damaged_part_is_named_and_done_again_once_it_is_removed(
    suffix: str,
    content: bytes,
    why: str,
    pipeline: Pipeline,
    setting: Setting,
    tiny: Path,
    output: Place,
    undisturbed: list[dict[str, object]],
) -> None:
    work(pipeline, setting, tiny, output)
    name = first(output, suffix)
    output.write(name, content)
    with pytest.raises(SppdetError, match=why + ".*; remove it, and start shard 1/1 again"):
        work(pipeline, setting, tiny, output)
    output.remove(name)
    (part,) = work(pipeline, setting, tiny, output)
    assert name.startswith(part.name.removesuffix(".parquet"))
    assert rows_of(output) == undisturbed


def test_a_damaged_list_and_a_part_of_another_setting(
    pipeline: Pipeline, setting: Setting, tiny: Path, output: Place
) -> None:
    work(pipeline, setting, tiny, output)
    name = first(output, ".json")
    manifest = json.loads(output.read(name))
    output.write(name, json.dumps({**manifest, "setting": "0"}).encode())
    with pytest.raises(SppdetError, match="is of another setting than"):
        work(pipeline, setting, tiny, output)
    output.write("shard-00001-of-00001/shard.json", b"{}")
    with pytest.raises(SppdetError, match=r"shard\.json: is damaged"):
        work(pipeline, setting, tiny, output)
