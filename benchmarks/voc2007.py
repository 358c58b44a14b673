"""The protocol of PASCAL VOC 2007, beside the figures of the papers.

Trains on trainval and tests on test, once, with difficult objects left out and the 11-point average
precision, as the SPP-net paper (section 4) and the R-CNN paper do. A row is two commands of sppdet,
``train`` and ``evaluate``; what is done stays in the output folder, and the same command goes on.

    python tools/prepare_data.py voc2007 --to VOC
    python benchmarks/voc2007.py VOC/VOCdevkit/VOC2007 --output voc2007 --rows lite0,small

The weights of ZF-5 are a file of yours (``--weights zf5=FILE``); those of AlexNet and VGG-16 are
torchvision's, or a file. Published figures are of other weights of the same networks.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from running import start

from sppdet.datasets import read_dataset
from sppdet.errors import SppdetError
from sppdet.runtime.files import write_text
from sppdet.training.folds import data_digest

FIVE = "480,576,688,864,1200"
"""Short sides in pixels; SPP-net paper, section 4.1."""


@dataclass(frozen=True)
class Row:
    """A detector of the papers, or of this project.

    Attributes:
        words: options of ``sppdet train``.
        published: mean AP in per cent, None without a published figure.
        source: of that figure.
    """

    words: tuple[str, ...]
    published: float | None = None
    source: str = ""


def _spp(trunk: str, scales: str, *words: str) -> tuple[str, ...]:
    return ("--trunk", trunk, "--scales", scales, *words)


def _rcnn(trunk: str, *words: str) -> tuple[str, ...]:
    return ("--trunk", trunk, "--method", "rcnn", *words)


_SVMS = ("--no-box-regression", "--positive-iou", "1")
"""SVMs of the papers: the ground truth is the only positive."""

_SPP_TABLE, _RCNN_TABLE = "SPP-net, VOC 2007 table", "R-CNN (Alex-5), SPP-net's VOC 2007 table"

ROWS = {
    "lite0": Row(("--trunk", "lite0")),
    "small": Row(("--trunk", "small")),
    "zf5-pool5": Row(_spp("zf5", "688", *_SVMS), 43.0, _SPP_TABLE),
    "zf5-pool5-five": Row(_spp("zf5", FIVE, *_SVMS), 44.9, _SPP_TABLE),
    "zf5-fc7": Row(_spp("zf5", "688", "--heads", "connected-svm"), 58.0, _SPP_TABLE),
    "zf5-fc7-five": Row(_spp("zf5", FIVE, "--heads", "connected-svm"), 59.2, _SPP_TABLE),
    "alexnet-pool5": Row(_spp("alexnet", "688", *_SVMS)),
    "alexnet-fc6": Row(_spp("alexnet", "688", "--layer", "fc6", *_SVMS)),
    "alexnet-fc7": Row(_spp("alexnet", "688", "--heads", "connected-svm")),
    "alexnet-fc7-five": Row(_spp("alexnet", FIVE, "--heads", "connected-svm")),
    "alexnet-rcnn-pool5": Row(_rcnn("alexnet", "--layer", "pool5", *_SVMS), 44.2, _RCNN_TABLE),
    "alexnet-rcnn-fc6": Row(_rcnn("alexnet", "--layer", "fc6", *_SVMS), 46.2, _RCNN_TABLE),
    "alexnet-rcnn-fc7": Row(_rcnn("alexnet", "--heads", "connected-svm"), 58.5, _RCNN_TABLE),
    "vgg16-fc7": Row(_spp("vgg16", "688", "--heads", "connected-svm"), 63.1, "SPP-net, VGG-16"),
    "vgg16-rcnn-fc7": Row(_rcnn("vgg16", "--heads", "connected-svm"), 66.0, "R-CNN, VGG-16"),
}


def run(words: list[str], log: Path) -> float:
    """Seconds of a command of sppdet, whose output goes to a file."""
    start = time.perf_counter()
    with log.open("ab") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "sppdet", *words], stdout=stream, stderr=subprocess.STDOUT
        )
    if done.returncode not in (0, 1):  # 1: some images could not be read, and the log says which
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise SystemExit(f"{' '.join(words[:2])} failed; {log}: {' '.join(last)}")
    return time.perf_counter() - start


def _trunk(row: Row) -> str:
    return row.words[row.words.index("--trunk") + 1]


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train and test one row, or read what an earlier run found."""
    folder: Path = options.output / name
    row, result = ROWS[name], folder / "row.json"
    device = ["--device", options.device] if options.device else []
    words = [*row.words, *device]
    if _trunk(row) in options.weights:
        words += ["--weights", options.weights[_trunk(row)]]
    command = " ".join(["sppdet train", str(options.data), "--split trainval", *words])
    content: dict[str, Any] = {"command": command, "data": options.digests}
    if result.exists():
        content = json.loads(result.read_text(encoding="utf-8"))
        if content["command"] != command:
            raise SystemExit(f"{folder}: is of another command, {content['command']}; remove it")
        if content.get("data") != options.digests:
            raise SystemExit(f"{folder}: is of other data or other labels; remove it")
    model, report, log = folder / "model.safetensors", folder / "ap.json", folder / "log.txt"
    data = str(options.data)
    if "training_seconds" not in content:
        folder.mkdir(parents=True, exist_ok=True)
        train = ["train", data, "--split", "trainval", "--output", str(model), *words]
        content["training_seconds"] = round(run(train, log), 1)
        write_text(result, json.dumps(content, indent=1) + "\n")
    if "map_11" not in content:
        test = ["evaluate", data, "--split", "test", "--model", str(model), "--json", str(report)]
        content["test_seconds"] = round(run([*test, *device], log), 1)
        found = json.loads(report.read_text(encoding="utf-8"))
        content["map_11"] = found["map_11"]
        content["interval"] = found["intervals_95"]["map_11"]
        content |= {"published": row.published, "source": row.source}
    write_text(result, json.dumps(content, indent=1) + "\n")
    return content


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown, in per cent."""
    lines = ["| row | mAP, 11-point (95 %) | published | training, s | test, s |"]
    lines += ["|---|---|---|---|---|"]
    for name, row in rows.items():
        published = "" if row["published"] is None else f"{row['published']} ({row['source']})"
        low, high = (f"{100 * row['interval'][side]:.1f}" for side in ("low", "high"))
        lines.append(
            f"| {name} | {100 * row['map_11']:.1f} ({low} to {high}) | {published} "
            f"| {row['training_seconds']} | {row['test_seconds']} |"
        )
    return "\n".join(lines)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The options; exits with 2 where a name is unknown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="VOC2007, with JPEGImages and ImageSets")
    parser.add_argument("--output", type=Path, required=True, help="folder of models and results")
    parser.add_argument("--rows", help=f"by comma; default: all of {', '.join(ROWS)}")
    parser.add_argument("--weights", action="append", default=[], metavar="TRUNK=FILE")
    parser.add_argument("--device", help="such as cpu or cuda; default: a GPU, if there is one")
    options = parser.parse_args(words)
    options.rows = options.rows.split(",") if options.rows else list(ROWS)
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error(f"--rows {unknown[0]}: choose from {', '.join(ROWS)}")
    pairs = [pair.partition("=") for pair in options.weights]
    if any(not value for _, _, value in pairs):
        parser.error("--weights: needs TRUNK=FILE")
    options.weights = {name: value for name, _, value in pairs}
    trunks = sorted({_trunk(ROWS[name]) for name in options.rows})
    for name, value in options.weights.items():
        if name not in trunks:
            parser.error(
                f"--weights {name}={value}: the trunks of the rows are {', '.join(trunks)}"
            )
        if not Path(value).is_file():
            parser.error(f"--weights {name}={value}: no such file")
    if not options.data.is_dir():
        parser.error(f"{options.data}: no such folder")
    try:
        options.digests = [
            data_digest(read_dataset(options.data, part)) for part in ("trainval", "test")
        ]
    except SppdetError as error:
        parser.error(f"{error}; the protocol needs VOC's splits trainval and test")
    return options


def main() -> None:
    """Measure the rows, one after the other, and print the table after each."""
    options = parse()
    rows: dict[str, dict[str, Any]] = {}
    for name in options.rows:
        rows[name] = measure(name, options)
        write_text(options.output / "voc2007.json", json.dumps(rows, indent=1) + "\n")
        write_text(options.output / "voc2007.md", table(rows) + "\n")
    print(table(rows))


if __name__ == "__main__":
    start(main)
