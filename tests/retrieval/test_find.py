"""``sppdet find``: more like one example, ranked."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sppdet.boxes import iou
from sppdet.cli import main
from sppdet.datasets import Dataset, read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.errors import SppdetError
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.kept import KeptExamples
from sppdet.images import read_image
from sppdet.proposals import propose
from sppdet.retrieval import ExemplarSettings, find_like
from sppdet.settings import DetectorSettings, SppSettings
from sppdet.trunks import load_trunk

SEARCH = DetectorSettings(max_boxes=150)


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Eight scenes; the searches are kept for the whole module."""
    folder = tmp_path_factory.mktemp("photos")
    write_scenes(folder, 8, seed=5, size=(200, 150))
    return read_dataset(folder)


@pytest.fixture(scope="module")
def extractor() -> SppRegionFeatures:
    return SppRegionFeatures(load_trunk("small"), SppSettings((200,)))


def an_object(photos: Dataset, index: int = 0) -> np.ndarray:
    return photos.annotations(index).boxes[0]


def test_the_example_itself_ranks_first(photos: Dataset, extractor: SppRegionFeatures) -> None:
    """Where its photograph is searched under another name."""
    example, box = photos.images[0], an_object(photos)
    other = example.with_name("copy.jpg.png")
    Image.open(example).save(other)
    images = [*photos.images[1:], other]
    result = find_like(extractor, example, box, images, search=SEARCH, per_image=2)
    other.unlink()
    first = result.found[0]
    assert first.image == other
    assert iou(np.float32([first.box]), box[None])[0, 0] > 0.5
    scores = [one.score for one in result.found]
    assert scores == sorted(scores, reverse=True)
    for path in images:
        boxes = np.float32([one.box for one in result.found if one.image == path])
        assert len(boxes) <= 2
        overlap = iou(boxes, boxes)
        assert (overlap[~np.eye(len(boxes), dtype=bool)] <= SEARCH.selection.nms_iou).all()
    again = find_like(extractor, example, box, images[:-1], search=SEARCH, per_image=2)
    same = find_like(extractor, example, box, images[:-1], search=SEARCH, per_image=2)
    assert again == same
    assert again.failures == []


def test_the_example_is_left_out_of_its_own_photograph(
    photos: Dataset, extractor: SppRegionFeatures
) -> None:
    example, box = photos.images[0], an_object(photos)
    result = find_like(extractor, example, box, photos.images[:3], search=SEARCH, per_image=50)
    own = np.float32([one.box for one in result.found if one.image == example])
    assert len(own)
    assert iou(own, box[None]).max() <= SEARCH.selection.nms_iou


def test_the_negatives_of_a_model(photos: Dataset, extractor: SppRegionFeatures) -> None:
    """Of the kept examples those of the background, and no photograph is sampled."""
    kept = replace(
        KeptExamples.none(extractor.dimension),
        features=torch.rand(5, extractor.dimension).half(),
        positive=np.array([True, False, False, False, False]),
        background=np.array([False, True, True, True, False]),
    )
    stages: list[str] = []
    result = find_like(
        extractor,
        photos.images[0],
        an_object(photos),
        photos.images[1:3],
        search=SEARCH,
        kept=kept,
        settings=ExemplarSettings(from_example=7),
        progress=lambda stage, *_: stages.append(stage),
    )
    assert result.negatives == 7 + 3
    assert set(stages) == {"searching"}


def test_files_and_exit_codes(
    photos: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = photos.images[0].parent, tmp_path / "out"
    box = ",".join(f"{value:.1f}" for value in an_object(photos))
    options = ("--box", box, "-o", out, "--trunk", "small", "--boxes", 150)
    command = ("find", photos.images[0], folder, *options)
    assert call(*command, "--max", 5) == 0
    content = json.loads((out / "found.json").read_text())
    assert [row["rank"] for row in content["regions"]] == [1, 2, 3, 4, 5]
    assert (content["trunk"], content["images"], content["failed"]) == ("small", 8, [])
    with (out / "found.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [row["image"] for row in content["regions"]]
    assert float(rows[0]["score"]) == content["regions"][0]["score"]
    assert [float(rows[0][key]) for key in ("x1", "y1", "x2", "y2")] == content["regions"][0]["box"]
    with Image.open(out / "found.png") as sheet:
        assert sheet.size[0] > 6 * 150
    assert "5 regions of 8 images" in capsys.readouterr().err
    broken = tmp_path / "broken.jpg"
    broken.write_text("no image")
    assert call("find", photos.images[0], photos.images[1], broken, *options, "--quiet") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "broken.jpg" in said.err
    assert json.loads((out / "found.json").read_text())["failed"]
    assert call("find", photos.images[0], broken, *options) == 2
    (out / "found.csv").write_text("mine")
    assert call(*command) == 2
    assert (out / "found.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--box 1,2,3", "give x1,y1,x2,y2"),
        ("--box 30,2,3,40", "give x1,y1,x2,y2"),
        ("--box 900,900,950,950", "lies outside the image"),
        ("--box 1,2,30,40 --trunk nonsense", "nonsense"),
        ("--box 1,2,30,40 --trunk small --model m", "leave out --trunk or --model"),
        ("--box 1,2,30,40 --model missing", "no such model"),
    ],
)
def test_a_wrong_option_is_one_line(
    options: str, said: str, photos: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("find", photos.images[0], photos.images[1], "-o", tmp_path / "o", *options.split())
    trunk = () if "--trunk" in options or "--model" in options else ("--trunk", "small")
    assert call(*words, *trunk) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert said in error
    assert not (tmp_path / "o").exists() or os.listdir(tmp_path / "o") == []


def test_no_readable_photograph(
    photos: Dataset, extractor: SppRegionFeatures, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_text("no image")
    with pytest.raises(SppdetError, match=r"broken\.jpg"):
        find_like(extractor, photos.images[0], an_object(photos), [broken], search=SEARCH)
    with pytest.raises(ValueError, match="give x1"):
        find_like(extractor, photos.images[0], [1, 2, 3], [broken], search=SEARCH)


@pytest.mark.slow
def test_apples_among_the_first_twenty(shared_data: Path) -> None:
    """Fruit: 0.35 of the first 20 regions are apples; of random regions 0.02 are."""
    dataset = read_dataset(shared_data / "fruit", "test")
    images, apple = list(dataset.images), dataset.classes.index("apple")
    truths = {path: dataset.annotations(k) for k, path in enumerate(images)}
    example = next(path for path in images if path.name == "apple_79.jpg")
    own = truths[example].boxes[truths[example].labels == apple][0]
    searched = [path for k, path in enumerate(images) if k % 3 < 2]
    assert example not in searched
    trunk = SppRegionFeatures.of(load_trunk("small"))
    result = find_like(trunk, example, own, searched, search=DetectorSettings(max_boxes=400))

    def is_apple(image: Path, box: tuple[float, float, float, float]) -> bool:
        boxes = truths[image].boxes[truths[image].labels == apple]
        return bool((iou(np.float32([box]), boxes) >= 0.5).any())

    hits = [is_apple(one.image, one.box) for one in result.found]
    proposals = [propose(read_image(path), max_boxes=400) for path in searched[::4]]
    chance = np.mean(
        [
            is_apple(path, tuple(box))
            for path, boxes in zip(searched[::4], proposals, strict=True)
            for box in boxes.tolist()
        ]
    )
    assert np.mean(hits[:20]) >= 0.2 > 4 * chance
