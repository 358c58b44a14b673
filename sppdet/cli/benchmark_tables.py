"""What ``sppdet benchmark`` prints."""

from rich.console import Console
from rich.table import Table

from sppdet.benchmark.accuracy import Accuracy
from sppdet.benchmark.speed import CLAIMS, Row
from sppdet.cli.progress import console


def speed_table(rows: list[Row]) -> Table:
    """Seconds per image by stage, a row of the table for each measurement."""
    stages = dict.fromkeys(name for row in rows for name in row.seconds)
    last = ("features", "total")
    names = [name for name in stages if name not in last] + list(last)
    table = Table(box=None, header_style="bold", title="seconds per image (medians)")
    heads = ["method", "scales", "threads", "boxes", *names, "features", "total", "paper"]
    for head in heads:
        left = head in ("method", "scales")
        table.add_column(head, justify="left" if left else "right", no_wrap=True)
    for row in rows:
        ratio = [f"{row.ratio[name]:.1f} x" if row.ratio else "-" for name in last]
        table.add_row(
            {"rcnn": "R-CNN", "spp": "SPP-net"}[row.method],
            _scales(row.scales),
            str(row.threads),
            str(row.boxes_found),
            *(f"{row.seconds[name]:.3f}" if name in row.seconds else "-" for name in names),
            *ratio,
            CLAIMS.get(len(row.scales), "-") if row.method == "spp" else "1 x",
        )
    return table


def _scales(scales: tuple[int, ...]) -> str:
    return (
        f"{len(scales)}: {scales[0]} to {scales[-1]}"
        if len(scales) > 2
        else ",".join(map(str, scales))
    )


def print_batches(out: Console, batches: dict[int, dict[str, dict[int, float]]]) -> None:
    """Print the milliseconds per crop of R-CNN by threads, memory layout and batch size."""
    for count, layouts in batches.items():
        for layout, found in layouts.items():
            text = ", ".join(f"{batch}: {value:.1f}" for batch, value in found.items())
            out.print(
                f"R-CNN, {count} threads, {layout}: ms per crop by batch {text}", highlight=False
            )
        best = {name: min(found.values()) for name, found in layouts.items()}
        if best["contiguous"] < best["channels_last"]:
            console.print("note: the contiguous layout is faster here than the one that is used")


def accuracy_table(found: list[Accuracy], rows: list[Row]) -> Table:
    """The mean AP of each method beside its seconds, which are in ``rows``."""
    table = Table(box=None, header_style="bold", title="what it gains and loses")
    for head in (
        "method",
        "scales",
        "boxes",
        "mAP 11-point",
        "95 %",
        "mAP area",
        "against R-CNN",
        "training, s",
        "features, s per image",
        "total",
    ):
        table.add_column(head, justify="left" if head in ("method", "scales") else "right")
    for entry in found:
        row = next(r for r in rows if (r.method, r.scales) == (entry.method, entry.scales))
        interval, change = entry.interval_11, entry.against_rcnn
        table.add_row(
            {"rcnn": "R-CNN", "spp": "SPP-net"}[entry.method],
            _scales(entry.scales),
            str(entry.boxes),
            f"{entry.map_11:.3f}",
            f"{interval.low:.3f} to {interval.high:.3f}",
            f"{entry.map_area:.3f}",
            f"{change.difference:+.3f} ({change.low:+.3f} to {change.high:+.3f})" if change else "",
            f"{entry.training_seconds:.0f}",
            f"{row.seconds['features']:.2f}",
            f"{row.seconds['total']:.2f}",
        )
    return table
