"""``--levels``, ``--pooling``, ``--window-mapping`` and ``--preset``."""

import hashlib
import json
from pathlib import Path

import pytest

from sppdet.cli import run
from sppdet.datasets.scenes import write_scenes
from sppdet.detector import Detector

pytestmark = pytest.mark.slow

QUICK = ("--trunk", "small", "--scales", "96", "--boxes", "200", "--no-mirror")


def command(name: str, *arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        run(name, [str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    write_scenes(folder, 5, seed=7, size=(160, 120))
    return folder


@pytest.fixture(scope="module")
def model(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    chosen = ("--levels", "1,2", "--pooling", "average", "--window-mapping", "code")
    assert command("train", few, "--output", path, "--proposals", "fast", *chosen, *QUICK) == 0
    return path


def test_training_stores_them(model: Path) -> None:
    seen = Detector.load(model, "cpu").extractor.to_json()
    assert (seen["levels"], seen["pooling"], seen["mapping"]) == ((1, 2), "average", "code")


def test_the_mapping_can_be_another_one_without_training(
    model: Path, few: Path, tmp_path: Path
) -> None:
    figures = {}
    for mapping in ("code", "nearest"):
        file = tmp_path / f"{mapping}.json"
        options = ("--model", model, "--window-mapping", mapping, "--json", file)
        assert command("evaluate", few, *options, "--intervals", "0") == 0
        figures[mapping] = json.loads(file.read_text())
        assert figures[mapping]["about"]["model"]["features"]["mapping"] == mapping
        assert figures[mapping]["about"]["model"]["features"]["pooling"] == "average"
    plain = tmp_path / "plain.json"
    assert command("evaluate", few, "--model", model, "--json", plain, "--intervals", "0") == 0
    assert json.loads(plain.read_text())["map_area"] == figures["code"]["map_area"]
    image = next(few.glob("*.jpg"))
    same = ("--levels", "1,2", "--pooling", "average", "--window-mapping", "paper")
    assert command("detect", image, "--model", model, "-o", tmp_path / "found", *same) == 0


def test_a_model_takes_proposals_from_a_file(
    model: Path, few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes, file = tmp_path / "boxes.npz", tmp_path / "f.json"
    maps = []
    for number in ("200", "3"):
        assert command("propose", few, "--boxes", number, "-o", boxes) == 0
        options = ("--model", model, "--proposals", boxes, "--json", file, "--intervals", "0")
        assert command("evaluate", few, *options) == 0
        content = json.loads(file.read_text())
        assert content["about"]["proposals_file"] == "boxes.npz"
        maps.append(content["map_area"])
    plain = ("--model", model, "--json", file, "--intervals", "0")
    assert command("evaluate", few, *plain) == 0
    assert json.loads(file.read_text())["map_area"] == pytest.approx(maps[0])
    assert maps[1] < maps[0]
    assert command("evaluate", few, "--proposals", boxes) == 2
    assert "a file belongs to --model" in capsys.readouterr().err


def test_two_models_are_compared(
    model: Path, few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, file = tmp_path / "other.safetensors", tmp_path / "c.json"
    options = ("--proposals", "fast", *QUICK, "--seed", "4")
    assert command("train", few, "--output", other, *options) == 0
    words = ("--model", model, "--compare", other, "--json", file, "--intervals", "50")
    assert command("evaluate", few, *words) == 0
    content = json.loads(file.read_text())
    comparison, about = content["comparison"], content["about"]["model"]
    assert about["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert (about["seed"], comparison["b"]["model"]["seed"]) == (0, 4)
    assert about["settings"]["max_boxes"] == 200
    features = comparison["b"]["model"]["features"]
    assert (features["levels"], features["pooling"]) == ([1, 2, 3, 6], "max")
    assert features["mapping"] == "paper"
    for name, change in comparison["classes"].items():
        ours = content["classes"][name]["ap_area"]
        theirs = comparison["b"]["classes"][name]["ap_area"]
        assert change["difference"] == pytest.approx(theirs - ours)
    assert "B - A" in capsys.readouterr().out
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no model")
    for line, words in (
        ("broken.safetensors", ("evaluate", few, "--model", model, "--compare", broken)),
        ("broken.safetensors", ("ensemble", model, broken, "--data", few)),
    ):
        assert command(*words) == 2
        said = capsys.readouterr().err
        assert line in said
        assert len(said.splitlines()) == 1  # before anything else is done
    assert command("ensemble", model, model, "--data", few, "--intervals", "5") == 0
    assert f"{model.name} is the same model as " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["detect", "evaluate"])
@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--levels", "1,2,4"), "--levels 1,2,4: the model's heads have one weight for each bin"),
        (("--levels", "1,2,2"), "--levels 1,2,2: give each number once: --levels 1,2"),
        (("--pooling", "max"), "--pooling max: the model's heads have learned from average"),
    ],
)
def test_what_needs_training_is_refused(
    name: str,
    options: tuple[str, str],
    line: str,
    model: Path,
    few: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inputs = (few,) if name == "evaluate" else (next(few.glob("*.jpg")), "-o", tmp_path / "found")
    assert command(name, *inputs, "--model", model, *options) == 2
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--levels", "1,65"), "--levels 1,65: give at most 64 bins a side"),
        (("--levels", "0"), "--levels 0: give whole numbers with commas, such as 1,2,4"),
        (("--levels", "1,2,2"), "--levels 1,2,2: give each number once: --levels 1,2"),
        (("--scales", "96,96"), "--scales 96,96: give each number once: --scales 96"),
        (("--round-views", "9", "--heads", "connected"), "--round-views: belongs to SVMs"),
        (("--disk", "inf"), "'--disk'"),
        (
            ("--levels", "1,2", "--trunk", "alexnet", "--layer", "pool5"),
            "belongs to --layer pyramid",
        ),
        (("--trunk", "alexnet", "--layer", "fc6", "--pooling", "average"), "trained on maxima"),
        (
            ("--method", "rcnn", "--window-mapping", "code"),
            "--window-mapping code: belongs to SPP-net; R-CNN crops boxes from the image and has "
            "no windows on a map. Leave it out, or give --method spp",
        ),
        (
            ("--method", "rcnn", "--preset", "paper", "--window-mapping", "code"),
            "--window-mapping code: belongs to SPP-net",
        ),
        (("--method", "rcnn", "--longest-side", "900"), "--longest-side 900: belongs to SPP-net"),
        (("--crop", "tight"), "--crop tight: belongs to R-CNN; SPP-net has windows on a map"),
    ],
)
def test_contradictions_are_one_line(
    options: tuple[str, ...],
    line: str,
    few: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rest = ("--proposals", "fast", "--boxes", "200", "--weights", "random")
    if not {"rcnn", "--scales"} & set(options):
        rest += ("--scales", "96")
    assert command("train", few, "-o", tmp_path / "m", *rest, *options) == 2
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--levels", "1,7,9", "--scales", "128,96"), ("1,7,9", "an image of 96 px", 6, "7, 9")),
        (("--levels", "6,1", "--scales", "96"), None),
        (("--levels", "1,5", "--method", "rcnn"), ("1,5", "a crop of 64 px", 4, "5")),
        (("--method", "rcnn"), None),
    ],
)
def test_levels_with_more_bins_than_cells_are_told(
    options: tuple[str, ...],
    said: tuple[str, str, int, str] | None,
    few: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    quick = ("--trunk", "small", "--proposals", "fast", "--boxes", "50", "--no-mirror")
    assert command("train", few, "--output", tmp_path / "m.safetensors", *quick, *options) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "note: --levels" in line]
    if said is None:
        assert not notes
    else:
        given, what, cells, larger = said
        assert notes == [
            f"note: --levels {given}: the map of {what} has {cells} cells on its short side, so "
            f"that bins of level {larger} repeat cells"
        ]


@pytest.mark.parametrize("method", ["spp", "rcnn"])
def test_the_preset_of_the_papers(
    method: str, few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.safetensors"
    options = ("--preset", "paper", "--method", method, "--trunk", "small", "--boxes", "100")
    small = ("--scales", "96,120") if method == "spp" else ()
    assert command("train", few, "--output", path, *options, *small) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "preset paper: --proposals fast, --boxes 100" in said
    assert "--positive-iou 1.0" in said
    assert "--no-mirror, --no-box-voting, --no-lower-groups" in said
    assert "--levels 1,2,3,6" in said
    assert ("--crop warp" in said) == (method == "rcnn")
    detector = Detector.load(path, "cpu")
    settings = detector.card["settings"]
    assert not settings["mirror"]
    assert settings["mining"]["positive_iou"] == 1
    assert settings["mining"]["retrain_after"] == 2000
    wanted = (0.5, 4000) if method == "spp" else (0.6, 1000)
    assert (settings["regression"]["minimum_iou"], settings["regression"]["ridge"]) == wanted
    assert detector.settings.selection.voter_iou == 1
    assert detector.settings.selection.group_penalty == 0
    assert settings["lower_groups"] is False
    assert detector.settings.selection.max_candidates == 2000
    assert detector.settings.max_boxes == 100
    if method == "spp":
        assert detector.extractor.to_json()["longest_side"] == 20_000
        assert "--scales 96,120" in said
