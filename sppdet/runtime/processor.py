"""What the processor has."""

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Names that Linux gives to instructions for bfloat16: two of x86, one of Arm."""


def has_bfloat16() -> bool | None:
    """Whether the processor multiplies bfloat16; None where the system does not say (not Linux)."""
    try:
        text = CPUINFO.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, values = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return not BFLOAT16.isdisjoint(values.split())
    return None
