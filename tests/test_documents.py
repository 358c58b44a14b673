"""The documents are true: their commands parse, their figures are those of the files of results."""

import argparse
import ast
import importlib.util
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torchvision
import typer.core
import yaml  # type: ignore[import-untyped]

import sppdet
from sppdet.classification.networks import NETWORKS
from sppdet.datasets.download import SOURCES
from sppdet.datasets.scenes import write_scenes
from sppdet.proposals import METHODS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "data" / "README.md"]
)
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
SCRIPT = re.compile(r"(?:tools|benchmarks|data|examples)/\w+\.py")
NETWORKS_KNOWN = {*NETWORKS, *torchvision.models.list_models(module=torchvision.models)}
VALUES: dict[str, Any] = {"network": NETWORKS_KNOWN, "proposals": METHODS, "name": SOURCES}
"""What the value of a parameter may be, where the command line takes any text."""


class Parsed(Exception):
    """The command line was accepted; its values, and nothing has run."""


# ---------------------------------------------------------------- the commands of a document


def code(text: str) -> Iterator[str]:
    """The pieces of code of a Markdown text: fenced and indented blocks, and spans."""
    fenced = re.compile(r"^( *)```[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
    for block in fenced.findall(text):
        yield block[1]
    text = fenced.sub("", text)
    indented = re.compile(r"(?:^ {4,}\S[^\n]*\n?)+", re.MULTILINE)
    for found in indented.findall(text):
        yield re.sub(r"^ +", "", found, flags=re.MULTILINE)
    for span in re.findall(r"`([^`]+)`", indented.sub("", text)):
        yield " ".join(span.split())


def commands(block: str) -> Iterator[list[str]]:
    """The commands of a piece of shell: one list of words each, variables put in.

    ``[...]`` is an optional part: the command comes once without all of them, and once with all.
    """
    variables: dict[str, str] = {}
    for line in re.sub(r"\\\n\s*", "", block).splitlines():
        for part in re.split(r"&&|;(?![^\"]*\"$)", line):
            assigned = re.fullmatch(r"\s*([A-Z])=\"(.*)\"\s*", part)
            if assigned:
                variables[assigned[1]] = assigned[2]
                continue
            for name, value in variables.items():
                part = part.replace(f"${name}", value)
            optional = r"\[[^]]* [^]]*\]" if " -c " not in part else "$^"
            without, all_of_them = re.sub(optional, "", part), part
            if without != part:
                all_of_them = part.replace("[", "").replace("]", "")
            for variant in dict.fromkeys((without, all_of_them)):
                try:
                    words = shlex.split(variant, comments=True)
                except ValueError:
                    continue
                words = strip(words)
                if words:
                    yield words


def strip(words: list[str]) -> list[str]:
    """A command without settings of the environment and without its interpreter; [] for others."""
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if not words:
        return []
    program = words[0].removeprefix(".venv/bin/")
    if re.fullmatch(r"python3?", program):
        return words[1:] if words[1:2] == ["-c"] or (words[1:] and SCRIPT.match(words[1])) else []
    if (SCRIPT.fullmatch(program) and len(words) > 1) or program in ("sppdet", "make"):
        return [program, *words[1:]]
    return []


def all_commands() -> dict[str, list[str]]:
    """Every command of the documents, of the results, of help texts and of scripts."""
    texts = [(path, code(path.read_text(encoding="utf-8"))) for path in DOCUMENTS]
    for path in RESULTS:
        texts.append((path, iter(json.loads(path.read_text(encoding="utf-8"))["command"])))
    for path in sorted((ROOT / "sppdet" / "cli").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                shown = re.findall(
                    r"Example:(.+?)(?:\n\n|$)", ast.get_docstring(node) or "", re.DOTALL
                )
                plain = (re.sub(r"\[/?bold\]", "", " ".join(one.split())) for one in shown)
                texts.append((path, plain))
    for folder in ("benchmarks", "data", "examples"):
        for path in sorted((ROOT / folder).glob("*.py")):
            shown_by = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            texts.append((path, code(shown_by)))
    found: dict[str, list[str]] = {}
    for path, blocks in texts:
        for block in blocks:
            for words in commands(block):
                found.setdefault(f"{path.relative_to(ROOT)}: {shlex.join(words)}", words)
    return found


COMMANDS = all_commands()


# ---------------------------------------------------------------- parsing without running


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], dict[str, Any]]:
    """Parses a command with the real command line; returns its values, runs nothing."""

    def typer_parsed(_command: Any, context: Any) -> None:
        raise Parsed(context.params)

    original = argparse.ArgumentParser.parse_args

    def argparse_parsed(parser: argparse.ArgumentParser, *rest: Any) -> None:
        raise Parsed(vars(original(parser, *rest)))

    monkeypatch.setattr(typer.core.TyperCommand, "invoke", typer_parsed)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", argparse_parsed)

    def parsed(words: list[str]) -> dict[str, Any]:
        if words[0] == "sppdet" and len(words) < 3:  # the name of a command in a sentence
            words = [*words, "--help"]
        monkeypatch.setattr(sys, "argv", words)
        try:
            if words[0] == "sppdet":
                from sppdet.cli import main

                main(words[1:])
            else:
                monkeypatch.syspath_prepend((ROOT / words[0]).parent)
                runpy.run_path(str(ROOT / words[0]), run_name="__main__")
        except Parsed as accepted:
            values: dict[str, Any] = accepted.args[0]
            return values
        except SystemExit as refused:
            if refused.code == 0:  # the text of --help or --version
                return {}
            pytest.fail(f"{shlex.join(words)}: refused with exit code {refused.code}")
        pytest.fail(f"{shlex.join(words)}: it ran, the test cannot see its command line")

    return parsed


def check(words: list[str], parse: Callable[[list[str]], dict[str, Any]]) -> None:
    """Fail where a command does not exist or is not accepted."""
    program = words[0]
    if program == "-c":
        for node in ast.walk(ast.parse(words[1])):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, name.name) for name in node.names)
    elif program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert set(words[1:]) <= set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    elif program != "sppdet" and "argparse" not in (source := (ROOT / program).read_text("utf-8")):
        if "sppdet.cli" in source or "_start" in source:
            known(parse(words))
        elif "sys.argv" not in source:
            assert len(words) == 1, f"{program} takes no arguments"
    else:
        known(parse(words))


def known(values: dict[str, Any]) -> None:
    """Fail where a name is not one that the package knows."""
    for name, allowed in VALUES.items():
        value = values.get(name)
        value = getattr(value, "value", value)
        assert not isinstance(value, str) or value in allowed, f"{name} {value}"


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_in_a_document_is_accepted(
    text: str, parse: Callable[[list[str]], dict[str, Any]]
) -> None:
    check(COMMANDS[text], parse)


def test_the_commands_are_found() -> None:
    found = {name.split(":")[0] for name in COMMANDS}
    assert {"README.md", "BENCHMARKS.md", "MODELS.md", "data/README.md"} <= found
    assert {"benchmarks/results/detection.json", "benchmarks/search.py"} <= found
    assert len(COMMANDS) > 50


@pytest.mark.parametrize(
    "words",
    [
        ["sppdet", "train", "photos"],
        ["sppdet", "unknown"],
        ["tools/train.py", "photos", "--output", "a.safetensors", "--no-such-option"],
        ["tools/classify.py", "train", "photos", "--network", "spp", "--output", "run"],
        ["benchmarks/pooling.py", "--no-such-option"],
        ["benchmarks/tables.py", "argument"],
        ["make", "no-such-target"],
        ["-c", "from sppdet.images import no_such_name"],
    ],
)
def test_a_wrong_command_is_refused(
    words: list[str], parse: Callable[[list[str]], dict[str, Any]]
) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(words, parse)


def test_pieces_of_shell_become_commands() -> None:
    block = (
        'T="python tools/train.py photos \\\n  --seed 0"\n'
        "$T --output m.safetensors [--trunk vgg16]  # a remark\n"
        "mkdir a && sppdet detect photo.jpg\n"
        "OMP_NUM_THREADS=1 .venv/bin/python tools/detect.py a.jpg"
    )
    train = ["tools/train.py", "photos", "--seed", "0", "--output", "m.safetensors"]
    assert list(commands(block)) == [
        train,
        [*train, "--trunk", "vgg16"],
        ["sppdet", "detect", "photo.jpg"],
        ["tools/detect.py", "a.jpg"],
    ]


# ---------------------------------------------------------------- figures and links


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
    text = (ROOT / "BENCHMARKS.md").read_text(encoding="utf-8")
    assert tables.with_tables(text, tables.read_results()) == text, (
        "run `python benchmarks/tables.py`"
    )
    assert len(text.splitlines()) <= 150


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
    with pytest.raises(ValueError, match="the document has the tables"):
        tables.with_tables(text, {"a": {}})


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
        ("README.md", "detection", ("Fruit", "small, 320 px"), "{6} s"),
        ("README.md", "detection", ("BCCD", "small, 320 px"), WITH_INTERVAL),
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


# ---------------------------------------------------------------- Python in the README


def python_blocks(path: Path) -> list[str]:
    """The fenced blocks of Python in a Markdown file."""
    return re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_readme_has_one_block_of_python() -> None:
    (block,) = python_blocks(ROOT / "README.md")
    assert len([line for line in block.splitlines() if line.strip()]) <= 12


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with rendered scenes where the block expects photographs."""
    (block,) = python_blocks(ROOT / "README.md")
    write_scenes(tmp_path / "photos" / "train", 12, seed=0, size=(320, 240))
    write_scenes(tmp_path / "photos" / "test", 3, seed=1, size=(320, 240))
    (tmp_path / "photo.jpg").write_bytes(
        (tmp_path / "photos" / "test" / "scene_0000.jpg").read_bytes()
    )
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    assert (tmp_path / "mine.safetensors").is_file()


# ---------------------------------------------------------------- the pages of docs/


@pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="on Python 3.10 pip chooses versions of the packages that clash",
)
def test_the_pages_build_strictly_without_a_connection(tmp_path: Path) -> None:
    """With every socket closed; the pages fetch nothing from elsewhere either."""
    program = (
        "import socket, sys\n"
        "def closed(*rest): raise OSError('no connection in this test')\n"
        "socket.socket.connect = closed\n"
        "from mkdocs.__main__ import cli\n"
        "cli(['build', '--strict', '--site-dir', sys.argv[1]])\n"
    )
    built = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "reference" / "proposals.html").read_text(encoding="utf-8")
    assert "Boxes that may hold objects" in page or "Boxes that may contain objects" in page
    for path in tmp_path.rglob("*.html"):
        fetched = r'<(?:script|link|img)[^>]*(?:src|href)="?(?:https?:)?//'
        assert not re.search(fetched, path.read_text(encoding="utf-8")), path


def test_the_changelog_and_the_citation_have_the_version_and_the_papers() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"title", "message", "authors", "version", "license"} <= set(citation)
    assert [entry["year"] for entry in citation["references"]] == [2015, 2014, 2013]
    assert citation["version"] == sppdet.__version__
    assert f"## {citation['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
