import json
import shutil

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from sppdet.cli.data import data_check
from sppdet.datasets import read_dataset
from sppdet.datasets.base import MOST_OBJECTS
from sppdet.datasets.check import check
from sppdet.datasets.contact_sheet import choose_images, contact_sheet


def call(*arguments):
    app = typer.Typer()
    app.command()(data_check)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path, make_image, make_xml):
    root = tmp_path / "photos"
    make_image(root / "a.jpg")
    make_xml(
        root / "a.xml", ("cat", 11, 11, 60, 60), ("cat", 11, 11, 60, 60), ("dog", 1, 1, 9, 9, 1)
    )
    make_image(root / "b.jpg", 90)
    make_xml(root / "b.xml", ("cat", 5, 5, 40, 40), ("dog", 5, 5, 40, 40), size=(90, 80))
    shutil.copy(root / "a.jpg", root / "c.jpg")
    make_image(root / "d.jpg", 80)
    content = (root / "d.jpg").read_bytes()
    (root / "d.jpg").write_bytes(content[: len(content) // 2])
    make_xml(root / "d.xml", ("owl", 5, 5, 50, 80), size=(80, 80))
    (root / "e.jpg").write_text("no image")
    return root


def test_counts_and_findings(folder):
    result = check(read_dataset(folder))
    facts = result.to_json()
    assert facts["images"] == 5
    assert facts["images_unreadable"] == 2
    assert facts["images_without_objects"] == 2
    assert (facts["objects"], facts["difficult"], facts["crowd"]) == (6, 1, 0)
    assert facts["classes"]["cat"]["objects"] == 3
    assert facts["classes"]["cat"]["images"] == 2
    assert facts["classes"]["cat"]["median_side"] == 50
    assert facts["sizes"] == {"small": 1, "medium": 5, "large": 0}
    assert facts["problem_kinds"] == {
        "duplicate box": 1,
        "identical image": 1,
        "two classes": 1,
        "unreadable image": 2,
    }
    assert json.dumps(facts)


def test_the_command_prints_and_writes(folder, tmp_path):
    options = ["--json", tmp_path / "c.json", "--contact-sheet", tmp_path / "sheet.jpg"]
    result = call(folder, *options, "--lines", "2")
    assert result.exit_code == 0, result.output
    assert "5 images (2 without objects, 2 unreadable), 6 objects" in result.output
    assert "... and 3 more" in result.output
    assert json.loads((tmp_path / "c.json").read_text())["objects"] == 6
    assert Image.open(tmp_path / "sheet.jpg").width == 4 * 262 + 6


def test_rare_classes_come_first(tmp_path, make_image, make_xml):
    for k in range(20):
        make_image(tmp_path / f"{k:02}.jpg")
        make_xml(tmp_path / f"{k:02}.xml", ("rare" if k == 13 else "common", 1, 1, 50, 50))
    dataset = read_dataset(tmp_path)
    order = choose_images(dataset)
    assert sorted(order) == list(range(20))
    assert 13 in order[:2]
    sheet = contact_sheet(dataset, 3)
    assert sheet.shape == (222 + 6, 4 * 262 + 6, 3)
    assert not np.array_equal(sheet[:, :262], np.full_like(sheet[:, :262], 255))


def test_coco128_reports_and_does_not_crash(shared_data, tmp_path):
    result = call(shared_data / "coco128", "--json", tmp_path / "c.json")
    assert result.exit_code == 0
    facts = json.loads((tmp_path / "c.json").read_text())
    assert (facts["images"], facts["objects"], facts["images_unreadable"]) == (128, 939, 0)
    assert set(facts["problem_kinds"]) <= {"duplicate box", "two classes"}


def test_a_deliberately_broken_copy_of_coco128(shared_data, tmp_path):
    content = json.loads((shared_data / "coco128" / "instances.json").read_text())
    folder = tmp_path / "broken"
    (folder / "images").mkdir(parents=True)
    names = [entry["file_name"] for entry in content["images"]]
    for name in names[3:]:
        shutil.copy(shared_data / "coco128" / "images" / name, folder / "images" / name)
    damaged = (shared_data / "coco128" / "images" / names[2]).read_bytes()
    (folder / "images" / names[2]).write_bytes(damaged[:2000])
    (folder / "images" / names[1]).write_text("this is no photograph")
    first = content["annotations"]
    first[0]["bbox"] = [-50, -50, 5000, 5000]
    first[1]["bbox"] = [10, 10, 0, 0]
    first[2]["bbox"] = [10, 10, -20, 5]
    first[3]["bbox"] = None
    first[4]["category_id"] = 12345
    first[5]["image_id"] = 999999999
    first.append(dict(first[10]))
    (folder / "instances.json").write_text(json.dumps(content))
    result = call(folder, "--json", tmp_path / "c.json", "--contact-sheet", tmp_path / "s.png")
    assert result.exit_code == 0, result.output
    kinds = json.loads((tmp_path / "c.json").read_text())["problem_kinds"]
    assert kinds["missing image"] == 1
    assert kinds["unreadable image"] == 2
    assert kinds["outside box"] == 1
    assert kinds["tiny box"] == 1
    assert kinds["inverted box"] == 1
    assert kinds["bad object"] == 2  # the box that is null comes from its polygon
    assert kinds["duplicate box"] >= 1


def test_the_command_says_what_is_background(tmp_path, make_image, make_xml):
    for folder, bare in (("a", 1), ("b", 4)):
        for k in range(5):
            make_image(tmp_path / folder / f"{k}.jpg")
            if k >= bare:
                make_xml(tmp_path / folder / f"{k}.xml", ("cat", 5, 5, 50, 50))
    result = call(tmp_path)
    assert "6 images (1 without objects" in result.output
    assert "note: 1 of 6 images has no annotation file: background" in result.output
    assert "4 of 5 images have no annotations; they are left out" in result.output
    assert "10 images (5 without objects" in call(tmp_path, "--background").output


def test_many_objects_in_one_image_are_bounded(tmp_path, make_image):
    """A label file of a megabyte; all pairs of its boxes would need 20 GB."""
    make_image(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 .2 .2\n" * 70_000)
    (tmp_path / "classes.txt").write_text("cat\n")
    dataset = read_dataset(tmp_path)
    assert [len(entry) for entry in dataset.all_annotations()] == [MOST_OBJECTS]
    assert [problem.kind for problem in dataset.problems] == ["too many objects"]
    found = check(dataset)
    kinds = [problem.kind for problem in found.problems]
    assert kinds.count("duplicate box") == MOST_OBJECTS - 1
