"""Damaged annotation files end in a result or in a SppdetError, and in nothing else."""

import importlib.util
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sppdet.datasets import read_dataset
from sppdet.errors import SppdetError

SPEC = importlib.util.spec_from_file_location("tools", Path(__file__).with_name("test_tools.py"))
assert SPEC is not None
assert SPEC.loader is not None
TOOLS = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOOLS)

COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 2, "bbox": [10, 20, 30, 40], "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 3, "segmentation": [[1, 2, 30, 40, 9, 9]]},
        {
            "id": 3,
            "image_id": 1,
            "category_id": 3,
            "segmentation": {"size": [80, 100], "counts": [5, 9, 3]},
        },
    ],
    "categories": [{"id": 2, "name": "cat", "supercategory": "x"}, {"id": 3, "name": "dog"}],
}
XML = (
    '<?xml version="1.0" encoding="utf-8"?><annotation><size><width>100</width><height>80</height>'
    "</size><object><name>cat</name><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax>"
    "<ymax>60</ymax></bndbox></object></annotation>"
)
SAMPLES = {
    **{name: (format, files) for name, (format, files) in TOOLS.SAMPLES.items()},
    "coco": ("coco", {"instances.json": COCO}),
    "voc": ("folder", {"annotations/a.xml": XML}),
    "devkit": (
        "voc",
        {"Annotations/a.xml": XML, "ImageSets/Main/train.txt": "a\nb\n"},
    ),
    "yolo": (
        "yolo",
        {
            "data.yaml": "path: .\ntrain: images\nnames: {0: cat, 1: dog}\n",
            "labels/a.txt": "0 .5 .5 .2 .2",
        },
    ),
    "csv": ("csv", {"t.csv": "filename,class,xmin,ymin,xmax,ymax\na.jpg,cat,10,20,40,60\n"}),
    "visdrone": ("visdrone", {"annotations/a.txt": "10,20,30,40,1,1,0,0\n"}),
}
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.just([[]]),
    st.just({"a": [None]}),
    st.just("n" * 300),
    st.just("../" * 20 + "etc/passwd"),
    st.just("\ud800\0"),
)


def nodes(content, path=()):
    """The places in nested lists and dictionaries."""
    yield path
    inner = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in inner:
        if isinstance(value, dict | list):
            yield from nodes(value, (*path, key))
        else:
            yield (*path, key)


def changed(data, content):
    """A structure with one value replaced or removed."""
    path = data.draw(st.sampled_from(sorted(nodes(content), key=str)))
    if not path:
        return data.draw(JUNK)
    content = json.loads(json.dumps(content))
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    if data.draw(st.booleans()):
        inner[path[-1]] = data.draw(JUNK)
    else:
        del inner[path[-1]]
    return content


def cut(data, content: bytes) -> bytes:
    """Bytes with a piece replaced."""
    first = data.draw(st.integers(0, len(content)))
    last = data.draw(st.integers(first, min(len(content), first + 40)))
    piece = data.draw(
        st.one_of(
            st.binary(max_size=6),
            st.sampled_from(
                [b"nan", b"1e999", b"-1", b"'", b'"', b"<", b"&", b"\xff\xfe", b"{", b"[" * 9]
            ),
        )
    )
    return content[:first] + piece + content[last:]


@pytest.mark.parametrize("sample", SAMPLES)
@settings(max_examples=60, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_files(sample, data):
    format, files = SAMPLES[sample]
    victim = data.draw(st.sampled_from(sorted(files)))
    named = data.draw(st.booleans())
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        folder = {"kitti": "image_2", "supervisely": "ds/img", "voc": "JPEGImages"}
        for name in ("a.jpg", "b.jpg"):
            target = root / folder.get(format, "images") / name
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (100, 80)).save(target)
        for name, content in files.items():
            if name == victim and not isinstance(content, str) and data.draw(st.booleans()):
                content = changed(data, content)
            text = content if isinstance(content, str) else json.dumps(content)
            raw = text.encode("utf-8", "surrogatepass")
            if name == victim and content is files[name]:
                raw = cut(data, raw)
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(raw)
        try:
            dataset = read_dataset(root, format=format if named else None)
        except SppdetError:
            return
        assert all(str(problem) for problem in dataset.problems)
        assert len(dataset.all_annotations()) == len(dataset)
