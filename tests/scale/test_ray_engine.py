"""Ray on this machine, with two workers."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ray.data")

import ray

from sppdet.cli.detect import shipped_model
from sppdet.errors import SppdetError
from sppdet.scale.merging import check, tables
from sppdet.scale.packages import needed
from sppdet.scale.parts import ShardFolder
from sppdet.scale.places import Place, images_in
from sppdet.scale.ray_cluster import Engine, connected, resources_of
from sppdet.scale.ray_engine import run
from sppdet.scale.rows import from_bytes
from sppdet.scale.setting import Setting
from sppdet.scale.shards import Shard

Command = Callable[..., tuple[int, str]]
LINKS = 200


def test_signals_stay_those_of_the_command() -> None:
    """Ray's own handler of SIGTERM ends the process with code 15 and without a word."""
    assert needed("ray", "--engine ray", "ray") is ray
    assert os.environ["RAY_DISABLE_FAILURE_SIGNAL_HANDLER"] == "1"  # no trace of C++
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with connected(ray, None):
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert not ray.is_initialized()


@pytest.mark.usefixtures("two_workers")
def test_the_rows_are_those_of_the_plain_command(
    tiny: Path, tmp_path: Path, command: Command
) -> None:
    """The second run has nothing to do; the plain command goes on where Ray stopped."""
    rows = []
    for name, more in (("plain", ()), ("ray", ("--engine", "ray", "--part-images", 2))):
        words = ("detect", tiny, "--recursive", "--save", "parquet", "--device", "cpu", *more)
        for _ in range(2):
            code, told = command(*words, "-o", tmp_path / name)
            assert code == 1
            assert "1 of 7 failed:\n  bad.jpg: is not an image" in told
        merged = tmp_path / f"{name}.parquet"
        assert command("merge-results", tmp_path / name, "-o", merged)[0] == 1
        rows.append(from_bytes(merged.read_bytes()).to_pylist())
    assert "7 of them before" in told
    for own in rows:
        own.sort(key=lambda row: (row["image"], -(row["score"] or 0)))
    assert len(rows[0]) == len(rows[1]) >= 7
    for one, other in zip(*rows, strict=True):
        for key in ("image", "width", "height", "label", "model", "error"):
            assert one[key] == other[key]
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)
        assert one["box"] == pytest.approx(other["box"], abs=1e-2)
    assert len(list((tmp_path / "ray").rglob("*.parquet"))) == 4


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is one of POSIX")
@pytest.mark.usefixtures("two_workers")
def test_a_killed_worker_loses_and_doubles_nothing_and_memory_stays(
    tiny: Path, tmp_path: Path, setting: Setting
) -> None:
    for number in range(LINKS):
        (tmp_path / "links").mkdir(exist_ok=True)
        (tmp_path / "links" / f"{number:03d}.jpg").symlink_to(tiny / "scene_0000.jpg")
    source, output = Place.at(str(tmp_path / "links")), Place.at(str(tmp_path / "found"))
    images, _ = images_in(source)
    folder = ShardFolder(output, Shard(1, 1), setting)
    assert folder.begin(images) == {}
    peaks, killed, seen = defaultdict(list), 0, 0
    for done in run(Engine(workers=2), shipped_model().read_bytes(), folder, source, images, 5):
        seen += len(done.part.images)
        peaks[done.process].append(done.peak)
        if not killed:
            killed = done.process
            os.kill(killed, signal.SIGKILL)
    assert seen == LINKS
    whole = check(output)
    assert sorted(image for _, part in whole.parts for image in part.images) == sorted(images)
    assert whole.failed == []
    rows = [row for table in tables(whole) for row in table.to_pylist()]
    assert len({(row["label"], row["score"], *(row["box"] or ())) for row in rows}) == len(
        [row for row in rows if row["image"] == "000.jpg"]
    )
    del peaks[killed]
    longest = max(peaks.values(), key=len)
    assert len(longest) >= 10
    assert longest[-1] < 1.1 * longest[len(longest) // 3]


@pytest.mark.parametrize(
    ("engine", "there", "wanted"),
    [
        (Engine(), {"CPU": 16.0}, (16, 1, 0.0)),
        (Engine(cpus=4), {"CPU": 18.0}, (4, 4, 0.0)),
        (Engine(workers=3, cpus=2), {"CPU": 16.0}, (3, 2, 0.0)),
        (Engine(), {"CPU": 32.0, "GPU": 2.0}, (2, 16, 1.0)),
        (Engine(gpus=0.25), {"CPU": 32.0, "GPU": 2.0}, (8, 4, 0.25)),
        (Engine(gpus=0.25, cpus=8), {"CPU": 32.0, "GPU": 2.0}, (4, 8, 0.25)),
        (Engine(device="cpu"), {"CPU": 32.0, "GPU": 2.0}, (32, 1, 0.0)),
        (Engine(gpus=0), {"CPU": 8.0, "GPU": 1.0}, (8, 1, 0.0)),
        (Engine(), {}, (1, 1, 0.0)),
    ],
)
def test_workers_and_their_share(
    engine: Engine, there: dict[str, float], wanted: tuple[int, int, float]
) -> None:
    assert resources_of(engine, there) == wanted


@pytest.mark.parametrize(
    ("engine", "line"),
    [
        (Engine(cpus=8), "--worker-cpus 8: the cluster has 2; ask for less"),
        (Engine(gpus=0.5), "--worker-gpus 0.5: the cluster has 0; ask for less"),
    ],
)
def test_a_worker_that_would_wait_for_ever_is_refused(engine: Engine, line: str) -> None:
    with pytest.raises(SppdetError, match=f"^{line}$"):
        resources_of(engine, {"CPU": 2.0})


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--engine spark --save parquet", "--engine spark: choose one of ray"),
        ("--engine ray", "--engine ray: needs --save parquet"),
        ("--engine ray --save parquet -o memory://a", "memory://a: is the memory of one process"),
        ("--address auto --save parquet", "--address auto: needs --engine ray"),
        ("--workers 2", "--workers 2: needs --engine ray"),
        ("--worker-gpus 0.5", "--worker-gpus 0.5: needs --engine ray"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    words: str, why: str, tiny: Path, tmp_path: Path, command: Command
) -> None:
    output = [] if "-o" in words else ["-o", tmp_path / "out"]
    code, told = command("detect", tiny, *words.split(), *output)
    assert (code, len(told.splitlines())) == (2, 1)
    assert why in told


def test_without_ray_a_line_gives_the_command_that_installs_it(tiny: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['ray'] = None\n"
        "from sppdet.cli import main\n"
        f"main(['detect', {str(tiny)!r}, '--save', 'parquet', '--engine', 'ray', '-o', "
        f"{str(tmp_path / 'a')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "error: --engine ray: needs the package ray; pip install 'sppdet[ray]'\n"
    )
