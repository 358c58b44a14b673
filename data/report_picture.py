"""The picture of the report in the README, taken from its page in Debian's chromium.

Renders scenes, evaluates the detector that ships on them, and takes the top of the report's page.

    python data/report_picture.py --to data/pictures
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import sppdet
from sppdet.datasets.scenes import write_scenes

SCENES, SEED = 60, 9
WINDOW = (1180, 1100)


def main() -> None:
    """Render, evaluate, and take the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, required=True, help="folder of the picture")
    options = parser.parse_args()
    browser = shutil.which("chromium")
    if browser is None:
        sys.exit("no chromium is here: apt-get install chromium")
    model = Path(sppdet.__file__).parent / "weights" / "detector.safetensors"
    with tempfile.TemporaryDirectory() as place:
        write_scenes(Path(place) / "scenes", SCENES, seed=SEED)
        shutil.copy(model, Path(place) / "fruit.safetensors")
        words = ["evaluate", "scenes", "--model", "fruit.safetensors", "--report", "report"]
        subprocess.run([sys.executable, "-m", "sppdet", *words], check=True, cwd=place)
        shot = Path(place) / "shot.png"
        flags = ["--headless=new", "--no-sandbox", "--hide-scrollbars", f"--screenshot={shot}"]
        flags.append(f"--window-size={WINDOW[0]},{WINDOW[1]}")
        page = (Path(place) / "report" / "index.html").as_uri()
        subprocess.run([browser, *flags, page], check=True)
        file = options.to / "report.png"
        Image.open(shot).convert("P", palette=Image.Palette.ADAPTIVE, colors=256).save(
            file, optimize=True
        )
    print(f"{file}: {file.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
