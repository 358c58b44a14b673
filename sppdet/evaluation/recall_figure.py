"""The recall of proposals as a figure (Hosang et al., 2016, section 5)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sppdet.errors import SppdetError
from sppdet.runtime.files import atomic_path
from sppdet.runtime.outputs import MARK


def draw_recall(path: Path, methods: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a PNG of three panels, with one curve for each method.

    They show the recall against the least IoU with all proposals, the recall at IoU 0.5 against
    the number of proposals, and the average recall against this number.

    Args:
        path: of the picture.
        methods: by name what :func:`sppdet.evaluation.proposals.evaluate_proposals` gives.

    Raises:
        SppdetError: the file cannot be written, or is no .png.
    """
    from matplotlib.figure import Figure

    if path.suffix.lower() != ".png":
        raise SppdetError(f"{path}: the figure is a PNG; give a name that ends in .png")
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    against_iou, against_number, average = figure.subplots(1, 3)
    most = max(content["numbers"][-1] for content in methods.values())
    for name, content in methods.items():
        curves = content["curves"]
        against_iou.plot(curves["ious"], curves["recall_against_iou"], ".-", label=name)
        against_number.plot(curves["numbers"], curves["recall_at_0.5"], ".-", label=name)
        average.plot(curves["numbers"], curves["average_recall"], ".-", label=name)
    against_iou.set(xlabel="least IoU", ylabel=f"recall of {most:,} proposals")
    against_number.set(xlabel="proposals per image", ylabel="recall at IoU 0.5", xscale="log")
    average.set(xlabel="proposals per image", ylabel="average recall, IoU 0.5 to 1", xscale="log")
    for axes in (against_iou, against_number, average):
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.3)
        axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": MARK})
