"""``sppdet explain``, and what ``sppdet train --keep-examples`` keeps."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from PIL import Image

from sppdet.cli import main
from sppdet.datasets import read_dataset
from sppdet.detector import Detector
from sppdet.errors import SppdetError
from sppdet.heads.kept import PER_CLASS
from sppdet.images import read_image
from sppdet.training.classes import merge_detectors, remove_classes, rename_class

pytestmark = pytest.mark.slow


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def model(keeping: Detector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keeping") / "fruit.safetensors"
    keeping.save(path)
    return path


@pytest.fixture(scope="module")
def photo(few_scenes: Path) -> Path:
    return sorted(few_scenes.glob("*.jpg"))[0]


def test_the_files_say_what_the_detector_says(
    model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("explain", model, photo, "-o", tmp_path / "why", "--threshold", 0.3, "--max", 3)
    assert call(*command) == 0
    content = json.loads((tmp_path / "why" / f"{photo.stem}.json").read_text())
    found = Detector.load(model, "cpu").detect(str(photo), 0.3)[:3]
    assert [one["label"] for one in content["explanations"]] == [one.label for one in found]
    for one, detection in zip(content["explanations"], found, strict=True):
        assert one["probability"] == pytest.approx(detection.score)
        assert one["box"] == pytest.approx(list(detection.box))
        assert [np.shape(grid) for grid in one["parts"]] == [(1, 1), (2, 2), (3, 3), (6, 6)]
        total = one["bias"] + sum(np.sum(grid) for grid in one["parts"])
        assert total == pytest.approx(one["score"], abs=1e-5)
        assert [other["positive"] for other in one["neighbours"]] == [True] * 3 + [False] * 3
    with Image.open(tmp_path / "why" / f"{photo.stem}.png") as picture:
        assert picture.size[0] > 1000
    said = capsys.readouterr()
    assert said.out.count("= bias") == len(found)
    assert "keep-examples" not in said.err
    assert call(*command, "--quiet") == 0  # its own files may be written over
    said = capsys.readouterr()
    assert said.out == said.err == ""


def test_a_given_box_and_a_model_that_keeps_nothing(
    keeping: Detector, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "plain.safetensors"
    Detector(
        keeping.extractor, keeping.scorer, keeping.classes, keeping.settings, keeping.regression
    ).save(plain)
    options = ("--box", "10,12.5,90,80", "--class", "apple", "-o", tmp_path)
    assert call("explain", plain, photo, *options) == 0
    (one,) = json.loads((tmp_path / f"{photo.stem}.json").read_text())["explanations"]
    assert (one["label"], one["box"], one["neighbours"]) == ("apple", [10, 12.5, 90, 80], [])
    assert "train it with --keep-examples" in capsys.readouterr().err


def test_nothing_found(
    model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("explain", model, photo, "-o", tmp_path, "--threshold", 1) == 0
    assert json.loads((tmp_path / f"{photo.stem}.json").read_text())["explanations"] == []
    assert "nothing is found; lower --threshold" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--box", "1,2,3,4"), "belong together"),
        (("--class", "apple"), "belong together"),
        (("--box", "1,2,3", "--class", "apple"), "give x1,y1,x2,y2"),
        (("--box", "9,2,3,nan", "--class", "apple"), "give x1,y1,x2,y2"),
        (("--box", "5000,0,6000,9", "--class", "apple"), "lies outside the image"),
        (("--box", "1,2,30,40", "--class", "unicorn"), "no class 'unicorn'"),
        (("--threshold", "2"), "give a number from 0 to 1"),
    ],
)
def test_a_wrong_option_is_one_line(
    options: tuple[str, ...],
    said: str,
    model: Path,
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("explain", model, photo, "-o", tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_files_of_others_stay(model: Path, photo: Path, tmp_path: Path) -> None:
    (tmp_path / f"{photo.stem}.png").write_bytes(b"mine")
    assert call("explain", model, photo, "-o", tmp_path) == 2
    assert (tmp_path / f"{photo.stem}.png").read_bytes() == b"mine"
    assert call("explain", model, tmp_path / "missing.jpg", "-o", tmp_path / "a") == 2
    assert call("explain", tmp_path / "missing", photo, "-o", tmp_path / "a") == 2
    assert call("explain", model, photo, "-o", photo) == 2


# ---------------------------------------------------------------- what training keeps


def test_what_is_kept(keeping: Detector, few_scenes: Path) -> None:
    kept, dataset = keeping.kept, read_dataset(few_scenes)
    assert kept is not None
    images = {path.name: number for number, path in enumerate(dataset.images)}
    for label in range(len(keeping.classes)):
        for positive in (True, False):
            rows = np.flatnonzero((kept.labels == label) & (kept.positive == positive))
            assert 5 < len(rows) <= PER_CLASS
            assert len({kept.images[row] for row in rows}) > 4
        assert not (kept.background & kept.positive).any()
    for row in range(0, len(kept), 11):
        image = read_image(dataset.images[images[kept.images[row]]])
        regions = keeping.extractor.prepare(image, kept.boxes[[row]])
        feature = regions.features(np.zeros(1, np.int64))[0]
        # Training sees maps that are rounded to half precision.
        torch.testing.assert_close(kept.features[row].float(), feature, rtol=2e-3, atol=2e-3)


def test_it_is_saved_and_an_older_file_loads(
    model: Path, keeping: Detector, tmp_path: Path
) -> None:
    again = Detector.load(model, "cpu").kept
    assert again is not None
    assert keeping.kept is not None
    assert again.images == keeping.kept.images
    for name, tensor in keeping.kept.tensors().items():
        assert torch.equal(again.tensors()[name], tensor)
    with safetensors.safe_open(str(model), "pt") as file:
        described = json.loads(file.metadata()["sppdet"])
    tensors = safetensors.torch.load_file(model)
    old = {name: one for name, one in tensors.items() if not name.startswith("kept.")}
    del described["kept"]
    safetensors.torch.save_file(old, tmp_path / "old", {"sppdet": json.dumps(described)})
    assert Detector.load(tmp_path / "old", "cpu").kept is None
    del tensors["kept.labels"]
    described["kept"] = list(again.images)
    safetensors.torch.save_file(tensors, tmp_path / "bad", {"sppdet": json.dumps(described)})
    with pytest.raises(SppdetError, match="is damaged") as caught:
        Detector.load(tmp_path / "bad", "cpu")
    assert "\n" not in str(caught.value)


def test_other_classes_take_their_examples_along(keeping: Detector) -> None:
    first, *others = keeping.classes
    part, rest = remove_classes(keeping, others), remove_classes(keeping, [first])
    assert part.kept is not None
    assert rest.kept is not None
    assert set(part.kept.labels) == {0}
    assert len(part.kept) + len(rest.kept) == len(keeping.kept or ())
    assert rename_class(part, first, "pear").kept is part.kept
    whole = merge_detectors(part, rest)
    assert whole.kept is not None
    assert whole.classes == keeping.classes
    for label in range(len(keeping.classes)):
        own = whole.kept.of_classes([label])
        before = (keeping.kept or own).of_classes([label])
        assert own.images == before.images
        assert torch.equal(own.features, before.features)


@pytest.mark.parametrize("options", [("--method", "rcnn"), ("--heads", "connected")])
def test_only_svms_on_windows_keep_examples(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "m.safetensors"
    assert call("train", tmp_path, "-o", output, "--keep-examples", *options) == 2
    assert capsys.readouterr().err.startswith("error: --keep-examples: belongs to --method spp")
