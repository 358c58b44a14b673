"""The rows of parquet files: see docs/scale.md."""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sppdet.detections import Detections
from sppdet.errors import SppdetError
from sppdet.images import read_image
from sppdet.pipeline.stream import Pipeline
from sppdet.scale.packages import needed
from sppdet.scale.setting import Setting

PURPOSE = "--save parquet"


@dataclass(frozen=True)
class Record:
    """What came of one image.

    Attributes:
        image: its path from the folder.
        found: what was found; None where it failed.
        seconds: of reading, decoding and detection.
        error: why it failed; None where it did not.
    """

    image: str
    found: Detections | None
    seconds: float
    error: str | None = None


def detect_one(
    pipeline: Pipeline, setting: Setting, image: str, read: Callable[[], bytes]
) -> Record:
    """One image, from its bytes to its record; its errors are part of the record.

    Args:
        pipeline: of the detector.
        setting: which detections are wanted.
        image: its name.
        read: gives its bytes, or raises SppdetError.
    """
    start = time.perf_counter()
    try:
        found = pipeline.detect(read_image(read()), setting.thresholds)
    except SppdetError as error:
        why = str(error).partition(": ")[2] or str(error)  # without the name of the image
        return Record(image, None, time.perf_counter() - start, why)
    if setting.wanted is not None:
        found = found.filter(classes=setting.wanted)
    return Record(image, found[: setting.most], time.perf_counter() - start)


def schema() -> Any:
    """The Arrow schema of every file."""
    pa = needed("pyarrow", PURPOSE)
    return pa.schema(
        [
            pa.field("image", pa.string(), nullable=False),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("label", pa.string()),
            pa.field("score", pa.float32()),
            pa.field("box", pa.list_(pa.float32(), 4)),
            pa.field("seconds", pa.float32(), nullable=False),
            pa.field("model", pa.string(), nullable=False),
            pa.field("error", pa.string()),
        ]
    )


def table_of(records: Sequence[Record], model: str) -> Any:
    """The rows of records as an Arrow table: one row per detection, best score first, and one row
    without label, score and box for an image without detections."""
    pa = needed("pyarrow", PURPOSE)
    rows = [row for record in records for row in _rows(record, model)]
    return pa.Table.from_pylist(rows, schema=schema())


def _rows(record: Record, model: str) -> list[dict[str, Any]]:
    found = record.found
    width, height = (found.size if found is not None else None) or (None, None)
    common = {
        "image": record.image,
        "width": width,
        "height": height,
        "seconds": record.seconds,
        "model": model,
        "error": record.error,
    }
    if found is None or not len(found):
        return [common]
    boxes = found.boxes.tolist()
    return [
        {**common, "label": one.label, "score": one.score, "box": box}
        for one, box in zip(found, boxes, strict=True)
    ]


def to_bytes(table: Any) -> bytes:
    """A table as the content of a parquet file."""
    parquet = needed("pyarrow.parquet", PURPOSE)
    content = io.BytesIO()
    parquet.write_table(table, content, compression="zstd")
    return content.getvalue()


def from_bytes(content: bytes) -> Any:
    """The table in the content of a parquet file.

    Raises:
        ValueError: the content is something else, or has another schema.
    """
    pa = needed("pyarrow", PURPOSE)
    parquet = needed("pyarrow.parquet", PURPOSE)
    try:
        table = parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it is not a parquet file: {error}") from None
    if not table.schema.equals(schema()):
        raise ValueError("its columns are others than those of --save parquet")
    return table
