"""Names of folders and files that mean something in data sets."""

import difflib
import functools
import re
import unicodedata

IMAGE_FOLDERS = {"images", "image", "img", "imgs", "jpegimages", "jpegs", "jpeg", "jpgs", "jpg"}
IMAGE_FOLDERS |= {"pngs", "png", "photos", "pictures", "frames", "image_2", "img1"}
"""Folders that hold images, in lower case."""

LABEL_FOLDERS = {"labels", "label", "annotations", "annotation", "annots", "annot", "anns", "ann"}
LABEL_FOLDERS |= {"xmls", "xml", "txts", "txt", "jsons", "json", "labelme", "outputs", "bboxes"}
LABEL_FOLDERS |= {"label_2"}
"""Folders that hold annotations, in lower case."""

ROLES = IMAGE_FOLDERS | LABEL_FOLDERS

MASKS = frozenset({"segmentationclass", "segmentationobject", "masks", "mask", "trimaps"})
"""Folders whose pictures are masks and not photographs, in lower case."""

SPLIT = re.compile(r"(train|training|trainval|val|valid|validation|test|testing|dev)[-_]?\d*", re.I)
"""Names that parts of data sets have."""

IGNORED = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir"})
"""Names that operating systems leave behind, in lower case; names that begin with a point too."""

MISSPELT = ("images", "labels", "annotations", "jpegimages")
"""Names that are recognised when they are misspelt."""

CLOSE = 0.8
"""A name that resembles one of :data:`MISSPELT` by this ratio of difflib is misspelt."""


def is_hidden(name: str) -> bool:
    """Whether a name belongs to the operating system or to an editor."""
    return name.startswith(".") or name.casefold() in IGNORED


def same(name: str) -> str:
    """A name in Unicode's composed form (NFC): macOS stores accents decomposed."""
    return unicodedata.normalize("NFC", name)


@functools.lru_cache(maxsize=4096)
def meant(name: str) -> str | None:
    """The folder name of :data:`ROLES` that a name stands for, also when it is misspelt, or None.

    Examples:
        >>> meant("Anotations"), meant("train"), meant("images2")
        ('annotations', None, None)
    """
    name = name.casefold()
    if name in ROLES:
        return name
    if len(name) < 5 or re.search(r"\d", name):
        return None
    near = difflib.get_close_matches(name, MISSPELT, 1, CLOSE)
    return near[0] if near else None
