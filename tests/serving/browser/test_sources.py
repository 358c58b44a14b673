"""The files of the page: short, readable, and nothing from elsewhere."""

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[3] / "sppdet" / "serving" / "static"
FILES = sorted(path for path in STATIC.iterdir() if path.is_file())
MODULES = [path for path in FILES if path.suffix == ".js"]
PAGES = [path for path in FILES if path.suffix == ".html"]
NAMESPACE = "http://www.w3.org/2000/svg"


def doubts(text: str) -> list[str]:
    """What a file of the page must not have."""
    rules = {
        "an address elsewhere": r"(?:https?:)?//[\w.-]+\.\w",
        "code from text": r"\beval\(|new Function|document\.write|(inner|outer|Adjacent)HTML",
        "code in an attribute": r"<[^>]+\son\w+=|javascript:",
        "style in an attribute": r"<[^>]+\sstyle=",
        "code in the page": r"<script(?![^>]*\bsrc=)|<style",
        "trailing space": r"[ \t]+$",
    }
    text = text.replace(NAMESPACE, "")
    return [name for name, rule in rules.items() if re.search(rule, text, re.MULTILINE)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_short_and_loads_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) < 300
    assert max(map(len, lines)) <= 120
    assert text.endswith("\n")
    assert doubts(text) == []


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://example.org/a.js"></script>',
        'import x from "//example.org/x.js";',
        "eval(text)",
        "element.innerHTML = name",
        '<button onclick="go()">',
        "<script>go()</script>",
        '<p style="color:red">',
        "space \n",
    ],
)
def test_the_rules_find_what_they_are_for(text: str) -> None:
    assert doubts(text)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_begins_with_what_it_is_for(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("// ")


def imports(path: Path) -> dict[str, list[str]]:
    """The names that a module takes from each other module; none for ``import * as``."""
    text = path.read_text(encoding="utf-8")
    found = re.findall(r'^import (\{[^}]*\}|\* as \w+) from "\./([\w.]+)";', text, re.MULTILINE)
    return {name: re.findall(r"\w+", names) if "{" in names else [] for names, name in found}


def exports(path: Path) -> set[str]:
    pattern = r"^export (?:async )?(?:function|class|const) (\w+)"
    return set(re.findall(pattern, path.read_text(encoding="utf-8"), re.MULTILINE))


def test_imports_exist_and_are_used() -> None:
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        for name, taken in imports(path).items():
            assert set(taken) <= exports(STATIC / name), f"{path.name} imports from {name}"
            assert all(len(re.findall(rf"\b{one}\b", text)) > 1 for one in taken), path.name


def test_every_module_is_reached_and_no_export_is_idle() -> None:
    taken = {
        (name, one) for path in MODULES for name, names in imports(path).items() for one in names
    }
    loaded = {name for path in MODULES for name in imports(path)}
    loaded |= set(
        re.findall(r"/static/([\w.]+)", "".join(page.read_text("utf-8") for page in PAGES))
    )
    assert {path.name for path in FILES} - {page.name for page in PAGES} == loaded
    idle = {(path.name, one) for path in MODULES for one in exports(path)} - taken
    idle -= {("why.js", "signed"), ("why.js", "short")}  # for the tests of the numbers
    assert {name for name, _ in idle} <= {"api.js"}  # taken as a whole: import * as api


def test_the_elements_that_modules_look_for_are_in_the_page() -> None:
    ids = set(re.findall(r'\bid="([\w-]+)"', (STATIC / "label.html").read_text("utf-8")))
    for path in MODULES:
        for wanted in re.findall(r'byId\("([\w-]+)"\)', path.read_text(encoding="utf-8")):
            assert wanted in ids, f"{path.name} looks for #{wanted}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_field_and_dialog_has_a_name(path: Path) -> None:
    """A label around a field, or an attribute that names it."""
    text = path.read_text(encoding="utf-8")
    assert '<html lang="en">' in text
    inside = "".join(re.findall(r"<label>.*?</label>", text, re.DOTALL))
    for tag in re.findall(r"<(?:input|select|textarea|dialog|nav|canvas)\b[^>]*>", text):
        assert "aria-label" in tag or tag in inside, tag
