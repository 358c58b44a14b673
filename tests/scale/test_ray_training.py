"""Training with Ray on this machine, with two workers, against the training in one process."""

import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("ray")

import ray

from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.errors import SppdetError, SppdetWarning
from sppdet.features.spp import SppRegionFeatures
from sppdet.heads.layers import Layers
from sppdet.scale.ray_cluster import Engine
from sppdet.scale.ray_training import RayWorkers, ray_workers
from sppdet.settings import DetectorSettings, MiningSettings, SppSettings, TrainSettings
from sppdet.training.images import TrainingImages, views_of
from sppdet.training.train import train
from sppdet.trunks import load_trunk

Command = Callable[..., tuple[int, str]]

SETTINGS = TrainSettings(
    mining=MiningSettings(round_views=4), detector=DetectorSettings(max_boxes=200)
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve scenes, of which one cannot be read."""
    folder = tmp_path_factory.mktemp("training") / "scenes"
    write_scenes(folder, 12, seed=4, size=(160, 120))
    (folder / "scene_0003.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def extractor() -> SppRegionFeatures:
    return SppRegionFeatures(load_trunk("small"), SppSettings((120,)))


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache of this process and of the workers, which have the variables of the process that
    starts Ray."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPPDET_CACHE", str(folder))
        yield folder


def workers_of(*, count: int = 2) -> Any:
    return ray_workers(Engine(workers=count))


@pytest.mark.usefixtures("two_workers")
def test_the_detector_is_that_of_one_process(
    scenes: Path, tmp_path: Path, command: Command
) -> None:
    """Bit for bit, and the failures are told alike."""
    told, files = [], []
    for name, more in (("plain", ()), ("ray", ("--engine", "ray", "--workers", "2"))):
        file = tmp_path / f"{name}.safetensors"
        words = ("--trunk", "small", "--scales", "120", "--boxes", "200", "--proposals", "fast")
        code, lines = command("train", scenes, *words, "-o", file, *more)
        assert code == 1
        told.append([line for line in lines.splitlines() if re.match(r"  /|\d+ of", line)])
        files.append(file.read_bytes())
    assert told[0] == told[1]
    assert "scene_0003.jpg" in told[0][-1]
    assert files[0] == files[1]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is one of POSIX")
@pytest.mark.usefixtures("two_workers")
def test_a_killed_worker_changes_nothing(
    scenes: Path, extractor: SppRegionFeatures, cache: Path, tmp_path: Path
) -> None:
    dataset = read_dataset(scenes)
    plain = train(dataset, extractor, SETTINGS)
    plain.detector.save(tmp_path / "plain.safetensors")
    plain.images.clear()
    killed = []
    with workers_of() as workers:

        def kill(stage: str, done: int, total: int) -> None:
            """One worker in the first pass, the other one while mining."""
            if done == 3 and stage in ("features", "mining"):
                actor = workers._machines[0][len(killed)]
                pid = ray.get(actor.__ray_call__.remote(lambda _: os.getpid()))
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

        result = train(dataset, extractor, SETTINGS, kill, workers=workers)
        result.detector.save(tmp_path / "ray.safetensors")
        result.images.clear()
    assert len(set(killed)) == 2
    assert result.failures == plain.failures
    assert len(result.failures) == 1
    one, other = ((tmp_path / f"{name}.safetensors").read_bytes() for name in ("plain", "ray"))
    assert one == other
    assert list(cache.rglob("*.regions")) == []


@pytest.mark.usefixtures("two_workers")
def test_features_go_through_layers_and_warnings_come_back(
    scenes: Path, extractor: SppRegionFeatures
) -> None:
    """Other layers take the place of those before, and none of them."""
    dataset, views = read_dataset(scenes), views_of([0, 1, 2], mirror=True)
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random)

    several = [
        Layers((draw(3, extractor.dimension), draw(3, 3)), (draw(3), draw(3))) for _ in range(2)
    ]

    def first(prepared: Any) -> np.ndarray[Any, Any]:
        warnings.warn(f"image {prepared.view.index}", SppdetWarning, stacklevel=2)
        features: np.ndarray[Any, Any] = prepared.regions.features(np.arange(4)).numpy()
        return features

    def through(images: TrainingImages) -> list[Any]:
        chosen = [images, *map(images.through, several), images.through(several[0])]
        return [[found for _, found in one.each("", views, first)] for one in chosen]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = through(TrainingImages(dataset, extractor, SETTINGS, lambda *_: None))
    with workers_of() as workers:
        images = TrainingImages(dataset, extractor, SETTINGS, lambda *_: None, None, workers)
        with pytest.warns(SppdetWarning) as warned:
            found = through(images)
    assert {str(one.message) for one in warned} >= {f"image {index}" for index in range(3)}
    for one, other in zip(wanted, found, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("two_workers")
def test_an_error_of_a_worker_ends_the_training_with_a_line(
    scenes: Path, extractor: SppRegionFeatures
) -> None:
    def fail(prepared: Any) -> None:
        raise SppdetError(f"no room for {prepared.view.index}")

    def fault(prepared: Any) -> None:
        raise MemoryError(prepared.view.index)

    with workers_of() as workers:
        images = TrainingImages(
            read_dataset(scenes), extractor, SETTINGS, lambda *_: None, None, workers
        )
        with pytest.raises(SppdetError, match=r"^no room for 0$"):
            list(images.each("", views_of([0, 1], mirror=False), fail))
        with pytest.raises(SppdetError, match=r"^--engine ray: 1; what is prepared is kept"):
            list(images.each("", views_of([1], mirror=False), fault))
        assert [found for _, found in images.each("", views_of([2], False), type)] != [None]


@pytest.mark.usefixtures("two_workers")
def test_more_workers_than_cores_are_not_waited_for() -> None:
    with pytest.warns(SppdetWarning, match="--workers 3: only 2 fit on the cluster"):
        assert RayWorkers(ray, Engine(workers=3))._count == 2


@pytest.mark.usefixtures("two_workers")
def test_workers_share_the_disk_space(
    scenes: Path, extractor: SppRegionFeatures, cache: Path
) -> None:
    """Room for six views in all; the others are prepared again in every pass."""
    for left in cache.rglob("*.regions"):  # of the tests before
        left.unlink()
    dataset, views = read_dataset(scenes), views_of([0, 1, 2, 4, 5, 6, 7, 8], mirror=True)
    alone = TrainingImages(dataset, extractor, SETTINGS, lambda *_: None)
    list(alone.each("", views[:2], len_of_keys))
    each = alone.stored_bytes / 2
    alone.clear()
    limited = TrainSettings(detector=SETTINGS.detector, store_bytes=int(6 * each))
    with workers_of() as workers:
        images = TrainingImages(dataset, extractor, limited, lambda *_: None, None, workers)
        list(images.each("", views, len_of_keys))
        kept = sum(file.stat().st_size for file in cache.rglob("*.regions"))
        assert 2 * each < kept < 7 * each
        assert images.stored_bytes == 0  # of this process
        images.clear()
        assert list(cache.rglob("*.regions")) == []


def len_of_keys(prepared: Any) -> int:
    return len(prepared.regions.keys)


ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--engine spark", "--engine spark: choose one of ray"),
        ("--address auto", "--address auto: needs --engine ray"),
        ("--worker-cpus 2", "--worker-cpus 2: needs --engine ray"),
        ("--engine ray --device cuda", "--device cuda: with --engine ray the work is that of CPUs"),
        ("--engine ray --no-cache", "--no-cache: is of one machine; set SPPDET_CACHE on each"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    words: str, why: str, scenes: Path, tmp_path: Path, command: Command
) -> None:
    output = tmp_path / "a.safetensors"
    code, told = command("train", scenes, "--trunk", "small", *words.split(), "-o", output)
    assert code == 2
    assert why in told.splitlines()[-1]
    assert not output.exists()


def test_without_ray_a_line_gives_the_command_that_installs_it(
    scenes: Path, tmp_path: Path
) -> None:
    program = (
        "import sys; sys.modules['ray'] = None\n"
        "from sppdet.cli import main\n"
        f"main(['train', {str(scenes)!r}, '--engine', 'ray', '-o', "
        f"{str(tmp_path / 'a.safetensors')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "error: --engine ray: needs the package ray; pip install 'sppdet[ray]'\n"
    )
