"""Memory of Ray's workers over many photographs.

    python benchmarks/ray_memory.py data/sample/fruit.jpg --links 5000 --workers 2

makes a folder of links to one photograph, lets Ray's workers detect on them, and prints after each
tenth the most memory that any worker has had. It must stay as it is.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from running import start, whole

from sppdet.cli.detect import shipped_model
from sppdet.detector import Detector
from sppdet.scale.parts import ShardFolder
from sppdet.scale.places import Place, images_in
from sppdet.scale.ray_cluster import Engine
from sppdet.scale.ray_engine import run
from sppdet.scale.setting import Setting
from sppdet.scale.shards import Shard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--links", type=whole(1), default=5000)
    parser.add_argument("--workers", type=whole(1), default=2)
    parser.add_argument("--part-images", type=whole(1), default=50)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    detector = Detector.load(shipped_model(), "cpu")
    thresholds = dict(zip(detector.classes, map(float, detector.thresholds), strict=True))
    setting = Setting("0" * 64, detector.classes, thresholds)
    with tempfile.TemporaryDirectory() as temporary:
        links = Path(temporary) / "links"
        links.mkdir()
        for number in range(options.links):
            name = f"{number:06d}{options.photograph.suffix}"
            (links / name).symlink_to(options.photograph.resolve())
        source, output = Place.at(str(links)), Place.at(str(Path(temporary) / "found"))
        images, _ = images_in(source)
        folder = ShardFolder(output, Shard(1, 1), setting)
        folder.begin(images)
        engine = Engine(workers=options.workers, device="cpu")
        start, count, peak, rows = time.perf_counter(), 0, 0, []
        model = shipped_model().read_bytes()
        for done in run(engine, model, folder, source, images, options.part_images):
            before, count = count, count + len(done.part.images)
            peak = max(peak, done.peak)
            if count * 10 // options.links > before * 10 // options.links:
                seconds = time.perf_counter() - start
                rows.append({"images": count, "peak_mb": peak >> 20, "seconds": round(seconds, 1)})
                print("{images:>8} images {peak_mb:>6} MB {seconds:>8} s".format(**rows[-1]))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    start(main)
