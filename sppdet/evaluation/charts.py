"""Small charts as SVG text, for pages that need nothing from elsewhere."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sppdet.evaluation.voc import ClassResult
from sppdet.runtime.names import as_html

WIDTH, HEIGHT = 250, 170
LEFT, RIGHT, TOP, BOTTOM = 36, 8, 8, 30
BLUE, GREEN, RED, GREY = "#2563eb", "#16a34a", "#dc2626", "#6b7280"


def precision_recall(entry: ClassResult, point: dict[str, float] | None) -> str:
    """The curve of a class, its envelope, and the point of the best F1."""
    body = [_frame("recall", "precision", [0, 0.5, 1], [0, 0.5, 1], 1, 1)]
    if entry.truths and len(entry.scores):
        keep = _thin(entry.recall_curve, entry.precision)
        body.append(_line(entry.recall_curve[keep], entry.precision[keep], BLUE, 0.45, 1))
        best = np.maximum.accumulate(entry.precision[::-1])[::-1]
        x = np.concatenate([[0], np.repeat(entry.recall_curve[entry.hits], 2)])
        y = np.repeat(best[entry.hits], 2)
        if len(y):
            x, y = x[:-1], y
            x, y = np.append(x, x[-1]), np.append(y, 0)
            body.append(_line(x, y, BLUE, 1, 1.8))
    if point is not None:
        left, top = _x(point["recall"]), _y(point["precision"])
        body.append(f'<circle cx="{left:.1f}" cy="{top:.1f}" r="4" fill="{GREEN}"/>')
        text = f"F1 {point['f1']:.2f}"
        side = "end" if left > WIDTH / 2 else "start"
        shift = -7 if side == "end" else 7
        drop = 14 if top < TOP + 16 else -6
        body.append(_text(left + shift, top + drop, text, side, GREEN))
    return _svg(body, f"Precision and recall of {entry.name}")


def score_histogram(entry: ClassResult, bins: int = 20) -> str:
    """How many detections of each score are right (green) and wrong (red), logarithmically."""
    if len(entry.scores) == 0:
        return _svg([_text(WIDTH / 2, HEIGHT / 2, "no detections", "middle")], "no detections")
    low, high = float(entry.scores.min()), float(entry.scores.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    if high <= low:
        high = low + 1
    edges = np.linspace(low, high, bins + 1)
    right = np.histogram(entry.scores[entry.hits], edges)[0]
    wrong = np.histogram(entry.scores[~entry.hits], edges)[0]
    top = float(np.log1p((right + wrong).max()))
    ticks = [low, (low + high) / 2, high]
    counts = [0, *(10**k for k in range(6) if np.log1p(10**k) <= top)]
    body = [
        _frame(
            "score",
            "detections",
            ticks,
            [],
            high - low,
            1,
            low,
        )
    ]
    for count in counts:
        body.append(_text(LEFT - 4, _y(np.log1p(count) / top) + 4, f"{count}", "end"))
    step = (WIDTH - LEFT - RIGHT) / bins
    for k in range(bins):
        x = LEFT + k * step
        share = right[k] / max(right[k] + wrong[k], 1)
        whole = np.log1p(right[k] + wrong[k]) / top * (HEIGHT - TOP - BOTTOM)
        for colour, size, base in (
            (GREEN, whole * share, 0),
            (RED, whole * (1 - share), whole * share),
        ):
            if size > 0:
                y = HEIGHT - BOTTOM - base - size
                body.append(
                    f'<rect x="{x + 0.5:.1f}" y="{y:.1f}" width="{step - 1:.1f}" '
                    f'height="{size:.1f}" fill="{colour}"/>'
                )
    return _svg(body, f"Scores of {entry.name}")


def bars(names: Sequence[str], values: Sequence[float], unit: str, colours: Sequence[str]) -> str:
    """Horizontal bars with their values, one below the other."""
    top = max([*values, 1e-9])
    rows = []
    for k, (name, value) in enumerate(zip(names, values, strict=True)):
        y = 8 + 26 * k
        width = 300 * max(value, 0) / top
        rows.append(_text(124, y + 13, name, "end", "#111827"))
        rows.append(
            f'<rect x="132" y="{y}" width="{max(width, 1):.1f}" height="17" rx="2" '
            f'fill="{colours[k % len(colours)]}"/>'
        )
        rows.append(_text(138 + max(width, 1), y + 13, f"{value:.1f}{unit}", "start", "#111827"))
    height = 12 + 26 * len(names)
    return f'<svg viewBox="0 0 500 {height}" width="500" role="img">{"".join(rows)}</svg>'


def _x(part: float) -> float:
    return LEFT + part * (WIDTH - LEFT - RIGHT)


def _y(part: float) -> float:
    return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)


def _frame(
    below: str,
    beside: str,
    ticks_x: Sequence[float],
    ticks_y: Sequence[float],
    span_x: float,
    span_y: float,
    start_x: float = 0,
) -> str:
    parts = [
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}" fill="#f9fafb" stroke="#e5e7eb"/>'
    ]
    for value in ticks_x:
        side = "end" if value == ticks_x[-1] else "middle"
        parts.append(_text(_x((value - start_x) / span_x), HEIGHT - 17, f"{value:.3g}", side))
    for value in ticks_y:
        parts.append(_text(LEFT - 4, _y(value / span_y) + 4, f"{value:.3g}", "end"))
    parts.append(_text(_x(0.5), HEIGHT - 4, below, "middle"))
    parts.append(
        f'<text transform="translate(9,{_y(0.5):.0f}) rotate(-90)" text-anchor="middle" '
        f'font-size="11" fill="{GREY}">{beside}</text>'
    )
    return "".join(parts)


def _line(
    x: NDArray[np.float64], y: NDArray[np.float64], colour: str, opacity: float, width: float
) -> str:
    points = " ".join(f"{_x(a):.1f},{_y(b):.1f}" for a, b in zip(x, y, strict=True))
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" '
        f'stroke-width="{width}" stroke-opacity="{opacity}"/>'
    )


def _thin(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The points that differ from the one before on a grid of 1/500: thousands become hundreds."""
    cells = np.stack([np.round(recall * 500), np.round(precision * 500)], axis=1)
    return np.append(True, (np.diff(cells, axis=0) != 0).any(axis=1))


def _text(x: float, y: float, text: str, side: str, colour: str = GREY) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{side}" font-size="11" '
        f'fill="{colour}">{as_html(text)}</text>'
    )


def _svg(parts: Sequence[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{as_html(title)}">{"".join(parts)}</svg>'
    )
