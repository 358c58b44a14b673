import ast
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sppdet.runtime import code
from sppdet.runtime.code import code_digest


def digest_in(copy: Path, module: str) -> str:
    line = f"from sppdet.runtime.code import code_digest; print(code_digest({module!r}).hex())"
    done = subprocess.run(
        [sys.executable, "-c", line], cwd=copy, capture_output=True, text=True, check=True, env={}
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("edited", "changed"),
    [
        ("proposals/grouping.py", {"sppdet.proposals"}),
        ("boxes.py", {"sppdet.features.spp"}),
        ("features/windows.py", {"sppdet.features.spp"}),
        ("trunks/geometry.py", {"sppdet.features.spp"}),
        ("decoding.py", {"sppdet.proposals", "sppdet.features.spp", "sppdet.images"}),
        ("cli/detect.py", set()),
        ("heads/svm.py", set()),
    ],
)
def test_an_edit_changes_the_digests_of_what_uses_it(
    edited: str, changed: set[str], tmp_path: Path
) -> None:
    shutil.copytree(
        code.ROOT, tmp_path / "sppdet", ignore=shutil.ignore_patterns("weights", "__pycache__")
    )
    file = tmp_path / "sppdet" / edited
    file.write_text(file.read_text() + "\n# edited\n")
    for module in ("sppdet.proposals", "sppdet.features.spp", "sppdet.images"):
        same = digest_in(tmp_path, module) == code_digest(module).hex()
        assert same == (module not in changed), module


def test_versions_of_packages_are_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_digest.__wrapped__("sppdet.proposals")
    assert code_digest.__wrapped__("sppdet.proposals") == before
    monkeypatch.setattr(code, "_version", lambda package: "9.9")
    assert code_digest.__wrapped__("sppdet.proposals") != before


def test_a_module_of_ones_own_stands_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "own_extractor_17.py"
    file.write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("own_extractor_17")
    before = code_digest.__wrapped__("own_extractor_17")
    file.write_text("VALUE = 2\n")
    assert code_digest.__wrapped__("own_extractor_17") != before
    assert code_digest.__wrapped__("__main__.nowhere")


def test_threads_parse_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, most, parse = [], [], ast.parse

    def watched(source: bytes) -> ast.Module:
        busy.append(1)
        most.append(len(busy))
        time.sleep(0.005)
        busy.pop()
        return parse(source)

    monkeypatch.setattr(code.ast, "parse", watched)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(code._imports, [b"import sppdet.boxes"] * 12))
    assert found == [["sppdet.boxes"]] * 12
    assert max(most) == 1
