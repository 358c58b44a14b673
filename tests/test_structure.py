"""The rooms of the house: no import circle, and no lower room imports an upper one."""

import ast
from pathlib import Path

import pytest

import sppdet

ROOT = Path(sppdet.__file__).parent

FLOORS = (
    "errors",
    "runtime",
    "settings",
    "suppression",
    "boxes",
    "decoding",
    "images",
    "drawing",
    "datasets",
    "detections",
    "inputs",
    "proposals",
    "trunks",
    "features",
    "heads",
    "device",
    "model_file",
    "panorama",
    "pipeline",
    "detector",
    "export",
    "explaining",
    "retrieval",
    "evaluation",
    "training",
    "classification",
    "benchmark",
    "serving",
    "scale",
    "cli",
    "__main__",
)
"""From the ground up: a room may import itself and the rooms before it."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(name: str) -> set[str]:
    """The modules of sppdet that a module imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else str(node.module))
    return {module for module in found if module in MODULES} - {name, "sppdet"}


GRAPH = {name: imports(name) for name in MODULES if name != "sppdet"}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules on import circles: what is left when modules without imports are taken away."""
    left = {name: set(targets) for name, targets in graph.items()}
    while free := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in free}
    return sorted(left)


def test_the_search_for_circles_finds_one() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_import_circle() -> None:
    assert circle(GRAPH) == []


@pytest.mark.parametrize("name", sorted(GRAPH))
def test_no_room_imports_an_upper_one(name: str) -> None:
    room = name.split(".")[1]
    above = FLOORS[FLOORS.index(room) + 1 :]
    assert [target for target in sorted(GRAPH[name]) if target.split(".")[1] in above] == []


def test_few_modules_stand_at_the_top() -> None:
    assert len([path for path in ROOT.glob("*.py") if not path.name.startswith("__")]) <= 10


def test_modules_are_short() -> None:
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_the_tests_mirror_the_rooms() -> None:
    tests = Path(__file__).parent
    rooms = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= {path.name for path in tests.iterdir() if path.is_dir()}
