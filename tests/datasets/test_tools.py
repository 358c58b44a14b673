"""Small samples of what annotation tools and benchmarks write; each says the same two boxes."""

import json

import numpy as np
import pytest

from sppdet.datasets import FORMATS, read_dataset, splits
from sppdet.errors import SppdetError

RECTANGLE = {"label": "cat", "points": [[40, 60], [10, 20]], "shape_type": "rectangle"}
CIRCLE = {"label": "dog", "points": [[50, 40], [53, 44]], "shape_type": "circle"}

LABELME = {
    "version": "5.4.1",
    "flags": {},
    "shapes": [{**RECTANGLE, "group_id": None, "flags": {}}, CIRCLE],
    "imagePath": "..\\images\\a.jpg",
    "imageData": "aGVsbG8=",
    "imageHeight": 80,
    "imageWidth": 100,
}

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels><label><name>cat</name></label></labels></task>
</meta><image id="0" name="images/a.jpg" width="100" height="80">
<box label="cat" source="manual" occluded="0" xtl="10.00" ytl="20.00" xbr="40.00" ybr="60.00"
z_order="0">
<attribute name="x">1</attribute></box>
<ellipse label="dog" cx="50" cy="40" rx="5" ry="5"/></image>
<image id="1" name="images/b.jpg" width="100" height="80"></image></annotations>
"""

VIA_REGIONS = [
    {
        "shape_attributes": {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40},
        "region_attributes": {"type": "cat", "colour": "red"},
    },
    {
        "shape_attributes": {"name": "circle", "cx": 50, "cy": 40, "r": 5},
        "region_attributes": {"type": {"dog": True, "cat": False}, "colour": ""},
    },
]
VIA = {
    "a.jpg123": {"filename": "a.jpg", "size": 123, "regions": VIA_REGIONS, "file_attributes": {}},
    "b.jpg9": {"filename": "b.jpg", "size": 9, "regions": [], "file_attributes": {}},
}
VIA_1 = {
    key: {**entry, "regions": {str(k): one for k, one in enumerate(entry["regions"])}}
    for key, entry in VIA.items()
}


def via_csv() -> str:
    text = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
    text += "region_attributes\n"
    for k, one in enumerate(VIA_REGIONS):
        cells = (json.dumps(one[key]).replace('"', '""') for key in one)
        text += f'a.jpg,123,"{{}}",2,{k},' + ",".join(f'"{cell}"' for cell in cells) + "\n"
    return text + 'b.jpg,9,"{}",0,0,"{}","{}"\n'


CREATEML = [
    {
        "image": "a.jpg",
        "annotations": [
            {"label": "cat", "coordinates": {"x": 25, "y": 40, "width": 30, "height": 40}},
            {"label": "dog", "coordinates": {"x": 50, "y": 40, "width": 10, "height": 10}},
        ],
    },
    {"image": "b.jpg", "annotations": []},
]

SIZE = {"original_width": 100, "original_height": 80, "image_rotation": 0}
STUDIO_RESULT = [
    {
        "id": "x1",
        "type": "rectanglelabels",
        "from_name": "label",
        **SIZE,
        "value": {
            "x": 10,
            "y": 25,
            "width": 30,
            "height": 50,
            "rotation": 0,
            "rectanglelabels": ["cat"],
        },
    },
    {
        "id": "x2",
        "type": "ellipselabels",
        **SIZE,
        "value": {"x": 50, "y": 50, "radiusX": 5, "radiusY": 6.25, "ellipselabels": ["dog"]},
    },
]
STUDIO = [
    {
        "id": 1,
        "data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"},
        "annotations": [
            {"id": 4, "was_cancelled": True, "result": []},
            {"id": 5, "was_cancelled": False, "result": STUDIO_RESULT},
        ],
    },
    {
        "id": 2,
        "data": {"image": "/data/local-files/?d=photos%2Fb.jpg"},
        "annotations": [{"id": 6, "result": []}],
    },
]
STUDIO_MIN = [
    {
        "image": "http://localhost:8080/data/upload/1/0a1b2c3d-a.jpg",
        "id": 1,
        "label": [{**one["value"], **SIZE} for one in STUDIO_RESULT],
    },
    {"image": "b.jpg", "id": 2, "label": []},
]

KITTI = (
    "cat 0.00 0 -1.58 10.00 20.00 40.00 60.00 1.89 0.48 1.20 1.84 1.47 8.41 0.01\n"
    "dog 0.00 0 -1.58 45.00 35.00 55.00 45.00 1.89 0.48 1.20 1.84 1.47 8.41 0.01\n"
    "DontCare -1 -1 -10 0.00 0.00 9.00 9.00 -1 -1 -1 -1000 -1000 -1000 -10\n"
)

OPEN_IMAGES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf\n"
    "a,xclick,/m/01,1,0.1,0.4,0.25,0.75,0,0,0\na,xclick,/m/02,1,0.45,0.55,0.4375,0.5625,0,0,1\n"
)

SUPERVISELY = {
    "description": "",
    "tags": [],
    "size": {"height": 80, "width": 100},
    "objects": [
        {
            "classTitle": "cat",
            "geometryType": "rectangle",
            "points": {"exterior": [[10, 20], [39, 59]], "interior": []},
        },
        {
            "classTitle": "dog",
            "geometryType": "polygon",
            "points": {"exterior": [[45, 40], [50, 35], [55, 40], [50, 45]], "interior": []},
        },
    ],
}

SAMPLES = {
    "labelme beside": ("labelme", {"a.json": LABELME}),
    "labelme in a folder": ("labelme", {"labels/a.json": LABELME}),
    "labelme by path": ("labelme", {"labels/0007.json": LABELME}),
    "cvat": ("cvat", {"annotations.xml": CVAT}),
    "cvat, a single folder": ("cvat", {"annotations/my task.xml": CVAT}),
    "via 2": ("via", {"via_region_data.json": VIA}),
    "via 1": ("via", {"via_region_data.json": VIA_1}),
    "via project": ("via", {"p.json": {"_via_settings": {}, "_via_img_metadata": VIA}}),
    "via csv": ("via", {"via_export.csv": via_csv()}),
    "createml": ("createml", {"_annotations.createml.json": CREATEML}),
    "label studio": ("labelstudio", {"project-1-at-2024.json": STUDIO}),
    "label studio, short": ("labelstudio", {"min.json": STUDIO_MIN}),
    "kitti": ("kitti", {"label_2/a.txt": KITTI}),
    "open images": (
        "openimages",
        {
            "train-annotations-bbox.csv": OPEN_IMAGES,
            "class-descriptions-boxable.csv": "/m/01,cat\n/m/02,dog\n",
        },
    ),
    "supervisely": ("supervisely", {"meta.json": {}, "ds/ann/a.jpg.json": SUPERVISELY}),
}


def lay_out(tmp_path, make_image, files, folder="images"):
    for name in ("a.jpg", "b.jpg"):
        make_image(tmp_path / folder / name)
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_of_each_format(tmp_path, make_image, sample):
    format, files = SAMPLES[sample]
    folder = {"kitti": "image_2", "supervisely": "ds/img"}.get(format, "images")
    folder = "." if sample == "labelme beside" else folder
    lay_out(tmp_path, make_image, files, folder)
    dataset = read_dataset(tmp_path)
    assert dataset.format == format
    assert dataset.classes == ("cat", "dog")
    assert [str(problem) for problem in dataset.problems] == []
    assert dataset.images[0].name == "a.jpg"
    entry = dataset.annotations(0)
    np.testing.assert_allclose(entry.boxes, [[10, 20, 40, 60], [45, 35, 55, 45]], atol=1e-4)
    assert entry.labels.tolist() == [0, 1]
    assert entry.crowd.tolist() == [False, format == "openimages"]
    assert all(len(other) == 0 for other in dataset.all_annotations()[1:])
    assert len(dataset) == (1 if format == "openimages" else 2)


def test_every_format_has_a_sample():
    tested_elsewhere = {"voc", "coco", "yolo", "folder", "csv", "visdrone", "mot"}
    assert {format for format, _ in SAMPLES.values()} | tested_elsewhere == set(FORMATS)


def test_visdrone(tmp_path, make_image):
    lines = ["10,20,30,40,1,1,0,0", "50,20,30,40,0,4,0,0,", "0,0,9,9,0,0,0,0", "0,0,9,9,1,11,0,0"]
    root = tmp_path / "VisDrone2019-DET-train"
    lay_out(root, make_image, {"annotations/a.txt": "\n".join(lines), "annotations/b.txt": ""})
    dataset = read_dataset(tmp_path)
    assert dataset.format == "visdrone"
    assert dataset.classes[:4] == ("pedestrian", "people", "bicycle", "car")
    entry = dataset.annotations(0)
    np.testing.assert_array_equal(entry.boxes, [[10, 20, 40, 60], [50, 20, 80, 60]])
    assert (entry.labels.tolist(), entry.difficult.tolist()) == ([0, 3], [False, True])
    assert "2 ignored regions and other objects are left out" in dataset.notes


@pytest.mark.parametrize("labels", [None, "cat\ndog\n"])
def test_mot(tmp_path, make_image, labels):
    for split in ("train", "test"):
        for frame in (1, 2, 3):
            make_image(tmp_path / split / "MOT-01" / "img1" / f"{frame:06}.jpg")
    truth = tmp_path / "train" / "MOT-01" / "gt" / "gt.txt"
    truth.parent.mkdir()
    truth.write_text("1,1,11,21,30,40,1,1,0.86\n3,1,11,21,30,40,0,2,0.5\n9,1,1,1,9,9,1,1,1\n")
    if labels:
        truth.with_name("labels.txt").write_text(labels)
    dataset = read_dataset(tmp_path)
    assert dataset.classes == (("cat", "dog") if labels else ("pedestrian", "person on vehicle"))
    assert [len(entry) for entry in dataset.all_annotations()] == [1, 0, 1]
    np.testing.assert_array_equal(dataset.annotations(0).boxes, [[10, 20, 40, 60]])
    assert dataset.annotations(2).difficult.tolist() == [True]
    assert [problem.kind for problem in dataset.problems] == ["missing image"]
    assert splits(tmp_path) == ["train"]


def test_cvat_subsets_turned_boxes_and_other_shapes(tmp_path, make_image):
    text = CVAT.replace('height="80">', 'height="80" subset="Train">', 1)
    text = text.replace('z_order="0"', 'z_order="0" rotation="90"')
    text = text.replace("</image>", '<points label="cat" points="1,2"/></image>', 1)
    lay_out(tmp_path, make_image, {"annotations.xml": text})
    assert splits(tmp_path) == ["other", "train"]
    dataset = read_dataset(tmp_path, "train")
    np.testing.assert_allclose(dataset.annotations(0).boxes[0], [5, 25, 45, 55], atol=1e-4)
    assert [problem.message for problem in dataset.problems] == [
        "images/a.jpg: points: has no box, left out"
    ]


def test_cvat_in_latin_1(tmp_path, make_image):
    make_image(tmp_path / "x.jpg")
    box = '<box label="M\xf6hre" xtl="1" ytl="2" xbr="30" ybr="40"/>'
    text = f'<annotations><image name="x.jpg" width="100" height="80">{box}</image></annotations>'
    (tmp_path / "a.xml").write_bytes(text.encode("latin-1"))
    dataset = read_dataset(tmp_path)
    assert dataset.classes == ("Möhre",)
    assert [problem.kind for problem in dataset.problems] == ["other encoding"]


def test_label_studio_turns_about_the_corner(tmp_path, make_image):
    """In pixels: 10, 20, 30 wide and 40 high, by 90 degrees to the left of the corner."""
    turned = json.loads(json.dumps(STUDIO))
    turned[0]["annotations"][1]["result"][0]["value"].update(x=50, rotation=90)
    lay_out(tmp_path, make_image, {"s.json": turned})
    boxes = read_dataset(tmp_path).annotations(0).boxes
    np.testing.assert_allclose(boxes[0], [10, 20, 50, 50], atol=1e-4)


def test_label_studio_tasks_without_annotation_are_counted(tmp_path, make_image):
    bare = {"id": 3, "data": {"image": "b.jpg"}, "annotations": []}
    lay_out(tmp_path, make_image, {"s.json": [STUDIO[0], bare]})
    dataset = read_dataset(tmp_path)
    assert len(dataset) == 1
    assert "1 of 2 tasks have no annotation" in str(dataset.problems[0])


def test_via_with_several_attributes(tmp_path, make_image):
    text = json.dumps(VIA).replace('"type"', '"shade"')
    lay_out(tmp_path, make_image, {"v.json": text})
    with pytest.raises(
        SppdetError, match="attributes colour, shade; call the one that is the class"
    ):
        read_dataset(tmp_path)


def test_labelme_shapes_without_box(tmp_path, make_image):
    shapes = [
        {"label": "cat", "points": [[1, 2]], "shape_type": "point"},
        {"label": "", "points": [[1, 2], [9, 9]], "shape_type": "rectangle"},
        {"label": "cat", "points": [[1, 2], [9, 9], [4, 20]]},
        {"label": "cat", "points": "abc"},
        {"points": []},
        "nothing",
    ]
    lay_out(tmp_path, make_image, {"images/a.json": {**LABELME, "shapes": shapes}})
    dataset = read_dataset(tmp_path)
    np.testing.assert_array_equal(dataset.annotations(0).boxes, [[1, 2, 9, 20]])
    assert [problem.kind for problem in dataset.problems] == ["bad object"] * 5


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"x.json": LABELME | {"imagePath": "x.jpg"}}, r"1 LabelMe file such as x.json, but no"),
        ({"x.xml": "<annotations><track/></annotations>"}, "CVAT XML of a video"),
        ({"c.json": [{"image": "x.jpg", "annotations": []}]}, "names 1 image such as x.jpg"),
    ],
)
def test_what_comes_close_is_named(tmp_path, make_image, files, message):
    lay_out(tmp_path, make_image, files)
    with pytest.raises(SppdetError, match=message):
        read_dataset(tmp_path)
