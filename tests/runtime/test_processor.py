from pathlib import Path

import pytest

from sppdet.runtime import processor


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16\n", True),
        ("flags : fpu amx_bf16 amx_tile", True),
        ("Features\t: fp asimd bf16 i8mm\n", True),
        ("flags : fpu avx2\n", False),
        ("model name : a bf16 processor\nflags : fpu\n", False),
        ("", None),
    ],
)
def test_what_linux_says(
    text: str, found: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    monkeypatch.setattr(processor, "CPUINFO", file)
    assert processor.has_bfloat16() is found


def test_other_systems_do_not_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "nothing")
    assert processor.has_bfloat16() is None
