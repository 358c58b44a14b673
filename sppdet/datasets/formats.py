"""The table of formats: how each is recognised, read, and named in messages."""

from collections.abc import Callable
from typing import Any, NamedTuple

from sppdet.datasets import (
    coco,
    createml,
    csv_boxes,
    cvat,
    kitti,
    label_studio,
    labelme,
    mot,
    open_images,
    supervisely,
    via,
    visdrone,
    voc,
    yolo,
)
from sppdet.datasets.base import Dataset
from sppdet.datasets.files import Tree


class Format(NamedTuple):
    """Attributes:
    name: for ``--format``.
    what: for messages.
    parts: what there is to read by the name of the part, "" for all of it; empty for other data.
    read: the reader, of (tree, chosen parts, split, classes, background).
    nearly: why a path that holds something of the format is no data set; None where it does not.
    """

    name: str
    what: str
    parts: Callable[[Tree], dict[str, Any]]
    read: Callable[..., Dataset]
    nearly: Callable[[Tree], str | None] = lambda tree: None


TABLE = {
    row.name: row
    for row in (
        Format("voc", "a VOC devkit (ImageSets/Main)", voc.devkit_parts, voc.read_devkit),
        Format("coco", "COCO JSON", coco.parts, coco.read),
        Format("yolo", "YOLO labels with a class file", yolo.parts, yolo.read, yolo.nearly),
        Format("folder", "VOC XML", voc.folder_parts, voc.read_folder, voc.nearly),
        Format("cvat", "CVAT XML for images", cvat.parts, cvat.read, cvat.nearly),
        Format("labelme", "LabelMe JSON", labelme.parts, labelme.read, labelme.nearly),
        Format("labelstudio", "Label Studio JSON", label_studio.parts, label_studio.read),
        Format("via", "VGG annotator JSON or CSV", via.parts, via.read),
        Format("createml", "CreateML JSON", createml.parts, createml.read),
        Format("openimages", "Open Images CSV", open_images.parts, open_images.read),
        Format("csv", "CSV of boxes", csv_boxes.parts, csv_boxes.read, csv_boxes.nearly),
        Format("kitti", "KITTI", kitti.parts, kitti.read),
        Format("visdrone", "VisDrone", visdrone.parts, visdrone.read),
        Format("mot", "MOTChallenge", mot.parts, mot.read),
        Format("supervisely", "Supervisely", supervisely.parts, supervisely.read),
    )
}
"""In the order in which they are recognised."""
