"""The Python of the README runs, the pages build, and the changelog has the version."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torchvision
import yaml  # type: ignore[import-untyped]

import sppdet
from sppdet.classification.networks import NETWORKS
from sppdet.datasets.scenes import write_scenes

ROOT = Path(__file__).resolve().parents[1]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
SCRIPT = re.compile(r"(?:tools|benchmarks|data|examples)/\w+\.py")
NETWORKS_KNOWN = {*NETWORKS, *torchvision.models.list_models(module=torchvision.models)}


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
