import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from rich.table import Table

from sppdet.cli import main
from sppdet.cli.progress import PlainConsole

NAMES = ["[/bold]", "[red]x", ":smile:", "\x1b[2J", "a\rb", "\x9b31m", "\u202egnp", "猫"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["line", "cell"])
def test_names_are_shown_as_they_are(name: str, kind: str) -> None:
    out = io.StringIO()
    console = PlainConsole(file=out, width=60, force_terminal=True)
    thing: object = name
    if kind == "cell":
        thing = Table(box=None)
        thing.add_column("class")
        thing.add_row(name)
    console.print(thing)
    text = out.getvalue()
    for style in ("\x1b[1m", "\x1b[0m", "\x1b[3m"):  # of the table's heading
        text = text.replace(style, "")
    assert not any(character in text for character in "\x1b\r\x9b\u202e")
    assert (name if name.isprintable() else name.encode("unicode_escape").decode()) in text


def test_an_error_and_a_table_with_odd_names(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["data", "check", str(tmp_path / "\x1b[31m[/bold]")])
    assert stop.value.code == 2
    assert "\\x1b[31m[/bold]" in capsys.readouterr().err


def test_data_check_with_odd_classes(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (60, 50)).save(tmp_path / "a.png")
    box = "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>40</xmax><ymax>40</ymax></bndbox>"
    objects = "".join(f"<object><name>{n}</name>{box}</object>" for n in ("[/bold]", "\x9b31m"))
    (tmp_path / "a.xml").write_text(f"<annotation>{objects}</annotation>", encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        main(["data", "check", str(tmp_path)])
    assert not stop.value.code
    out = capsys.readouterr().out
    assert "[/bold]" in out
    assert "\\x9b31m" in out


def test_a_pipe_that_cannot_show_a_name_gets_its_code(tmp_path: Path) -> None:
    Image.new("RGB", (60, 50)).save(tmp_path / "a.png")
    box = "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>40</xmax><ymax>40</ymax></bndbox>"
    text = f"<annotation><object><name>猫</name>{box}</object></annotation>"
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "sppdet", "data", "check", str(tmp_path)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert b"\\u732b" in ended.stdout
