"""The settings of the selection as JSON values of a detector's file."""

from collections.abc import Mapping
from dataclasses import asdict
from numbers import Real
from typing import Any

from sppdet.runtime.tensor_files import make
from sppdet.settings import SelectionSettings

MOST = 1_000_000
"""Boxes that a file may ask for."""

LATER = {"group_penalty": 0.0}
"""Settings that are written only where they have another value, since format 5 of model files: in
earlier versions nothing lowers the scores of groups."""


def to_json(settings: SelectionSettings) -> dict[str, Any]:
    """The settings, without what earlier versions do not know and do not need."""
    return {
        name: value
        for name, value in asdict(settings).items()
        if name not in LATER or value != LATER[name]
    }


def from_json(values: Mapping[str, Any]) -> SelectionSettings:
    """The settings whose :func:`to_json` these are.

    Raises:
        TypeError, ValueError: they are damaged.
    """
    settings = make(SelectionSettings, {**LATER, **values})
    limits = (settings.max_candidates, settings.max_per_class)
    if min(limits) < 1 or max(limits) > MOST:
        raise ValueError(f"its numbers of boxes are {limits}, not 1 to {MOST}")
    penalty = settings.group_penalty
    if not isinstance(penalty, Real) or isinstance(penalty, bool) or not 0 <= penalty <= MOST:
        raise ValueError(f"its group_penalty is {penalty!r}, no number from 0 up")
    return settings
