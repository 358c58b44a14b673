"""Places that cannot be written: one clear line, exit code 2, and what was there stays.

The kernel itself refuses to write: files may not grow beyond a limit, as on a disk that is full.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.cli import main
from sppdet.datasets.scenes import write_scenes

resource = pytest.importorskip("resource")


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """In the block no file can be longer than ``limit`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_scenes(folder, 3, seed=5, size=(220, 160))
    return folder


COMMANDS = {
    "detect": "detect {photos} --model {model} --output {out}/found",
    "evaluate": "evaluate {photos} --model {model} --json {out}/ap.json --intervals 0",
    "report": "evaluate {photos} --model {model} --report {out}/report --intervals 0",
    "export": "evaluate {photos} --model {model} --export {out}/texts --export-format text",
    "data check": "data check {photos} --json {out}/c.json --contact-sheet {out}/sheet.png",
    "info": "info {model} --json {out}/info.json",
    "classify predict": "classify predict {image} --checkpoint {network} --json {out}/p.json",
}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from sppdet.classification.settings import ClassifySettings
    from sppdet.classification.training import Training

    file = tmp_path_factory.mktemp("network") / "last.safetensors"
    settings = ClassifySettings("small", sizes=(32,))
    Training(settings, ("cat", "dog"), torch.device("cpu")).save(file)
    return file


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_keeps_the_old_output(
    command: str,
    photos: Path,
    model_file: Path,
    network: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"photos": photos, "model": model_file, "out": tmp_path, "network": network}
    line = COMMANDS[command].format(image=next(photos.glob("*.jpg")), **places).split()
    assert call(*line) == 0
    before = content(tmp_path)
    assert before
    capsys.readouterr()
    with full_disk(40):
        assert call(*line) == 2
    said = capsys.readouterr().err
    lines = [one for one in said.splitlines() if one.startswith("error: ")]
    assert len(lines) == (0 if command == "detect" else 1)  # detect lists the images
    assert "cannot be written (File too large)" in said
    assert "Traceback" not in said
    assert content(tmp_path) == before


def test_convert_on_a_full_disk_leaves_nothing(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with full_disk(40):
        assert call("convert", photos, tmp_path / "set", "--to", "coco", "--copy") == 2
    said = capsys.readouterr().err
    assert f"error: {tmp_path / 'set'}" in said
    assert "sppdet-" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["detect", "evaluate"])
def test_a_cache_and_a_record_that_cannot_be_written_cost_time_only(
    command: str,
    photos: Path,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SPPDET_CACHE", str(tmp_path / "file" / "cache"))
    line = COMMANDS[command].format(photos=photos, model=model_file, out=tmp_path)
    assert call(*line.split()) == 0


def test_classify_train_on_a_full_disk_keeps_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            for number in range(4):
                image = Image.fromarray(rng.integers(0, 255, (20, 20, 3), np.uint8))
                image.save(tmp_path / "set" / part / name / f"{number}.png")
    line = ("classify", "train", tmp_path / "set", "--output", tmp_path / "run", "--batch", "4")
    assert call(*line, "--epochs", "1") == 0
    before = content(tmp_path / "run")
    with full_disk(2000):
        assert call(*line, "--epochs", "2") == 2
    assert "cannot be written (File too large)" in capsys.readouterr().err
    kept = ("last.safetensors", "best.safetensors", "history.json")
    after = content(tmp_path / "run")
    assert [after[name] == before[name] for name in kept] == [True] * 3
    assert call(*line, "--epochs", "2") == 0
