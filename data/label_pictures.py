"""The pictures of ``sppdet label`` in the documents, taken from the page in Debian's chromium.

Renders scenes, labels most of them, starts the server, waits for its detector, and writes
``label.jpg`` (a labelled photograph) and ``label_suggestions.jpg``, and ``label_why.jpg`` where the
server explains.

    python data/label_pictures.py --to data/pictures
"""

import argparse
import io
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys

from sppdet.datasets.scenes import write_scenes

SCENES, LABELLED, SEED = 24, 20, 12
SIZE = (560, 420)
WINDOW = (1240, 820)


def wait_for(condition: Callable[[], Any], seconds: float = 900) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit("the page does not get so far; look at it by hand")
        time.sleep(0.5)


def start_browser() -> Any:
    """A window of chromium without a screen."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(argument)
    options.add_argument(f"--window-size={WINDOW[0]},{WINDOW[1]}")
    driver = webdriver.ChromeService(shutil.which("chromedriver") or "chromedriver")
    return webdriver.Chrome(options=options, service=driver)


def take(browser: Any, path: Path) -> None:
    """Write what the window shows as a small JPEG."""
    picture = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    picture.save(path, quality=82, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def count(browser: Any, selector: str) -> int:
    """How many elements there are."""
    return len(browser.find_elements("css selector", selector))


def text(browser: Any, selector: str) -> str:
    """The text of an element; empty where there is none."""
    script = "return document.querySelector(arguments[0])?.innerText ?? ''"
    return str(browser.execute_script(script, selector))


def show(browser: Any, address: str, number: int) -> None:
    """Open a photograph, with the pointer beside it."""
    browser.get("about:blank")
    browser.get(f"{address}#{number}")
    wait_for(lambda: text(browser, "#photo"))
    stage = browser.find_element("id", "stage")
    ActionChains(browser).move_to_element_with_offset(stage, -300, 0).perform()


def pictures(browser: Any, address: str, to: Path) -> None:
    """Take the pictures."""
    show(browser, address, LABELLED)
    wait_for(lambda: "mAP" in text(browser, "#detector"))
    with_most = 0, 0
    for number in range(LABELLED, SCENES):
        show(browser, address, number)
        wait_for(lambda: "etector" in text(browser, "#detector"))
        time.sleep(4)
        with_most = max(with_most, (count(browser, "#objects .dashed"), number))
    show(browser, address, with_most[1])
    wait_for(lambda: count(browser, "#objects .dashed"))
    take(browser, to / "label_suggestions.jpg")
    ActionChains(browser).send_keys(Keys.ENTER, "s").perform()
    wait_for(lambda: text(browser, "#save") == "Saved")
    take(browser, to / "label.jpg")
    if not browser.find_element("id", "why").is_displayed():
        return
    ActionChains(browser).send_keys("w").perform()
    wait_for(lambda: "The SVM of" in text(browser, "#why-place"))
    time.sleep(1)
    take(browser, to / "label_why.jpg")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, required=True, help="folder of the pictures")
    to = parser.parse_args().to
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        photos, port = Path(folder) / "fruit", free.getsockname()[1]
        free.close()
        write_scenes(photos, SCENES, seed=SEED, size=SIZE)
        for annotation in sorted(photos.glob("*.xml"))[LABELLED:]:
            annotation.unlink()
        words = ["label", str(photos), "--port", str(port), "--no-browser"]
        server = subprocess.Popen([sys.executable, "-m", "sppdet", *words])
        browser = start_browser()
        try:
            with socket.socket() as probe:
                wait_for(lambda: probe.connect_ex(("127.0.0.1", port)) == 0)
            pictures(browser, f"http://127.0.0.1:{port}/", to)
        finally:
            browser.quit()
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
