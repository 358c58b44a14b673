"""Scenes of fruit that the project renders itself: labelled images for tests and for the sample.

Every object is a patch with a colour, a height field's normals and a mask. A scene lights the
patches, lays them over a textured ground with soft shadows, and keeps track of which pixels show
which object, so that the boxes are exact.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from sppdet.boxes import Boxes, as_boxes
from sppdet.drawing import save_picture
from sppdet.files import write_text
from sppdet.images import Rgb

CLASSES = ("apple", "banana", "orange")
_CLUTTER = ("ball", "book", "mug", "leaf")
_OVERSAMPLING = 2

Field = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """A rendered image and its truth.

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
) -> Scene:
    """Render one scene; equal arguments give equal scenes.

    Args:
        seed: of everything random.
        size: width and height in pixels.
        fruit, clutter: least and greatest number of labelled and of other objects.
        sides: least and greatest side of an object's patch, as a share of the image's shorter side.
        ground: ``wood``, ``cloth``, ``stone`` or ``paper``; any of them for None.
    """
    random = np.random.default_rng(seed)
    width, height = size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING
    canvas = _ground(random, width, height, ground)
    owner = np.full((height, width), -1, np.int32)
    light = np.array([random.uniform(-0.6, 0.6), random.uniform(-0.8, -0.3), 1.0])
    light /= np.linalg.norm(light)
    names = [str(random.choice(CLASSES)) for _ in range(random.integers(fruit[0], fruit[1] + 1))]
    names += [str(random.choice(_CLUTTER)) for _ in range(random.integers(*clutter, endpoint=True))]
    random.shuffle(names)
    whole = []
    for index, name in enumerate(names):
        side = int(random.uniform(*sides) * min(width, height))
        patch = _patch(name, side, random)
        top = int(random.uniform(0.02, 0.98) * (height - side))
        left = int(random.uniform(0.02, 0.98) * (width - side))
        if name in CLASSES:
            left, top = _free_place(random, owner, patch[2], left, top)
        whole.append(int((patch[2] > 0.5).sum()))
        _lay(canvas, owner, patch, (left, top), light, index)
    canvas = cv2.GaussianBlur(canvas, (0, 0), random.uniform(0.6, 1.2))
    image = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA) * random.uniform(0.85, 1.1)
    image += random.normal(0, random.uniform(0.003, 0.012), image.shape)
    owner = owner[::_OVERSAMPLING, ::_OVERSAMPLING]
    boxes, kept, difficult = [], [], []
    for index, name in enumerate(names):
        rows, columns = np.nonzero(owner == index)
        share = len(rows) * _OVERSAMPLING**2 / max(whole[index], 1)
        if name not in CLASSES or len(rows) < 30 or share < 0.2:
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
    """Write the image to ``path`` and its truth as VOC XML (1-based, inclusive) beside it."""
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


def _noise(random: np.random.Generator, height: int, width: int, cell: float) -> Field:
    """Smooth noise of about unit variance whose features are ``cell`` pixels wide."""
    rows, columns = max(int(height / cell) + 2, 2), max(int(width / cell) + 2, 2)
    coarse = random.standard_normal((rows, columns)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _ground(random: np.random.Generator, width: int, height: int, kind: str | None) -> Field:
    """A table of wood, cloth, stone or paper, as floats in 0 .. 1, (height, width, 3)."""
    kind = kind or random.choice(["wood", "cloth", "stone", "paper"])
    y, x = np.mgrid[:height, :width].astype(np.float32)
    if kind == "wood":
        base = np.array([0.55, 0.38, 0.24]) * random.uniform(0.7, 1.5)
        bent = y + 12 * _noise(random, height, width, 180)
        grain = np.sin(bent / random.uniform(4, 9)) * 0.5 + _noise(random, height, width, 6) * 0.4
        shade = 1 + 0.08 * grain
    elif kind == "cloth":
        base = random.uniform(0.35, 0.9, 3)
        step = random.uniform(20, 60)
        checks = ((x % step < step / 2).astype(np.float32) + (y % step < step / 2)) / 2
        shade = 0.85 + 0.15 * checks + 0.03 * np.sin(x * 2) * np.sin(y * 2)
    elif kind == "stone":
        base = np.full(3, random.uniform(0.35, 0.75))
        shade = (
            1 + 0.08 * _noise(random, height, width, 40) + 0.06 * _noise(random, height, width, 3)
        )
    else:
        base = np.array([0.97, 0.96, 0.94]) * random.uniform(0.85, 1.0)
        shade = 1 - 0.12 * (y / height) + 0.01 * _noise(random, height, width, 60)
    return np.clip(np.asarray(shade)[..., None] * base.astype(np.float32), 0, 1).astype(np.float32)


Patch = tuple[Field, Field, Field, float]
"""Colour (S, S, 3), normals (S, S, 3), mask (S, S), and strength of the highlight."""


def _patch(name: str, side: int, random: np.random.Generator) -> Patch:
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].astype(np.float32)
    turn = random.uniform(-math.pi, math.pi) if name in ("banana", "book", "leaf") else 0.0
    turn = turn or random.uniform(-0.35, 0.35)
    u = x * math.cos(turn) + y * math.sin(turn)
    v = -x * math.sin(turn) + y * math.cos(turn)
    make = {"apple": _apple, "orange": _orange, "banana": _banana}.get(name, _thing)
    colour, height, mask, gloss = make(name, u, v, side, random)
    height = np.where(mask > 0, height, 0).astype(np.float32)
    slope_y, slope_x = np.gradient(height * side / 2)
    normals = np.dstack([-slope_x, -slope_y, np.ones_like(height)])
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    smooth = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7)
    return np.clip(colour, 0, 1).astype(np.float32), normals.astype(np.float32), smooth, gloss


def _apple(_: str, u: Field, v: Field, side: int, random: np.random.Generator):
    v = v - 0.06
    angle = np.arctan2(u, -v)  # 0 points up
    edge = 0.84 * (1 - 0.13 * np.exp(-((angle / 0.42) ** 2)) + 0.03 * np.cos(2 * angle))
    edge *= 1 - 0.04 * np.exp(-(((np.abs(angle) - math.pi) / 0.3) ** 2))
    radius = np.hypot(u, v)
    mask = radius < edge
    height = np.sqrt(np.clip(1 - (radius / edge) ** 2, 0, 1)) * 0.85
    dimple = np.exp(-(((u / 0.3) ** 2) + ((v + 0.56) / 0.16) ** 2))
    height = height - 0.16 * dimple
    red = np.array([0.78, 0.07, 0.09]) if random.random() < 0.75 else np.array([0.50, 0.68, 0.15])
    blush = np.array([0.90, 0.62, 0.20])
    streaks = cv2.GaussianBlur(_noise(random, side, side, max(side / 50, 1)), (0, 0), 0.8)
    amount = 0.16 + 0.10 * streaks + 0.15 * _noise(random, side, side, side / 3) + 0.3 * dimple
    amount = np.clip(amount, 0, 0.75)[..., None]
    colour = red * (1 - amount) + blush * amount
    colour = colour * (1 - 0.5 * dimple[..., None])
    stem = (np.abs(u - 0.10 * (v + 0.6)) < 0.032) & (v < -0.50) & (v > -0.98)
    colour[stem] = (0.30, 0.20, 0.11)
    height = np.where(stem, 0.5 - 4 * (u - 0.10 * (v + 0.6)) ** 2, height)
    if random.random() < 0.4:
        a, b = u * 0.8 + (v + 0.86) * 0.6 - 0.26, -u * 0.6 + (v + 0.86) * 0.8 + 0.10
        leaf = (a / 0.28) ** 2 + (b / 0.09) ** 2 < 1
        colour[leaf] = (0.25, 0.50, 0.14)
        height, stem = np.where(leaf, 0.4 - b * b * 8, height), stem | leaf
    return colour, height, mask | stem, 0.55


def _orange(_: str, u: Field, v: Field, side: int, random: np.random.Generator):
    radius = np.hypot(u, v * random.uniform(1.0, 1.06)) / 0.86
    mask = radius < 1
    height = np.sqrt(np.clip(1 - radius**2, 0, 1)) * 0.86
    pores = _noise(random, side, side, max(side / 48, 2.2))
    height = height + 0.006 * pores * np.clip(1.2 - radius, 0, 1)
    tone = random.uniform(0.44, 0.54)
    colour = np.ones((side, side, 3)) * (0.96, tone, 0.06)
    colour = colour * (1 + 0.035 * np.minimum(pores, 0))[..., None]
    a, b = u - random.uniform(-0.3, 0.3), v + random.uniform(0.2, 0.5)
    angle, distance = np.arctan2(a, b), np.hypot(a, b)
    star = distance < 0.075 * (1 + 0.35 * np.cos(5 * angle))
    colour[star] = (0.42, 0.47, 0.16)
    return colour, height - 0.03 * np.exp(-((distance / 0.12) ** 2)), mask, 0.3


def _banana(_: str, u: Field, v: Field, side: int, random: np.random.Generator):
    fingers = 1 if random.random() < 0.7 else 2
    colour = np.zeros((side, side, 3))
    height = np.full((side, side), -1.0)
    mask = np.zeros((side, side), bool)
    spots = _noise(random, side, side, max(side / 30, 2))
    yellow = np.array([0.95, 0.78, 0.14]) * random.uniform(0.93, 1.04)
    for finger in range(fingers):
        bend, reach = random.uniform(0.95, 1.15), 0.80
        x, y = u, v + 0.62 * bend - 0.30 - 0.22 * finger
        rho, phi = np.hypot(x, y), np.arctan2(x, y)
        t = phi / reach  # -1 .. 1 along the fruit
        full = 0.215 * np.sqrt(np.clip(1 - np.abs(t) ** 4.5, 0, 1)) + 0.035
        across = (rho - bend * 0.92) / full
        inside = (np.abs(across) < 1) & (np.abs(t) < 1.0)
        stalk = (np.abs(rho - bend * 0.92) < 0.055) & (t > 0.9) & (t < 1.16)
        facets = np.abs(((across + 1) * 1.5) % 1 - 0.5)  # ridges along the fruit
        own = np.sqrt(np.clip(1 - across**2, 0, 1)) * full + 0.02 * facets
        tone = yellow * (1 - 0.10 * (facets < 0.05)[..., None])
        green = np.clip((t - 0.72) * 2.5, 0, 0.6)[..., None]
        tone = tone * (1 - green) + np.array([0.55, 0.65, 0.15]) * green
        tone = np.where((spots > 1.7)[..., None], tone * 0.55, tone)
        dark = ((t < -0.95) | (t > 1.1))[..., None]
        tone = np.where(dark, (0.24, 0.17, 0.09), tone)
        own = np.where(stalk & ~inside, 0.05, own) + 0.05 * finger
        upper = (inside | stalk) & (own > height)
        colour[upper], mask = tone[upper], mask | upper
        height = np.where(upper, own, height)
    return colour, height, mask, 0.22


def _thing(name: str, u: Field, v: Field, side: int, random: np.random.Generator):
    """Unlabelled clutter."""
    paint = random.uniform(0.1, 0.9, 3)
    paint[2] = max(paint[2], 0.5)  # bluish, unlike fruit
    colour = np.ones((side, side, 3)) * paint
    if name == "ball":
        radius = np.hypot(u, v) / 0.85
        colour[np.abs(u) < 0.22] = (0.95, 0.95, 0.95)
        return colour, np.sqrt(np.clip(1 - radius**2, 0, 1)) * 0.85, radius < 1, 0.5
    if name == "book":
        mask = (np.abs(u) < 0.8) & (np.abs(v) < 0.55)
        colour[(np.abs(u) < 0.5) & (np.abs(v + 0.2) < 0.06)] = (0.9, 0.9, 0.85)
        colour[v > 0.48] = (0.92, 0.91, 0.86)
        return colour, np.full_like(u, 0.1), mask, 0.05
    if name == "mug":
        body = (np.abs(u + 0.15) < 0.5) & (np.abs(v) < 0.62)
        ring = np.hypot((u - 0.42) / 0.34, v / 0.38)
        handle = (ring < 1) & (ring > 0.62) & (u > 0.3)
        height = np.sqrt(np.clip(1 - ((u + 0.15) / 0.5) ** 2, 0, 1)) * 0.5
        inner = body & (((u + 0.15) / 0.46) ** 2 + ((v + 0.56) / 0.1) ** 2 < 1)
        colour[inner] = paint * 0.45
        return colour, np.where(handle & ~body, 0.2, height), body | handle, 0.4
    mask = (u / 0.85) ** 2 + (v / 0.32) ** 2 < 1
    veins = np.abs((np.abs(v) * 1.2 - u) % 0.22 - 0.11) < 0.012
    colour[:] = np.array([0.20, 0.42, 0.14]) * random.uniform(0.7, 1.3)
    colour[veins | (np.abs(v) < 0.015)] *= 1.35
    return colour, 0.1 * (1 - np.abs(v)), mask, 0.1


def _free_place(
    random: np.random.Generator, owner: NDArray[np.int32], mask: Field, left: int, top: int
) -> tuple[int, int]:
    """Of a few random places, the first that hides little; most fruit should be seen whole."""
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
    shift = np.float32(
        [[1, 0, left - 0.10 * side * light[0]], [0, 1, top - 0.10 * side * light[1]]]
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
