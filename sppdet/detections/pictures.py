"""A result as a picture, as crops, and in a notebook."""

import base64
import io
import json
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageShow

from sppdet.detections.conversions import to_dict
from sppdet.detections.record import Found
from sppdet.drawing import draw, save_picture
from sppdet.errors import SppdetError
from sppdet.images import ImageLike, Rgb, as_image
from sppdet.runtime.files import write_text
from sppdet.runtime.names import as_html

_ROWS = 30
"""Detections that the table in a notebook lists."""


def pixels_of(found: Found, image: "ImageLike | None") -> Rgb:
    """The image that was given, or that of the detections.

    Raises:
        SppdetError: neither is known, it cannot be read, or it has another size than the image in
            which the objects were found.
    """
    wanted = found.source if image is None else image
    if wanted is None:
        raise SppdetError("the image of these detections is unknown; give it as image")
    pixels = as_image(wanted)
    size = pixels.shape[1], pixels.shape[0]
    if found.size is not None and size != found.size:
        raise SppdetError(
            f"the image has {size[0]} x {size[1]} pixels, but these detections are of one of "
            f"{found.size[0]} x {found.size[1]}; give that image"
        )
    return pixels


def plot(found: Found, image: "ImageLike | None") -> Rgb:
    """See :meth:`sppdet.detections.Detections.plot`; so for the other functions here."""
    return draw(pixels_of(found, image), found)


def crops(found: Found, image: "ImageLike | None") -> list[Rgb]:
    pixels = pixels_of(found, image)
    height, width = pixels.shape[:2]
    parts = []
    for box in found.boxes:
        x1, y1 = (int(value) for value in np.floor(box[:2]))
        x2, y2 = (int(value) for value in np.ceil(box[2:]))
        x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
        x2, y2 = max(min(x2, width), x1 + 1), max(min(y2, height), y1 + 1)
        parts.append(pixels[y1:y2, x1:x2].copy())
    return parts


def save(found: Found, path: Path, image: "ImageLike | None") -> None:
    if path.suffix.lower() == ".json":
        write_text(path, json.dumps(to_dict(found), indent=1) + "\n")
        return
    save_picture(plot(found, image), path)


def show(found: Found, image: "ImageLike | None") -> None:
    if not ImageShow.show(Image.fromarray(plot(found, image))):
        raise SppdetError("there is no program here that shows images; use save(path)")


def png(found: Found) -> bytes | None:
    """The picture as a PNG file; None where the image is unknown or cannot be read any more."""
    try:
        picture = plot(found, None)
    except SppdetError:
        return None
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def page(found: Found) -> str:
    """The picture, where the image is known, above a table of the detections, as HTML."""
    content = png(found)
    encoded = base64.b64encode(content).decode() if content else ""
    lines = [f'<img src="data:image/png;base64,{encoded}" alt="detections">'] if encoded else []
    lines.append("<table><tr><th>label</th><th>score</th><th>box</th></tr>")
    for one in islice(found, _ROWS):
        box = ", ".join(f"{value:.0f}" for value in one.box)
        cells = (as_html(one.label), f"{one.score:.2f}", box)
        lines.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    lines.append("</table>")
    if len(found) > _ROWS:
        lines.append(f"<p>and {len(found) - _ROWS} more</p>")
    return "\n".join(lines)
