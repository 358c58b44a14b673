import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from sppdet.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(15):
    torch.empty(15_000_000).fill_(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.empty(15_000_000).fill_(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about glibc's allocator")
def test_freed_memory_is_used_again() -> None:
    """60 MB have 14,649 pages: five allocations fault all of them, or (almost) none."""
    faults = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True
            ).stdout
        )
        for how in ("keep", "default")
    }
    assert faults["keep"] < 500
    assert faults["keep"] < faults["default"]
