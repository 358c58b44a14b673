"""A folder of rendered scenes without labels, with their truths, and the routes on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.serving.ahead import Ahead
from sppdet.serving.answers import make_app
from sppdet.serving.folder import PhotoFolder
from sppdet.serving.label_app import LabelApp
from sppdet.serving.prepared import PreparedPhotos
from sppdet.serving.security import Guard
from sppdet.serving.session import Session
from sppdet.serving.trainer import Trainer

ADDRESS = "http://127.0.0.1:8377"


@dataclass(frozen=True)
class Unlabelled:
    """Attributes:
    folder: photographs without labels.
    truths: the objects of each, by the photograph's name, as the page sends them.
    classes: their names.
    """

    folder: Path
    truths: dict[str, list[dict[str, Any]]]
    classes: list[str]


def unlabelled(folder: Path, count: int) -> Unlabelled:
    """Render ``count`` scenes, and take their labels away."""
    write_scenes(folder, count, seed=3, size=(320, 240))
    dataset = read_dataset(folder)
    truths = {}
    for index, image in enumerate(dataset.images):
        entry = dataset.annotations(index)
        truths[image.name] = [
            {"label": dataset.classes[label], "box": box, "difficult": False}
            for box, label in zip(entry.boxes.tolist(), entry.labels, strict=True)
        ]
        image.with_suffix(".xml").unlink()
    return Unlabelled(folder, truths, list(dataset.classes))


@pytest.fixture
def scenes12(tmp_path: Path) -> Unlabelled:
    """Twelve scenes without labels."""
    return unlabelled(tmp_path / "photos", 12)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> PreparedPhotos:
    """Prepares photographs with the trunk that is quick."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SPPDET_CACHE", str(tmp_path_factory.getbasetemp() / "sppdet-cache"))
    try:
        return PreparedPhotos("small")
    finally:
        patch.undo()


@dataclass
class Running:
    """The parts of a labelling server in this process, and a client of its routes."""

    client: TestClient
    session: Session
    ahead: Ahead
    trainer: Trainer

    def put(self, index: int, objects: list[dict[str, Any]], **more: Any) -> Any:
        """Save the labels of a photograph, on its present revision."""
        revision = self.client.get(f"/api/photos/{index}").json()["revision"]
        content = {"revision": revision, "objects": objects, "background": False, **more}
        return self.client.put(f"/api/photos/{index}", json=content)


@pytest.fixture
def running(scenes12: Unlabelled, photos: PreparedPhotos) -> Iterator[Running]:
    """The routes on twelve scenes; the training is not started."""
    session = Session(PhotoFolder(scenes12.folder))
    ahead = Ahead(session.folder.images, photos)
    trainer = Trainer(session, photos, ahead)
    session.on_change = trainer.change
    app = make_app(LabelApp(session, photos, ahead, trainer).routes())
    client = TestClient(Guard(app, "127.0.0.1", None, 10_000_000), base_url=ADDRESS)
    yield Running(client, session, ahead, trainer)
    ahead.stop()
    trainer.stop()
