"""``sppdet label``: label photographs in the browser."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sppdet.cli.options import AllowHost, Host, MaxPixels, Quiet


def label(
    folder: Annotated[
        Path, typer.Argument(help="A folder with photographs, with labels or without.")
    ],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes a free one.")
    ] = 8377,
    host: Host = "127.0.0.1",
    allow_host: AllowHost = None,
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
    from sppdet.cli.interrupt import end_of_server
    from sppdet.serving.label import label_folder
    from sppdet.serving.run import Access

    limit_pixels(max_pixels)
    announce = partial(typer.echo, err=quiet)  # a page whose address is not told is of no use
    access = Access(host, tuple(allow_host or ()))
    end = end_of_server("stopped; labels are saved")
    label_folder(folder, access, port, browser, typer.echo, announce, end)
