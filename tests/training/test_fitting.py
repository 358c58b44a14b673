"""The search and the image sizes follow the sizes of the labelled objects."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from sppdet.datasets import read_dataset
from sppdet.errors import SppdetError
from sppdet.proposals.cache import ProposalCache
from sppdet.training.fitting import LADDER, fit_to_labels

COLOURS = np.array([(200, 30, 30), (30, 160, 60), (40, 60, 190)], np.uint8)


def write_images(folder: Path, side: int, images: int = 3) -> Path:
    """Images of 500 x 400 pixels with five squares of ``side`` pixels each, and YOLO labels."""
    folder.mkdir()
    (folder / "classes.txt").write_text("square\n")
    for number in range(images):
        random = np.random.default_rng(number)
        image = np.full((400, 500, 3), 120, np.uint8)
        image = (image + random.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)
        lines = []
        for place in range(5):
            left, top = 20 + 95 * place, int(random.integers(10, 390 - side))
            image[top : top + side, left : left + side] = COLOURS[place % 3]
            middle = (left + side / 2) / 500, (top + side / 2) / 400
            lines.append(f"0 {middle[0]} {middle[1]} {side / 500} {side / 400}")
        cv2.imwrite(str(folder / f"{number}.png"), image)
        (folder / f"{number}.txt").write_text("\n".join(lines))
    return folder


def test_large_objects_take_the_quickest_search_and_the_trunks_sizes(tmp_path: Path) -> None:
    dataset = read_dataset(write_images(tmp_path / "large", 90))
    fitted = fit_to_labels(dataset, (480,), cache=ProposalCache(tmp_path / "cache"))
    assert (fitted.proposals, fitted.max_boxes) == LADDER[0]
    assert fitted.scales == (480,)
    assert "15 objects in 3 images" in fitted.reason
    assert "108 px at 480" in fitted.reason
    assert fit_to_labels(dataset, (480,), workers=3) == fitted


def test_small_objects_take_a_finer_search_and_a_larger_image(tmp_path: Path) -> None:
    dataset = read_dataset(write_images(tmp_path / "small", 12))
    fitted = fit_to_labels(dataset, (480,), cache=ProposalCache(tmp_path / "cache"))
    assert (fitted.proposals, fitted.max_boxes) in LADDER[1:]
    assert fitted.scales == (480, 960)


def test_the_enlargement_follows_the_size(tmp_path: Path) -> None:
    dataset = read_dataset(write_images(tmp_path / "middle", 44))  # 53 px at 480
    fitted = fit_to_labels(dataset, (480,), cache=ProposalCache(tmp_path / "cache"))
    assert fitted.scales == (480, 720)


def test_unreadable_images_are_left_to_training(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "data", 90)
    dataset = read_dataset(folder)
    (folder / "0.png").write_bytes(b"no image")
    assert "in 2 images" in fit_to_labels(dataset, (480,)).reason
    for path in folder.glob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(SppdetError, match=r"no image has .* none of them can be read"):
        fit_to_labels(dataset, (480,))
