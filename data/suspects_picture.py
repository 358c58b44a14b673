"""The picture of ``data suspects`` in the README, taken from its page in Debian's chromium.

Renders scenes, breaks three labels (one dropped, one of another class, one moved), runs the command
on them, and takes the top of its page.

    python data/suspects_picture.py --to data/pictures
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from PIL import Image

from sppdet.datasets.scenes import write_scenes

SCENES, SEED = 40, 5
WINDOW = (1000, 820)


def break_labels(folder: Path) -> None:
    """Drop a label of the first file that has several, rename one, and move one."""
    several = []
    for path in sorted(folder.glob("*.xml")):
        tree = ET.parse(path)
        if len(tree.findall("object")) > 2:
            several.append((path, tree))
    (dropped, first), (renamed, second), (moved, third) = several[:3]
    first.getroot().remove(first.findall("object")[0])
    name = second.findall("object")[0].find("name")
    assert name is not None
    name.text = "banana" if name.text != "banana" else "apple"
    box = third.findall("object")[0].find("bndbox")
    assert box is not None
    corners = {one.tag: float(one.text or 0) for one in box}
    shift = (corners["xmax"] - corners["xmin"]) / 2
    for one in box:
        if one.tag in ("xmin", "xmax"):
            one.text = f"{corners[one.tag] + (shift if corners['xmin'] < 150 else -shift):.1f}"
    for path, tree in ((dropped, first), (renamed, second), (moved, third)):
        tree.write(path)


def main() -> None:
    """Render, break, look, and take the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, required=True, help="folder of the picture")
    options = parser.parse_args()
    browser = shutil.which("chromium")
    if browser is None:
        sys.exit("no chromium is here: apt-get install chromium")
    with tempfile.TemporaryDirectory() as place:
        scenes, output = Path(place) / "scenes", Path(place) / "suspects"
        write_scenes(scenes, SCENES, seed=SEED, size=(320, 240))
        break_labels(scenes)
        words = ["data", "suspects", "scenes", "-o", "suspects", "--trunk", "small"]
        subprocess.run([sys.executable, "-m", "sppdet", *words], check=True, cwd=place)
        shot = Path(place) / "shot.png"
        flags = ["--headless=new", "--no-sandbox", "--hide-scrollbars", f"--screenshot={shot}"]
        flags.append(f"--window-size={WINDOW[0]},{WINDOW[1]}")
        subprocess.run([browser, *flags, (output / "index.html").as_uri()], check=True)
        file = options.to / "suspects.jpg"
        Image.open(shot).convert("RGB").save(file, quality=82, optimize=True)
    print(f"{file}: {file.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
