"""Every command that stands in a document is accepted by the command line."""

import argparse
import ast
import importlib.util
import json
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torchvision
import typer.core

from sppdet.classification.networks import NETWORKS
from sppdet.datasets.download import SOURCES
from sppdet.proposals import METHODS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "data" / "README.md"]
)
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
SCRIPT = re.compile(r"(?:tools|benchmarks|data|examples|tests/campaign)/\w+\.py")
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
