"""Small photographs, and a detector that is loaded once."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from sppdet.cli import main
from sppdet.cli.detect import shipped_model
from sppdet.datasets.scenes import write_scenes
from sppdet.detector import Detector
from sppdet.pipeline.stream import Pipeline
from sppdet.scale.places import Place, images_in
from sppdet.scale.rows import Record, detect_one
from sppdet.scale.setting import Setting

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five scenes, one of them in a folder of its own, an image without objects, and a file that
    is no image."""
    folder = tmp_path_factory.mktemp("scale") / "photos"
    write_scenes(folder, 5, seed=0, size=(160, 120))
    for path in folder.glob("*.xml"):
        path.unlink()
    (folder / "more").mkdir()
    (folder / "scene_0004.jpg").rename(folder / "more" / "scene_0004.jpg")
    Image.new("RGB", (64, 48), "grey").save(folder / "empty.png")
    (folder / "bad.jpg").write_bytes(b"no image")
    (folder / ".hidden.jpg").write_bytes(b"no image")
    (folder / "clip.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="session")
def tiny(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, so small that a detection takes a few milliseconds."""
    folder = tmp_path_factory.mktemp("scale") / "tiny"
    shutil.copytree(photos, folder)
    for path in folder.rglob("scene_*.jpg"):
        Image.open(path).resize((40, 30)).save(path)
    return folder


@pytest.fixture(scope="session")
def records(photos: Path, pipeline: Pipeline, setting: Setting) -> dict[str, Record]:
    """What comes of each photograph."""
    place = Place.at(str(photos))
    images, _ = images_in(place, recursive=True)
    return {
        image: detect_one(pipeline, setting, image, partial(place.read, name))
        for image, name in images.items()
    }


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    with Pipeline(Detector.load(shipped_model(), "cpu"), 1) as running:
        yield running


@pytest.fixture(scope="session")
def setting(pipeline: Pipeline) -> Setting:
    detector = pipeline.detector
    own = dict(zip(detector.classes, map(float, detector.thresholds), strict=True))
    return Setting("0" * 64, detector.classes, own)


@pytest.fixture(params=["local", "memory"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A new folder on each kind of file system."""
    if request.param == "local":
        return Place.at(str(tmp_path / "found"))
    return Place.at(f"memory://{uuid.uuid4().hex}/found")


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a command; gives its exit code and what it printed."""

    def call(*words: object) -> tuple[int, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        told = capfd.readouterr()
        return int(stop.value.code or 0), told.out + told.err

    return call


@pytest.fixture(scope="module")
def two_workers() -> Iterator[None]:
    """A local Ray of two cores."""
    ray = pytest.importorskip("ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    ray.init(num_cpus=2, num_gpus=0, object_store_memory=100 << 20, **options)
    yield
    ray.shutdown()
