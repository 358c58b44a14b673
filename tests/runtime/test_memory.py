import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from sppdet.runtime.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
if sys.argv[1] == "smaller":
    assert keep_freed_memory(32 << 20)
for _ in range(15):
    torch.empty(15_000_000).fill_(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.empty(15_000_000).fill_(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about glibc's allocator")
def test_freed_memory_is_used_again() -> None:
    """60 MB have 14,649 pages: five allocations fault all of them, or (almost) none;
    blocks above the limit go back each time."""
    faults = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True
            ).stdout
        )
        for how in ("keep", "smaller", "default")
    }
    assert faults["keep"] < 500
    assert faults["keep"] < faults["default"]
    assert faults["smaller"] > 10_000


GIVE_BACK = """
import torch
from sppdet.runtime.memory import give_back_freed_memory, keep_freed_memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
keep_freed_memory()
blocks = [torch.empty(5_000_000).fill_(1) for _ in range(20)]
last = blocks[-1]
del blocks
before = resident()
give_back_freed_memory()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about glibc's allocator")
def test_freed_memory_is_given_back_when_asked() -> None:
    """Nineteen of twenty blocks of 20 MB are free, below one that is not."""
    run = [sys.executable, "-c", GIVE_BACK]
    given = int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    assert given > 300e6
