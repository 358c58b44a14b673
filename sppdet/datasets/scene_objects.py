"""The objects of rendered scenes: fruit and clutter as colour, height and mask."""

import colorsys
import math

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

FRUIT = ("apple", "banana", "orange")
CLUTTER = ("ball", "book", "mug", "leaf")

Patch = tuple[Field, Field, Field, float]
"""Colour (S, S, 3), normals (S, S, 3), mask (S, S), and strength of the highlight."""


TINTS = 12
"""Colours in which an object may be had beside its own."""


def make_patch(name: str, side: int, random: np.random.Generator) -> Patch:
    """Make an object of ``side`` pixels.

    ``name`` is one of :data:`FRUIT` and :data:`CLUTTER`, or such a name with a tint from 1 to
    :data:`TINTS`, as in ``mug-3``: the shape with its shades in one colour.
    """
    name, _, tint = name.partition("-")
    colour, normals, mask, gloss = _make_patch(name, side, random)
    if tint:
        pure = np.array(colorsys.hsv_to_rgb((int(tint) - 1) / TINTS, 0.8, 1.0), np.float32)
        grey = colour.mean(axis=2, keepdims=True)
        colour = np.clip((0.3 + 0.7 * grey) * pure, 0, 1).astype(np.float32)
    return colour, normals, mask, gloss


def _make_patch(name: str, side: int, random: np.random.Generator) -> Patch:
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
    streaks = cv2.GaussianBlur(smooth_noise(random, side, side, max(side / 50, 1)), (0, 0), 0.8)
    amount = (
        0.16 + 0.10 * streaks + 0.15 * smooth_noise(random, side, side, side / 3) + 0.3 * dimple
    )
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
    pores = smooth_noise(random, side, side, max(side / 48, 2.2))
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
    spots = smooth_noise(random, side, side, max(side / 30, 2))
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


def smooth_noise(random: np.random.Generator, height: int, width: int, cell: float) -> Field:
    """Smooth noise of about unit variance whose features are ``cell`` pixels wide."""
    rows, columns = max(int(height / cell) + 2, 2), max(int(width / cell) + 2, 2)
    coarse = random.standard_normal((rows, columns)).astype(np.float32)
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, np.float32)
