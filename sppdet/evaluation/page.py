"""The page of a report: its style and its sections as HTML. It fits a window 500 pixels wide."""

from collections.abc import Mapping, Sequence
from typing import Any

from sppdet.datasets.base import Dataset
from sppdet.evaluation import charts
from sppdet.evaluation.errors import KINDS
from sppdet.evaluation.gallery import Picture
from sppdet.evaluation.intervals import Interval
from sppdet.evaluation.tables import in_brackets, percent
from sppdet.evaluation.thresholded import Thresholded
from sppdet.evaluation.voc import VocResult
from sppdet.runtime.names import as_html
from sppdet.runtime.outputs import MARK
from sppdet.runtime.words import counted

COLOURS = ("#f59e0b", "#8b5cf6", "#ec4899", "#ef4444", "#6b7280", "#2563eb")

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#111827;max-width:1120px;margin:24px auto;
padding:0 20px;overflow-wrap:anywhere}
h1{font-size:24px;margin:0 0 2px}h2{font-size:18px;margin:34px 0 8px}p{margin:6px 0;max-width:860px}
.sub{color:#6b7280}.tiles{display:flex;gap:12px;flex-wrap:wrap;margin:16px 0}
.tile{background:#f3f4f6;border-radius:8px;padding:10px 18px}.tile b{display:block;font-size:24px}
.tile span{color:#4b5563;font-size:13px}table{border-collapse:collapse;font-size:14px}
.scroll{overflow-x:auto;max-width:100%}.tall{max-height:420px;overflow-y:auto}
th,td{text-align:right;padding:4px 10px;border-bottom:1px solid #e5e7eb;white-space:nowrap}
th{color:#4b5563;font-weight:600}td:first-child,th:first-child{text-align:left}
.tall tr:first-child th{position:sticky;top:0;background:#fff}
.matrix th,.matrix td{padding:3px 7px}.turned{vertical-align:bottom}
.turned span{writing-mode:vertical-rl;transform:rotate(180deg)}
tr.mean td{font-weight:700}.two{display:flex;gap:28px;flex-wrap:wrap}
.two>div{max-width:100%}svg{max-width:100%;height:auto}.cards{display:grid;gap:14px;
grid-template-columns:repeat(auto-fill,minmax(min(530px,100%),1fr))}
.card{border:1px solid #e5e7eb;border-radius:8px;padding:8px 12px}
.card h3{font-size:15px;margin:0 0 4px}
.card h3 span{font-weight:400;color:#6b7280}.pictures{display:flex;flex-wrap:wrap;gap:12px}
figure{margin:0;max-width:min(320px,100%)}
figure img{display:block;border-radius:4px;max-height:200px;max-width:100%}
figcaption{font-size:12px;color:#4b5563}
figcaption b{color:#111827;display:block}
.red{color:#dc2626}.green{color:#16a34a}.blue{color:#2563eb}.magenta{color:#c026d3}
"""

MISTAKES = (
    'The false positives with the highest scores: <b class="red">red</b> the detection, '
    '<b class="green">green</b> the annotated objects.'
)
MISSES = (
    'The largest objects that no detection found at any score: <b class="blue">blue</b> the '
    'missed object, <b class="green">green</b> the annotated objects. "Best IoU" is the '
    "greatest IoU with a detection of the class."
)
CORRECT = (
    "True positives at the thresholds, those with the highest scores of each class: "
    '<b class="magenta">magenta</b> the detection, <b class="green">green</b> the annotated '
    "objects."
)


def whole_page(title: str, sections: Sequence[str]) -> str:
    """A page that needs no other file."""
    body = "\n".join(sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="generator" '
        f'content="{MARK}"><meta name="viewport" '
        f'content="width=device-width"><title>{as_html(title)}</title>'
        f"<style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def heading(
    dataset: Dataset,
    result: VocResult,
    shown: Thresholded,
    content: Mapping[str, Any],
    intervals: Mapping[str, Interval],
    title: str,
) -> str:
    """What was evaluated, and the figures over all classes."""
    truths = sum(entry.truths for entry in result.classes)
    found = sum(int(entry.hits.sum()) for entry in result.classes)
    where = "at the thresholds in use" if shown.given else "at the thresholds of the best F1"
    tiles = [
        (percent(result.map_area), "mean AP, area", intervals.get("map_area")),
        (percent(result.map_11), "mean AP, 11-point", intervals.get("map_11")),
        (percent(shown.recall()), f"recall {where}", None),
        (percent(shown.precision()), f"precision {where}", None),
        (percent(found / truths if truths else None), "objects found at any score", None),
    ]
    if "coco" in content:
        tiles.append((percent(content["coco"]["AP"]), "COCO AP, IoU 0.5 to 0.95", None))
    text = "".join(
        f'<div class="tile"><b>{value}</b><span>{label}{in_brackets(interval)}</span></div>'
        for value, label, interval in tiles
    )
    place = as_html(f"{dataset.path}{', ' + dataset.split if dataset.split else ''}")
    compared = ""
    if "comparison" in content:
        area = content["comparison"]["map_area"]
        compared = (
            f"<p><b>Comparison.</b> Mean area AP of B (<code>--compare</code>) minus A: "
            f"{100 * area['difference']:+.1f} points (95 % interval {100 * area['low']:+.1f} to "
            f"{100 * area['high']:+.1f}): {as_html(area['verdict'])}.</p>"
        )
    return (
        f"<h1>{as_html(title)}</h1>"
        f'<div class="sub">{place}: '
        f"{counted(len(dataset.images), 'image')}, {counted(truths, 'object')}, "
        f"{counted(len(result.matching.outcome), 'detection')}, IoU {result.iou:g}</div>"
        f'<div class="tiles">{text}</div>{compared}'
    )


def error_section(
    result: VocResult, top: Mapping[str, Mapping[str, int]], gains: Mapping[str, float]
) -> str:
    """The kinds of errors, and the mean AP that each costs."""
    totals = {kind: sum(counts[kind] for counts in top.values()) for kind in KINDS}
    truths = max(sum(entry.truths for entry in result.classes), 1)
    parts = [100 * totals[kind] / truths for kind in KINDS]
    names = [name for name in (*KINDS, "missed") if name in gains]
    lost = [100 * gains[name] for name in names]
    return (
        "<h2>Where mean AP is lost</h2><div class='two'><div><p>Mean area AP gained (points) if a "
        f"kind of error did not occur</p>{charts.bars(names, lost, '', COLOURS)}</div><div><p>"
        "Kinds among the best N detections of each class, N being its number of objects</p>"
        f"{charts.bars(KINDS, parts, ' %', COLOURS)}</div></div>"
        "<p class='sub'>Localisation: IoU with an object of the class from 0.1 to "
        f"{result.iou:g}. Duplicate: a detection with a higher score has found the object. "
        "Similar and other class: IoU of at least 0.1 with an object of that class. "
        "Background: all other false positives. "
        "Missed: objects that no detection finds at any score. (Hoiem et al., 2012)</p>"
    )


def cards(result: VocResult, points: Mapping[str, dict[str, float] | None]) -> str:
    """The curves and the histogram of each class."""
    shown = [
        f'<div class="card"><h3>{as_html(entry.name)} <span>AP {percent(entry.ap_area)}, '
        f"{counted(entry.truths, 'object')}, {counted(len(entry.scores), 'detection')}</span></h3>"
        f"{charts.precision_recall(entry, points[entry.name])}{charts.score_histogram(entry)}</div>"
        for entry in result.classes
        if entry.truths
    ]
    return (
        "<h2>Curves and scores</h2><p>Left: precision and recall; the thick line is the curve that "
        'area AP measures. Right: detections per score, <b class="green">right</b> and '
        '<b class="red">wrong</b>; heights grow with the logarithm of the counts.</p>'
        f'<div class="cards">{"".join(shown)}</div>'
    )


def gallery(title: str, pictures: Sequence[Picture], explanation: str) -> str:
    """Pictures with their captions."""
    figures = "".join(
        f'<figure><img src="data:image/jpeg;base64,{p.jpeg}" alt="{as_html(p.title)}"><figcaption>'
        f"<b>{as_html(p.title)}</b>{as_html(p.detail)}</figcaption></figure>"
        for p in pictures
    )
    inner = f'<div class="pictures">{figures}</div>' if figures else "<p>There are none.</p>"
    return f"<h2>{title}</h2><p>{explanation}</p>{inner}"
