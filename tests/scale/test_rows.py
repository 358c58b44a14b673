from pathlib import Path

import numpy as np
import pytest

from sppdet.detections import Detections
from sppdet.errors import SppdetError
from sppdet.pipeline.stream import Pipeline
from sppdet.scale import packages
from sppdet.scale.rows import Record, detect_one, from_bytes, schema, table_of, to_bytes
from sppdet.scale.setting import Setting, difference

CLASSES = ("apple", "pear")
TWO = Detections(
    np.array([[0, 0, 5, 5.25], [2, 2, 8, 9]]), np.array([1, 0]), [0.5, 0.75], CLASSES, size=(9, 10)
)
NONE = TWO[:0]


def test_a_row_per_detection_and_one_for_an_image_without_or_with_an_error() -> None:
    records = [
        Record("a.jpg", TWO, 0.5),
        Record("b.jpg", NONE, 0.25),
        Record("c.jpg", None, 0.125, "is damaged"),
    ]
    rows = from_bytes(to_bytes(table_of(records, "m"))).to_pylist()
    assert [row["image"] for row in rows] == ["a.jpg", "a.jpg", "b.jpg", "c.jpg"]
    assert rows[0] == {
        "image": "a.jpg",
        "width": 9,
        "height": 10,
        "label": "apple",
        "score": 0.75,
        "box": [2, 2, 8, 9],
        "seconds": 0.5,
        "model": "m",
        "error": None,
    }
    assert rows[1]["box"] == [0, 0, 5, 5.25]
    nothing = {"label": None, "score": None, "box": None}
    assert rows[2] == {**rows[0], **nothing, "image": "b.jpg", "seconds": 0.25}
    assert rows[3] == {
        **dict.fromkeys(schema().names),
        "image": "c.jpg",
        "seconds": 0.125,
        "model": "m",
        "error": "is damaged",
    }


def test_what_is_no_parquet_file_of_detections_is_refused() -> None:
    with pytest.raises(ValueError, match="not a parquet file"):
        from_bytes(b"PAR1 and more")
    with pytest.raises(ValueError, match="columns"):
        from_bytes(to_bytes(table_of([], "m").select(["image", "box"])))


def test_one_image_is_what_the_detector_finds(
    pipeline: Pipeline, setting: Setting, photos: Path
) -> None:
    path = photos / "scene_0000.jpg"
    wanted = pipeline.detector.detect(path, {})
    assert len(wanted) > 1
    record = detect_one(pipeline, setting, "scene_0000.jpg", path.read_bytes)
    assert (record.found, record.error) == (wanted, None)
    assert record.seconds > 0
    label = wanted[0].label
    less = Setting(setting.model, setting.classes, setting.thresholds, (label,), 1)
    record = detect_one(pipeline, less, "scene_0000.jpg", path.read_bytes)
    assert record.found == wanted.filter(classes=label)[:1]


def test_the_errors_of_an_image_are_in_its_record(pipeline: Pipeline, setting: Setting) -> None:
    def missing() -> bytes:
        raise SppdetError("photos/b.jpg: cannot be read (no such file)")

    record = detect_one(pipeline, setting, "b.jpg", missing)
    assert (record.found, record.error) == (None, "cannot be read (no such file)")
    record = detect_one(pipeline, setting, "b.jpg", lambda: b"no image")
    assert record.error is not None
    assert record.error.startswith("is not an image")


def test_how_settings_differ() -> None:
    one = Setting("0" * 64, CLASSES, {"apple": 0.5, "pear": 0.5})
    again = Setting("0" * 64, ("apple", "pear"), {"pear": 0.5, "apple": 0.5})
    assert difference(one.to_json(), again.to_json()) is None
    assert one.digest == again.digest
    other = Setting("1" * 64, CLASSES, {"apple": 0.5, "pear": 0.5})
    assert difference(one.to_json(), other.to_json()) == "model 000000000000, not 111111111111"
    fewer = Setting("0" * 64, CLASSES, {"apple": 0.5, "pear": 0.5}, None, 5)
    assert difference(one.to_json(), fewer.to_json()) == "--max 100, not 5"
    assert one.digest != fewer.digest


def test_a_missing_package_gives_one_line_with_the_remedy() -> None:
    with pytest.raises(SppdetError, match=r"^x: needs the package nopackage; pip install 'sppdet"):
        packages.needed("nopackage.core", "x")
