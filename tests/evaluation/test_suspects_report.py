import base64
import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.datasets import Dataset, read_dataset
from sppdet.evaluation.suspects import BAD_FIT, MISSING, SPURIOUS, Place, Suspect
from sppdet.evaluation.suspects_report import FILES, summary, write_suspects
from sppdet.runtime.outputs import made_by_sppdet


@pytest.fixture
def dataset(make_folder) -> Dataset:
    return read_dataset(make_folder({"a": [("<b>dog</b>", 11, 11, 50, 50)], "b": []}))


@pytest.fixture
def suspects(dataset: Dataset) -> list[Suspect]:
    label = Place(0, dataset.annotations(0).boxes[0])
    found = Place(0, np.array([30, 10, 70, 50], np.float32))
    return [
        Suspect(0, BAD_FIT, 0.9, 0, label, found, 0.95),
        Suspect(1, MISSING, 0.5, None, None, found, 0.5),
        Suspect(0, SPURIOUS, 0.25, 0, label, None, 0.0),
    ]


def test_the_page_needs_nothing_else_and_escapes_names(
    dataset: Dataset, suspects: list[Suspect], tmp_path: Path
) -> None:
    page = write_suspects(tmp_path / "out", dataset, suspects, 100)
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "<b>dog</b>" not in text
    assert "labelled &lt;b&gt;dog&lt;/b&gt;, found &lt;b&gt;dog&lt;/b&gt; 0.95; a.png" in text
    pictures = re.findall(r"data:image/jpeg;base64,([^\"]+)", text)
    assert len(pictures) == 3
    for one in pictures:
        Image.open(io.BytesIO(base64.b64decode(one))).load()
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == sorted(FILES)
    assert all(made_by_sppdet(tmp_path / "out" / name) for name in FILES)


def test_the_page_shows_as_many_as_wanted_and_says_how_many_are_left(
    dataset: Dataset, suspects: list[Suspect], tmp_path: Path
) -> None:
    text = write_suspects(tmp_path, dataset, suspects, 1).read_text(encoding="utf-8")
    assert text.count("data:image/jpeg") == 1
    assert "2 more are in suspects.csv and suspects.json" in text


def test_an_image_that_is_gone_has_no_picture(
    dataset: Dataset, suspects: list[Suspect], tmp_path: Path
) -> None:
    dataset.images[0].unlink()
    text = write_suspects(tmp_path / "out", dataset, suspects, 100).read_text(encoding="utf-8")
    assert text.count("data:image/jpeg") == 1


def test_csv_and_json_say_the_same(
    dataset: Dataset, suspects: list[Suspect], tmp_path: Path
) -> None:
    write_suspects(tmp_path, dataset, suspects, 0)
    content = json.loads((tmp_path / "suspects.json").read_bytes())
    assert content["labels"] == 1
    assert content["kinds"] == {
        "missing box": 1,
        "wrong class": 0,
        "bad fit": 1,
        "spurious label": 1,
    }
    rows = list(csv.DictReader((tmp_path / "suspects.csv").open(encoding="utf-8", newline="")))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    for row, one in zip(rows, content["suspects"], strict=True):
        assert (row["image"], row["kind"]) == (one["image"], one["kind"])
        assert float(row["doubt"]) == one["doubt"]
        for side in ("label", "found"):
            box = [row[f"{side}_{corner}"] for corner in ("x1", "y1", "x2", "y2")]
            if one[side] is None:
                assert {row[side], *box} == {""}
            else:
                assert row[side] == one[side]["class"]
                assert list(map(float, box)) == one[side]["box"]
    assert rows[0]["number"] == "0"
    assert rows[1]["probability"] == "0.5"


def test_the_summary_counts(dataset: Dataset, suspects: list[Suspect]) -> None:
    assert summary(dataset, suspects) == (
        "1 label in 2 images, 3 suspects (1 missing box, 0 wrong classes, 1 bad fit, "
        "1 spurious label)"
    )
