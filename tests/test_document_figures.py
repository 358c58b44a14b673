"""Figures of the documents are those of the files of results, and links lead somewhere."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torchvision

from sppdet.classification.networks import NETWORKS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "data" / "README.md"]
)
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
SCRIPT = re.compile(r"(?:tools|benchmarks|data|examples)/\w+\.py")
NETWORKS_KNOWN = {*NETWORKS, *torchvision.models.list_models(module=torchvision.models)}


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """The script benchmarks/tables.py as a module."""
    spec = importlib.util.spec_from_file_location("tables", ROOT / "benchmarks" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_results(tables: ModuleType) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in tables.DOCUMENTS}
    assert tables.with_tables(texts, tables.read_results()) == texts, (
        "run `python benchmarks/tables.py`"
    )
    assert all(len(text.splitlines()) <= 190 for text in texts.values())


def test_a_table_has_its_headings_formats_and_origin(tables: ModuleType) -> None:
    result = {
        "command": ["make detect"],
        "commit": "abc",
        "machine": "a machine",
        "threads": [1, 2],
        "date": "2026-11-26",
        "note": "A note.",
        "columns": {"name": "", "AP": ".3f", "interval": ".2f", "seconds": ""},
        "rows": [["a", 0.5, [0.25, 1], 1234], ["b", None, [1, 2, 3], 0.06]],
    }
    assert tables.table(result) == (
        "| name | AP | interval | seconds |\n|---|---|---|---|\n"
        "| a | 0.500 | 0.25 to 1.00 | 1,234 |\n| b |  | 1.00 / 2.00 / 3.00 | 0.06 |\n\n"
        "A note. `make detect`. 2026-11-26, commit abc, 1 and 2 threads, a machine.\n"
    )


@pytest.mark.parametrize("text", ["", "<!-- table: b -->\n<!-- end -->"])
def test_a_document_with_other_tables_is_refused(tables: ModuleType, text: str) -> None:
    with pytest.raises(ValueError, match="the documents have the tables"):
        tables.with_tables({Path("a.md"): text}, {"a": {}})


@pytest.mark.parametrize(
    ("change", "message"),
    [({"rows": [[1]]}, "one cell per column"), ({"unknown": 1}, "the fields are")],
)
def test_a_wrong_file_of_results_is_refused(
    tables: ModuleType, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    content = {**json.loads(RESULTS[0].read_text(encoding="utf-8")), **change}
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        tables.read_results(tmp_path)


WITH_INTERVAL = "{2:.2f} ({3[0]:.2f} to {3[1]:.2f})"


@pytest.mark.parametrize(
    ("document", "result", "row", "quote"),
    [
        (
            "README.md",
            "detection",
            ("Fruit", "small, 320 px"),
            WITH_INTERVAL,
        ),
        ("README.md", "detection", ("Fruit", "lite0, 480 px"), WITH_INTERVAL),
        ("README.md", "detection", ("Fruit", "small, 320 px"), "{6} s"),
        ("README.md", "detection", ("BCCD", "small, 320 px"), WITH_INTERVAL),
        ("README.md", "detection", ("BCCD", "lite0"), WITH_INTERVAL),
        ("README.md", "detection", ("Fruit", "lite0, 480 px"), "{6} s"),
        ("README.md", "detect_stages", ("lite0, 480 px", "2"), "| {9:.2f} |"),
        (
            "README.md",
            "detection",
            ("Fruit", "squeezenet1_0"),
            WITH_INTERVAL,
        ),
        ("README.md", "detection", ("BCCD", "squeezenet1_0"), WITH_INTERVAL),
        ("README.md", "detect_stages", ("small, 320 px", "2"), "| {9:.2f} |"),
        ("README.md", "detect_stages", ("squeezenet1_0, 480 px", "2"), "| {9:.2f} |"),
        ("README.md", "detect_others", ("sppdet",), "{2:.2f} s"),
        ("README.md", "speed", ("2,000", "R-CNN", "227", "1"), "{11} s"),
        ("README.md", "speed", ("2,000", "R-CNN", "227", "2"), "{11} s"),
        ("README.md", "speed", ("2,000", "SPP-net", "688", "1"), "**{13} times faster**"),
        ("README.md", "speed", ("2,000", "SPP-net", "688", "2"), "**{13} times faster**"),
        ("README.md", "speed", ("2,000", "SPP-net", "480", "1"), "**{13:.0f} times faster**"),
        ("README.md", "speed", ("2,000", "SPP-net", "480", "2"), "**{13:.0f} times faster**"),
        (
            "MODELS.md",
            "detection",
            ("Fruit, trained", "small"),
            "mAP {2:.3f} (95 % interval {3[0]:.3f} to {3[1]:.3f}; {5})",
        ),
        ("MODELS.md", "small_trunk", ("small, after 30",), "**{4:.2f} %** top-1 at 96 px"),
        ("MODELS.md", "small_trunk", ("small, after 30",), "{3:.2f} % at 80 px"),
    ],
)
def test_a_quoted_figure_is_that_of_the_results(
    tables: ModuleType, document: str, result: str, row: tuple[str, ...], quote: str
) -> None:
    rows = [
        cells
        for cells in tables.read_results()[result]["rows"]
        if all(str(c).startswith(start) for c, start in zip(cells, row, strict=False))
    ]
    text = " ".join((ROOT / document).read_text(encoding="utf-8").split())
    assert quote.format(*rows[0]) in text


LINKS = [
    (path, target)
    for path in DOCUMENTS
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    if "://" not in target
]


@pytest.mark.parametrize(("path", "target"), LINKS)
def test_a_link_leads_somewhere(path: Path, target: str) -> None:
    assert (path.parent / target).exists()
