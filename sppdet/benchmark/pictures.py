"""The benchmark as pictures: stacked bars of the stages, and curves of the growth."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sppdet.benchmark.speed import Row
from sppdet.runtime.files import atomic_path
from sppdet.runtime.outputs import MARK

STAGES = {
    "proposals": "#94a3b8",
    "crops": "#f59e0b",
    "convolution": "#2563eb",
    "windows": "#a78bfa",
    "pooling": "#16a34a",
    "fully connected": "#0891b2",
    "scoring": "#dc2626",
    "suppression": "#0f172a",
}
"""The stages from left to right, and their colours."""


def draw_bars(rows: Sequence[Row], path: Path) -> None:
    """Write a PNG: every row as a bar of its stages; below, SPP-net's rows on an axis of their own.

    Raises:
        SppdetError: the file cannot be written.
    """
    fast = [row for row in rows if row.method == "spp"]
    parts = [("seconds per image", list(rows))]
    if fast and len(fast) < len(rows):
        parts.append(("seconds per image, SPP-net alone", fast))
    heights = [len(chosen) + 1.6 for _, chosen in parts]
    figure = Figure(figsize=(8.5, 0.42 * sum(heights) + 0.6), dpi=110, layout="constrained")
    grid = figure.subplots(len(parts), 1, squeeze=False, height_ratios=heights)
    for axes, (label, chosen) in zip(grid[:, 0], parts, strict=True):
        _bars(axes, chosen, label)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=len(labels),
        frameon=False,
        fontsize=8,
        handlelength=1,
        columnspacing=1.2,
    )
    _write(figure, path)


def draw_scaling(points: Sequence[dict[str, Any]], path: Path) -> None:
    """Write a PNG: seconds for the features against proposals and against the image's size.

    Raises:
        SppdetError: the file cannot be written.
    """
    figure = Figure(figsize=(8.5, 3.6), dpi=110, layout="constrained")
    titles = {"boxes": "proposals", "side": "longer side of the image, px"}
    for axes, (axis, title) in zip(figure.subplots(1, 2, sharey=True), titles.items(), strict=True):
        chosen = [point for point in points if point["axis"] == axis]
        for method, scales in dict.fromkeys((p["method"], tuple(p["scales"])) for p in chosen):
            mine = [p for p in chosen if (p["method"], tuple(p["scales"])) == (method, scales)]
            axes.plot(
                [p["value"] for p in mine],
                [p["seconds"] for p in mine],
                marker="o",
                label=_name(method, scales),
            )
        axes.set(xlabel=title, xscale="log", yscale="log")
        values = sorted({p["value"] for p in chosen})
        axes.set_xticks(values, [str(value) for value in values])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        if axis == "boxes":
            axes.set_ylabel("seconds for the features")
            axes.legend(frameon=False)
    _write(figure, path)


def _bars(axes: Axes, rows: list[Row], label: str) -> None:
    names = [f"{_name(row.method, row.scales)}, {_threads(row)}" for row in rows]
    left = [0.0] * len(rows)
    for stage, colour in STAGES.items():
        widths = [row.seconds.get(stage, 0.0) for row in rows]
        if any(widths):
            axes.barh(names, widths, left=left, color=colour, label=stage, height=0.7)
            left = [start + width for start, width in zip(left, widths, strict=True)]
    for number, end in enumerate(left):
        axes.text(end, number, f" {end:.2f} s", va="center", fontsize=8)
    axes.set_xlim(0, max(left) * 1.12)
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.spines[["top", "right"]].set_visible(False)


def _name(method: str, scales: tuple[int, ...]) -> str:
    if method == "rcnn":
        return "R-CNN"
    return f"SPP-net, {scales[0]} px" if len(scales) == 1 else f"SPP-net, {len(scales)} scales"


def _threads(row: Row) -> str:
    if row.device != "cpu":
        return row.device
    return f"{row.threads} thread{'s' if row.threads > 1 else ''}"


def _write(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": MARK})
