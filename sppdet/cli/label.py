"""``sppdet label``: label photographs in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from sppdet.cli.options import MaxPixels, Quiet


def label(
    folder: Annotated[
        Path, typer.Argument(help="A folder with photographs, with labels or without.")
    ],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes a free one.")
    ] = 8377,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. With another than this machine's own, a token in the "
            "address is required."
        ),
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    max_pixels: MaxPixels = None,
    quiet: Quiet = False,
) -> None:
    """Label photographs in the browser, with a detector that learns meanwhile.

    Labels are saved at once as VOC XML beside the photographs; YOLO and COCO labels that are there
    are extended. Ctrl-C ends it.

    \b
    Example:
      sppdet label photos
    """
    from sppdet.cli.common import limit_pixels
    from sppdet.serving.label import label_folder

    limit_pixels(max_pixels)
    label_folder(folder, host, port, browser, lambda line: typer.echo(line))
