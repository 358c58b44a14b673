"""The report of an evaluation in a real browser."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sppdet.datasets import read_dataset
from sppdet.datasets.scenes import write_scenes
from sppdet.detections import Detections
from sppdet.evaluation.intervals import bootstrap
from sppdet.evaluation.report import write_report
from sppdet.evaluation.voc import evaluate_voc


@pytest.mark.parametrize("width", [500, 800, 1400])
def test_the_page_does_not_scroll_sideways(browser: Any, tmp_path: Path, width: int) -> None:
    write_scenes(tmp_path / "scenes", 6, seed=3)
    dataset = read_dataset(tmp_path / "scenes")
    truths = dataset.all_annotations()
    found = [
        Detections(
            one.boxes + 9, one.labels, np.linspace(0.9, 0.1, len(one.boxes)), dataset.classes
        )
        for one in truths
    ]
    result = evaluate_voc(found, truths, dataset.classes)
    ranges = bootstrap(result, 6, 20)
    title = "Detections_of_a_file_with_a_very_long_name_in_one_word.safetensors"
    page = write_report(tmp_path / "r", dataset, result, result.to_json(), ranges, title)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get(page.as_uri())
        seen = browser.execute_script(
            "const page = document.documentElement;"
            "return [page.clientWidth, page.scrollWidth, page.scrollHeight, document.images.length,"
            " [...document.images].filter((one) => one.naturalWidth > 0).length]"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert seen[0] == seen[1]
    assert width - 20 <= seen[0] <= width  # less the bar at the right
    assert seen[2] > 900
    assert seen[3] == seen[4] > 0
