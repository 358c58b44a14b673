"""Scenes of fruit that the project renders itself: labelled images for tests and for the sample.

Every object is a patch with a colour, a height field's normals and a mask. A scene lights the
patches, lays them over a textured ground with soft shadows, and keeps track of which pixels show
which object, so that the boxes are exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, as_boxes
from sppdet.datasets.scene_objects import CLUTTER, FRUIT, Field, Patch, make_patch, smooth_noise
from sppdet.drawing import save_picture
from sppdet.images import Rgb
from sppdet.runtime.files import write_text

CLASSES = FRUIT
_OVERSAMPLING = 2


@dataclass(frozen=True)
class Scene:
    """A rendered image and its ground truth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes: (N, 4) float32 around the visible part of each fruit, 0-based, half-open.
        names: class of each.
        difficult: (N,) bool, mostly hidden.
    """

    image: Rgb
    boxes: Boxes
    names: tuple[str, ...]
    difficult: NDArray[np.bool_]


def render_scene(
    seed: int,
    size: tuple[int, int] = (400, 300),
    fruit: tuple[int, int] = (1, 5),
    clutter: tuple[int, int] = (0, 4),
    sides: tuple[float, float] = (0.2, 0.55),
    ground: str | None = None,
    objects: Sequence[str] | None = None,
) -> Scene:
    """Render one scene; equal arguments give equal scenes.

    Args:
        seed: of everything random.
        size: width and height in pixels.
        fruit, clutter: least and greatest number of labelled and of other objects.
        sides: least and greatest side of an object's patch, as a share of the image's shorter side.
        ground: ``wood``, ``cloth``, ``stone`` or ``paper``; any of them for None.
        objects: the labelled objects in place of a random number of fruit, names of
            :func:`sppdet.datasets.scene_objects.make_patch`.
    """
    random = np.random.default_rng(seed)
    width, height = size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING
    canvas = _ground(random, width, height, ground)
    owner = np.full((height, width), -1, np.int32)
    light = np.array([random.uniform(-0.6, 0.6), random.uniform(-0.8, -0.3), 1.0])
    light /= np.linalg.norm(light)
    if objects is None:
        number = random.integers(fruit[0], fruit[1] + 1)
        names = [str(random.choice(CLASSES)) for _ in range(number)]
    else:
        names = list(objects)
    labelled = set(CLASSES if objects is None else objects)
    names += [str(random.choice(CLUTTER)) for _ in range(random.integers(*clutter, endpoint=True))]
    random.shuffle(names)
    whole = []
    for index, name in enumerate(names):
        side = int(random.uniform(*sides) * min(width, height))
        patch = make_patch(name, side, random)
        top = int(random.uniform(0.02, 0.98) * (height - side))
        left = int(random.uniform(0.02, 0.98) * (width - side))
        if name in labelled:
            left, top = _free_place(random, owner, patch[2], left, top)
        whole.append(int((patch[2] > 0.5).sum()))
        _lay(canvas, owner, patch, (left, top), light, index)
    blurred = cv2.GaussianBlur(canvas, (0, 0), random.uniform(0.6, 1.2))
    image = cv2.resize(blurred, size, interpolation=cv2.INTER_AREA) * random.uniform(0.85, 1.1)
    image += random.normal(0, random.uniform(0.003, 0.012), image.shape)
    owner = owner[::_OVERSAMPLING, ::_OVERSAMPLING]
    boxes, kept, difficult = [], [], []
    for index, name in enumerate(names):
        rows, columns = np.nonzero(owner == index)
        share = len(rows) * _OVERSAMPLING**2 / max(whole[index], 1)
        if name not in labelled or len(rows) < 30 or share < 0.2:
            continue
        boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        kept.append(name)
        difficult.append(share < 0.45)
    pixels = (np.clip(image, 0, 1) * 255).round().astype(np.uint8)
    return Scene(pixels, as_boxes(boxes), tuple(kept), np.array(difficult, bool))


def write_scenes(
    folder: Path, count: int, seed: int = 0, size: tuple[int, int] = (400, 300)
) -> list[Path]:
    """Write ``count`` scenes into ``folder``, JPEG with VOC XML beside each; gives the images."""
    paths = []
    for index in range(count):
        path = folder / f"scene_{index:04d}.jpg"
        write_scene(render_scene(seed * 100_000 + index, size), path)
        paths.append(path)
    return paths


def write_scene(scene: Scene, path: Path) -> None:
    """Write the image to ``path`` and its objects as VOC XML (1-based, inclusive) beside it."""
    save_picture(scene.image, path)
    height, width = scene.image.shape[:2]
    objects = "".join(
        f"  <object>\n    <name>{escape(name)}</name>\n    <difficult>{int(hard)}</difficult>\n"
        f"    <bndbox><xmin>{x1 + 1:.0f}</xmin><ymin>{y1 + 1:.0f}</ymin>"
        f"<xmax>{x2:.0f}</xmax><ymax>{y2:.0f}</ymax></bndbox>\n  </object>\n"
        for (x1, y1, x2, y2), name, hard in zip(
            scene.boxes, scene.names, scene.difficult, strict=True
        )
    )
    write_text(
        path.with_suffix(".xml"),
        f"<annotation>\n  <filename>{escape(path.name)}</filename>\n"
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n"
        f"{objects}</annotation>\n",
    )


def _ground(random: np.random.Generator, width: int, height: int, kind: str | None) -> Field:
    """A table of wood, cloth, stone or paper, as floats in 0 .. 1, (height, width, 3)."""
    kind = kind or random.choice(["wood", "cloth", "stone", "paper"])
    y, x = np.mgrid[:height, :width].astype(np.float32)
    if kind == "wood":
        base = np.array([0.55, 0.38, 0.24]) * random.uniform(0.7, 1.5)
        bent = y + 12 * smooth_noise(random, height, width, 180)
        grain = (
            np.sin(bent / random.uniform(4, 9)) * 0.5 + smooth_noise(random, height, width, 6) * 0.4
        )
        shade = 1 + 0.08 * grain
    elif kind == "cloth":
        base = random.uniform(0.35, 0.9, 3)
        step = random.uniform(20, 60)
        checks = ((x % step < step / 2).astype(np.float32) + (y % step < step / 2)) / 2
        shade = 0.85 + 0.15 * checks + 0.03 * np.sin(x * 2) * np.sin(y * 2)
    elif kind == "stone":
        base = np.full(3, random.uniform(0.35, 0.75))
        shade = (
            1
            + 0.08 * smooth_noise(random, height, width, 40)
            + 0.06 * smooth_noise(random, height, width, 3)
        )
    else:
        base = np.array([0.97, 0.96, 0.94]) * random.uniform(0.85, 1.0)
        shade = 1 - 0.12 * (y / height) + 0.01 * smooth_noise(random, height, width, 60)
    return np.clip(np.asarray(shade)[..., None] * base.astype(np.float32), 0, 1).astype(np.float32)


def _free_place(
    random: np.random.Generator, owner: NDArray[np.int32], mask: Field, left: int, top: int
) -> tuple[int, int]:
    """The first of a few random places that hides little, so that most fruit is fully visible."""
    side = len(mask)
    for _ in range(6):
        under = owner[top : top + side, left : left + side]
        if (under[mask > 0.5] >= 0).mean() < 0.25:
            break
        top = int(random.uniform(0.02, 0.98) * (owner.shape[0] - side))
        left = int(random.uniform(0.02, 0.98) * (owner.shape[1] - side))
    return left, top


def _lay(
    canvas: Field,
    owner: NDArray[np.int32],
    patch: Patch,
    place: tuple[int, int],
    light: NDArray[np.float64],
    index: int,
) -> None:
    """Light a patch and lay it, with its shadow, onto the canvas (in place)."""
    colour, normals, mask, gloss = patch
    left, top = place
    side = len(mask)
    shift = np.array(
        [[1, 0, left - 0.10 * side * light[0]], [0, 1, top - 0.10 * side * light[1]]], np.float32
    )
    shadow = cv2.warpAffine(mask, shift, canvas.shape[1::-1])
    shadow = cv2.GaussianBlur(shadow, (0, 0), 0.05 * side)
    canvas *= 1 - 0.55 * shadow[..., None]
    diffuse = np.clip(normals @ light.astype(np.float32), 0, 1)
    half = light + np.array([0, 0, 1.0])
    half /= np.linalg.norm(half)
    shine = np.clip(normals @ half.astype(np.float32), 0, 1) ** 40
    lit = colour * (0.38 + 0.72 * diffuse[..., None]) + gloss * shine[..., None] * 0.75
    part = canvas[top : top + side, left : left + side]
    alpha = mask[..., None]
    part[:] = part * (1 - alpha) + np.clip(lit, 0, 1) * alpha
    owner[top : top + side, left : left + side][mask > 0.5] = index
