"""The names that ``import sppdet`` offers."""

import subprocess
import sys
import types

import pytest

import sppdet

NAMES = [
    "Detections",
    "Detector",
    "SpatialPyramidPool",
    "SppdetError",
    "__version__",
    "evaluate",
    "load_trunk",
    "pool_windows",
    "propose",
    "read_dataset",
    "read_image",
    "train",
]


def run_python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_public_names() -> None:
    assert sorted(sppdet.__all__) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_resolves(name: str) -> None:
    value = getattr(sppdet, name)
    assert name in dir(sppdet)
    assert not isinstance(value, types.ModuleType)
    if name != "__version__":
        assert value.__name__ == name


def test_import_is_light() -> None:
    heavy = run_python(
        "import sys, sppdet; dir(sppdet); sppdet.__version__\n"
        "print([m for m in ('numpy', 'torch', 'PIL', 'cv2', 'numba') if m in sys.modules])"
    )
    assert heavy.strip() == "[]"


def test_import_is_fast() -> None:
    """The time of the module itself and of all that it imports, as the interpreter reports it."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import sppdet"],
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stderr.splitlines() if line.endswith(" sppdet"))
    assert int(line.split("|")[1]) < 100_000  # microseconds


def test_submodules_stay_reachable() -> None:
    printed = run_python(
        "import sppdet, sppdet.boxes, sppdet.detector\n"
        "print(sppdet.boxes.iou.__module__, sppdet.Detector is sppdet.detector.Detector)"
    )
    assert printed.split() == ["sppdet.boxes", "True"]


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match=r"sppdet.*no attribute 'detekt'"):
        sppdet.detekt  # noqa: B018
    with pytest.raises(ImportError, match="detekt"):
        from sppdet import detekt  # noqa: F401
