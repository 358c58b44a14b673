"""What ``sppdet serve`` offers, as an OpenAPI document and as a page without scripts."""

from collections.abc import Sequence
from html import escape
from typing import Any

from sppdet import __version__
from sppdet.runtime.words import megabytes

ERROR = {
    "description": "One line that says what is wrong.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {"error": {"type": "string"}},
                "required": ["error"],
            }
        }
    },
}

DETECTIONS = {
    "type": "object",
    "required": ["width", "height", "classes", "detections"],
    "properties": {
        "width": {"type": "integer", "description": "Pixels of the image, upright."},
        "height": {"type": "integer"},
        "classes": {"type": "array", "items": {"type": "string"}},
        "detections": {
            "type": "array",
            "description": "The likeliest first.",
            "items": {
                "type": "object",
                "required": ["label", "score", "box"],
                "properties": {
                    "label": {"type": "string"},
                    "score": {"type": "number", "minimum": 0, "maximum": 1},
                    "box": {
                        "type": "array",
                        "description": "x1, y1, x2, y2 in pixels, 0-based, half-open.",
                        "items": {"type": "number"},
                        "minItems": 4,
                        "maxItems": 4,
                    },
                },
            },
        },
        "seconds": {"type": "object", "description": "The time of each stage."},
    },
}


def document(classes: Sequence[str], most_bytes: int, most_pixels: int) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a server.

    Args:
        classes: of its detector.
        most_bytes, most_pixels: of an image.
    """
    binary = {"schema": {"type": "string", "format": "binary"}}
    form = {
        "schema": {
            "type": "object",
            "properties": {"image": {"type": "string", "format": "binary"}},
        }
    }
    threshold = {
        "name": "threshold",
        "in": "query",
        "required": False,
        "description": "Least probability. Default: what training chose for each class.",
        "schema": {"type": "number", "minimum": 0, "maximum": 1},
    }
    limits = f"At most {megabytes(most_bytes)} and {most_pixels / 1e6:.0f} million pixels."
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sppdet serve",
            "version": __version__,
            "description": f"A detector of {', '.join(classes)}.",
        },
        "paths": {
            "/detect": {
                "post": {
                    "summary": "Find the objects in an image.",
                    "parameters": [threshold],
                    "requestBody": {
                        "required": True,
                        "description": f"The content of an image file. {limits}",
                        "content": {"image/*": binary, "multipart/form-data": form},
                    },
                    "responses": {
                        "200": {
                            "description": "The detections.",
                            "content": {"application/json": {"schema": DETECTIONS}},
                        },
                        "400": ERROR,
                        "413": ERROR,
                        "503": {**ERROR, "description": "Too many images wait. Send it later."},
                    },
                }
            },
            "/healthz": _text("get", "Whether the server answers: ok."),
            "/metrics": _text("get", "Figures in the text format of Prometheus."),
            "/openapi.json": {
                "get": {
                    "summary": "This document.",
                    "responses": {"200": {"description": "JSON."}},
                }
            },
        },
    }


def _text(method: str, summary: str) -> dict[str, Any]:
    return {method: {"summary": summary, "responses": {"200": {"description": "Text."}}}}


def page(content: dict[str, Any]) -> str:
    """The document as HTML, which loads nothing."""
    info = content["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{escape(info['title'])}</title>",
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46em;margin:2em auto;"
        "padding:0 1em}code,pre{background:#8882;padding:.1em .3em}</style>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{escape(info['description'])}</p>",
    ]
    for path, methods in content["paths"].items():
        for method, entry in methods.items():
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2>")
            parts.append(f"<p>{escape(entry['summary'])}</p>")
            body = entry.get("requestBody")
            if body is not None:
                kinds = ", ".join(body["content"])
                parts.append(f"<p>{escape(body['description'])} <code>{escape(kinds)}</code></p>")
            rows = [
                f"<li><code>?{escape(one['name'])}=</code> {escape(one['description'])}"
                for one in entry.get("parameters", ())
            ]
            rows += [
                f"<li><code>{escape(status)}</code> {escape(one['description'])}"
                for status, one in entry["responses"].items()
            ]
            parts.append(f"<ul>{''.join(rows)}</ul>")
    parts.append("<p><a href='openapi.json'>openapi.json</a></p></html>")
    return "\n".join(parts)
