"""``sppdet serve``: a detector behind HTTP."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sppdet.cli.options import AllowHost, Device, Host, Precision, Quiet, Workers

FORM = 100_000
"""Bytes that a form may have beside its image."""


def serve(
    model: Annotated[Path, typer.Argument(help="A file that tools/train.py wrote.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8378,
    host: Host = "127.0.0.1",
    allow_host: AllowHost = None,
    queue: Annotated[
        int, typer.Option(min=0, help="Images that may wait; others are answered with 503.")
    ] = 16,
    max_bytes: Annotated[
        int, typer.Option(min=1, help="Refuse images with more bytes.")
    ] = 32_000_000,
    max_pixels: Annotated[
        int,
        typer.Option(min=1, help="Refuse images with more pixels, before they are decoded."),
    ] = 64_000_000,
    device: Device = None,
    precision: Precision = "float32",
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Answer with the objects in an image: POST it to /detect, or drop it on the page.

    /docs describes the interface, /openapi.json too; /healthz and /metrics are for monitoring.
    Ctrl-C ends it.

    \b
    Example:
      sppdet serve fruit.safetensors
    """
    from sppdet.cli.common import choose_device, images_at_a_time, load_detector
    from sppdet.cli.interrupt import end_of_server
    from sppdet.serving.answers import make_app
    from sppdet.serving.model_app import ModelApp
    from sppdet.serving.run import Access, listen, run_server

    where = choose_device(device)
    detector = load_detector(model, where, precision)
    access = Access(host, tuple(allow_host or ()))
    listener = listen(host, port)
    count = images_at_a_time(where, workers)
    app = make_app(ModelApp(detector, count, queue, max_bytes, max_pixels).routes())
    announce = partial(typer.echo, err=quiet)
    end = end_of_server("stopped")
    run_server(app, listener, access, max_bytes, announce, end, beside=FORM)
