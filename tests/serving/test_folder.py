"""Which pictures of a folder are photographs to label."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sppdet.serving.folder import PhotoFolder

LABEL = """<annotation><filename>plain.jpg</filename>
<object><name>apple</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"""


def pictures(folder: Path, names: list[str]) -> None:
    for name in names:
        Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(folder / name)


@pytest.mark.parametrize(
    ("names", "left_out"),
    [
        (["plain.jpg", "other.png"], []),
        (["plain.jpg", "plain.png", "other.png"], ["plain.png"]),
        (["plain.jpg", "plain.png", "plain.bmp"], ["plain.bmp", "plain.png"]),
    ],
)
def test_a_picture_with_the_labels_of_another_is_named(
    names: list[str], left_out: list[str], tmp_path: Path
) -> None:
    pictures(tmp_path, names)
    (tmp_path / "plain.xml").write_text(LABEL, encoding="utf-8")
    found = PhotoFolder(tmp_path)
    assert found.left_out == left_out
    assert sorted(found.names + left_out) == sorted(names)
