"""``sppdet label`` from a folder to a running server."""

from collections.abc import Callable
from pathlib import Path

import torch

from sppdet.serving.ahead import Ahead
from sppdet.serving.answers import make_app
from sppdet.serving.folder import PhotoFolder
from sppdet.serving.label_app import LabelApp
from sppdet.serving.prepared import PreparedPhotos
from sppdet.serving.run import listen, run_server
from sppdet.serving.session import Session
from sppdet.serving.trainer import Trainer

MOST_BYTES = 64 << 20
"""Of a request: a picture to try."""


def label_folder(
    path: Path,
    host: str,
    port: int,
    browser: bool,
    say: Callable[[str], None],
    announce: Callable[[str], None],
) -> None:
    """Serve the labelling page of a folder until Ctrl-C.

    Args:
        path: the folder.
        host, port: where to listen; port 0 takes a free one.
        browser: whether to open the page.
        say: is told what is in the folder.
        announce: is told the address.

    Raises:
        SppdetError: the folder cannot be labelled, or the port cannot be used.
    """
    folder = PhotoFolder(path)
    listener = listen(host, port)
    torch.set_num_threads(1)  # one core for the pages, one for the training
    session, photos = Session(folder), PreparedPhotos()
    ahead = Ahead(folder.images, photos)
    ahead.look_at(0, session.unlabelled())
    say(f"{len(folder.images)} photographs, {len(session.counts)} labelled ({folder.files.format})")
    trainer = Trainer(session, photos, ahead)
    session.on_change = trainer.change
    trainer.start()
    ahead.start()
    try:
        app = make_app(LabelApp(session, photos, ahead, trainer).routes())
        run_server(app, listener, host, MOST_BYTES, announce, browser)
    finally:
        ahead.stop()
        trainer.stop()
