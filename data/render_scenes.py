"""Render labelled scenes of fruit: a small data set, or the sample picture.

Examples:
    python data/render_scenes.py --to scenes --train 60 --test 30 --seed 0
    python data/render_scenes.py --sample data/sample/fruit.jpg
"""

import argparse
from pathlib import Path

from sppdet.datasets.scenes import render_scene, write_scene, write_scenes

SAMPLE_SEED = 414


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, help="folder that gets train/ and test/")
    parser.add_argument("--train", type=int, default=60, help="training scenes (default 60)")
    parser.add_argument("--test", type=int, default=30, help="test scenes (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="equal seeds give equal scenes")
    parser.add_argument("--size", default="400x300", help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--sample", type=Path, help="render the sample picture to this file")
    arguments = parser.parse_args()
    if arguments.sample is None and arguments.to is None:
        parser.error("give --to FOLDER or --sample FILE")
    if arguments.sample is not None:
        write_scene(render_scene(SAMPLE_SEED, (900, 600), (4, 5), (1, 2)), arguments.sample)
    if arguments.to is not None:
        width, height = (int(part) for part in arguments.size.split("x"))
        for split, count in (("train", arguments.train), ("test", arguments.test)):
            seed = 2 * arguments.seed + (split == "test")
            write_scenes(arguments.to / split, count, seed, (width, height))
            print(f"{arguments.to / split}: {count} scenes")


if __name__ == "__main__":
    main()
