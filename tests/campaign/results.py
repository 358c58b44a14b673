"""What a campaign found: a JSON file, a line, and the exit code."""

import argparse
import json
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol


class Finished(Protocol):
    """A campaign that has run: cases by kind, and the faults."""

    cases: Counter[str]
    faults: list[dict[str, Any]]


def conclude(
    campaign: Finished,
    options: argparse.Namespace,
    begin: float,
    figures: Mapping[str, float] | None = None,
    said: str = "",
) -> int:
    """Write the result to ``options.json`` and say it; 1 if there are faults.

    Args:
        campaign: after its run.
        options: ``seed`` and ``json``.
        begin: ``time.monotonic()`` at the start.
        figures: more for the JSON.
        said: more for the line.
    """
    total = sum(campaign.cases.values())
    result = {
        "seed": options.seed,
        "cases": dict(sorted(campaign.cases.items())),
        "number": total,
        "faults": campaign.faults,
        **(figures or {}),
        "minutes": round((time.monotonic() - begin) / 60, 1),
        "date": time.strftime("%Y-%m-%d"),
    }
    print(f"{total} cases, {len(campaign.faults)} faults{said}")
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if campaign.faults else 0
