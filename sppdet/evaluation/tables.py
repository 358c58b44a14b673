"""The tables of a report as HTML: classes, the confusion matrix, all images."""

from collections.abc import Mapping, Sequence

import numpy as np

from sppdet.evaluation.intervals import Interval
from sppdet.evaluation.thresholded import Thresholded
from sppdet.evaluation.voc import VocResult
from sppdet.runtime.names import as_html
from sppdet.runtime.words import counted, verb

MOST_CLASSES = 40
"""Classes that the confusion matrix of a page has; the JSON has all."""


def class_table(
    result: VocResult,
    shown: Thresholded,
    intervals: Mapping[str, Interval],
    points: Mapping[str, Mapping[str, float] | None],
) -> str:
    """A row for each class with objects, the best first, and the mean."""
    rows = []
    order = np.argsort([-(entry.ap_area or 0.0) for entry in result.classes], kind="stable")
    for label in order.tolist():
        entry = result.classes[label]
        if not entry.truths:
            continue
        point = points[entry.name] or {}
        cells = [
            as_html(entry.name),
            str(entry.truths),
            percent(entry.ap_area) + in_brackets(intervals.get(entry.name)),
            percent(entry.ap_11),
            number(shown.thresholds[label]),
            percent(shown.recall(label)),
            percent(shown.precision(label)),
            percent(entry.recall),
            percent(point.get("f1")),
            number(point.get("score")),
        ]
        rows.append(cells)
    mean = ["mean", "", percent(result.map_area), percent(result.map_11), *[""] * 6]
    head = (
        "class",
        "objects",
        "AP area",
        "AP 11-point",
        "threshold",
        "recall there",
        "precision there",
        "recall at any score",
        "best F1",
        "at score",
    )
    absent = sum(entry.truths == 0 for entry in result.classes)
    note = ""
    if absent:
        left = counted(absent, "class", "classes")
        note = f"<p class='sub'>{left} without objects {verb(absent)} left out.</p>"
    source = (
        "The threshold is the one in use."
        if shown.given
        else "The thresholds of the detector are unknown; the threshold is that of the best F1 on "
        "these images."
    )
    return (
        f"<h2>Classes</h2><p>{source}</p>{_table(head, rows, last=_row(mean, ' class=mean'))}{note}"
    )


def confusion_table(result: VocResult, shown: Thresholded) -> str:
    """Annotated classes against detected classes, at the thresholds."""
    count = len(result.classes)
    errors = shown.confusion.copy()
    np.fill_diagonal(errors, 0)
    weight = errors.sum(axis=0)[:count] + errors.sum(axis=1)[:count]
    present = np.flatnonzero(shown.confusion.sum(axis=0)[:count] + weight)
    chosen = np.sort(present[np.argsort(-weight[present], kind="stable")][:MOST_CLASSES])
    lines = [*chosen.tolist(), count]
    names = [as_html(entry.name) for entry in result.classes]
    head = "".join(
        f'<th class="turned"><span>{(*names, "missed")[column]}</span></th>' for column in lines
    )
    body = []
    for row in lines:
        whole = max(int(shown.confusion[row].sum()), 1)
        cells = []
        for column in lines:
            value = int(shown.confusion[row, column])
            colour = "22,163,74" if row == column else "220,38,38"
            style = f' style="background:rgba({colour},{0.8 * value / whole:.2f})"' if value else ""
            cells.append(f"<td{style}>{value or ''}</td>")
        body.append(f"<tr><th>{(*names, 'background')[row]}</th>{''.join(cells)}</tr>")
    left = len(present) - len(chosen)
    note = ""
    if left:
        note = f" {counted(left, 'class', 'classes')} with fewer errors {verb(left)} left out."
    return (
        "<h2>Confusion matrix</h2><p>Rows: annotated objects. Columns: what the detector shows at "
        f"its thresholds, IoU of at least {result.iou:g}. The last column counts missed objects, "
        f"the last row detections where no object is.{note}</p>"
        f'<div class="scroll"><table class="matrix"><tr><th></th>{head}</tr>{"".join(body)}'
        "</table></div>"
    )


def image_table(names: Sequence[str], shown: Thresholded) -> str:
    """A row for each image, the one with most errors first."""
    errors = shown.by_image[:, 2] + shown.by_image[:, 3]
    rows = [
        [as_html(names[index]), *map(str, shown.by_image[index].tolist())]
        for index in np.argsort(-errors, kind="stable").tolist()
    ]
    head = ("image", "objects", "correct", "wrong", "missed")
    return (
        "<h2>All images</h2><p>At the thresholds; the image with most errors comes first.</p>"
        f"{_table(head, rows, 'scroll tall')}"
    )


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "scroll", last: str = ""
) -> str:
    titles = "".join(f"<th>{title}</th>" for title in head)
    body = "".join(map(_row, rows))
    return f'<div class="{kind}"><table><tr>{titles}</tr>{body}{last}</table></div>'


def _row(cells: Sequence[str], attribute: str = "") -> str:
    return f"<tr{attribute}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def percent(value: float | None) -> str:
    """``0.4567`` as ``45.7 %``; None as a dash."""
    return "-" if value is None else f"{100 * value:.1f} %"


def number(value: float | None) -> str:
    """Three digits; None as a dash."""
    return "-" if value is None else f"{value:.3g}"


def in_brackets(interval: Interval | None) -> str:
    """``(40 to 52)`` in percent, or nothing."""
    if interval is None:
        return ""
    return f' <span class="sub">({100 * interval.low:.0f} to {100 * interval.high:.0f})</span>'
