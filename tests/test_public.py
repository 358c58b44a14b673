"""The names that ``import sppdet`` offers."""

import subprocess
import sys
import types
from pathlib import Path

import pytest

import sppdet

ROOT = Path(sppdet.__file__).parents[1]

NAMES = [
    "Detections",
    "Detector",
    "SpatialPyramidPool",
    "SppdetError",
    "__version__",
    "evaluate",
    "load_trunk",
    "make_trunk",
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
    """Processor time of the module and of all that it imports, which other work does not raise."""
    program = (
        "import time; start = time.process_time(); import sppdet; "
        "print(time.process_time() - start)"
    )
    assert float(run_python(program)) < 0.1


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


def test_a_detection_imports_neither_torchvision_nor_scikit_learn() -> None:
    """They take longer to import than the detection itself."""
    heavy = run_python(
        "import sys\n"
        "from sppdet import Detector\n"
        f"Detector.load({str(ROOT / 'sppdet/weights/detector.safetensors')!r})"
        f".detect({str(ROOT / 'data/sample/fruit.jpg')!r})\n"
        "print([m for m in ('torchvision', 'sklearn', 'matplotlib', 'pandas') if m in sys.modules])"
    )
    assert heavy.strip() == "[]"


def test_a_detection_imports_no_package_of_an_extra(tmp_path: Path) -> None:
    """Neither by the public face nor by the command."""
    heavy = run_python(
        "import sys\n"
        "from sppdet.cli import main\n"
        "try:\n"
        f"    main(['detect', {str(ROOT / 'data/sample/fruit.jpg')!r}, '--device', 'cpu', "
        f"'--quiet', '-o', {str(tmp_path)!r}])\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code\n"
        "print([m for m in ('pyarrow', 'fsspec', 'ray') if m in sys.modules])"
    )
    assert heavy.strip() == "[]"
