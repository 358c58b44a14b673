"""``sppdet label`` from a folder to a running server."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import torch

from sppdet.runtime.cache import cache_dir
from sppdet.runtime.files import remove_leftovers
from sppdet.runtime.words import counted
from sppdet.serving.ahead import Ahead
from sppdet.serving.answers import make_app
from sppdet.serving.claim import Claim
from sppdet.serving.folder import PhotoFolder
from sppdet.serving.label_app import LabelApp
from sppdet.serving.prepared import PreparedPhotos
from sppdet.serving.run import Access, address_of, listen, run_server
from sppdet.serving.session import Session
from sppdet.serving.state import state_folder
from sppdet.serving.trainer import Trainer

MOST_BYTES = 64_000_000
"""Of a request: a picture to try."""


def label_folder(
    path: Path,
    access: Access,
    port: int,
    browser: bool,
    say: Callable[[str], None],
    announce: Callable[[str], None],
    end: Callable[[int], NoReturn],
) -> NoReturn:
    """Serve the labelling page of a folder until Ctrl-C.

    Args:
        path: the folder.
        access: where to listen, and who may reach it.
        port: 0 takes a free one.
        browser: whether to open the page.
        say: is told what is in the folder.
        announce: is told the address.
        end: ends the process, with the number of a signal.

    Raises:
        SppdetError: the folder cannot be labelled, another process labels it, or the port cannot
            be used.
    """
    folder = PhotoFolder(path)
    claim = Claim(state_folder(folder.root), folder.root, path)
    listener = listen(access.host, port)
    claim.tell(address_of(access, listener)[1])
    torch.set_num_threads(1)  # one core for the pages, one for the training
    session, photos = Session(folder), PreparedPhotos()
    ahead = Ahead(folder.images, photos)
    ahead.look_at(0, session.unlabelled())
    there = counted(len(folder.images), "photograph")
    say(f"{there}, {len(session.counts)} labelled ({folder.files.format})")
    if folder.left_out:
        first, *more = folder.left_out
        others = f" and {counted(len(more), 'more picture')}" if more else ""
        say(
            f"note: {first}{others} cannot be labelled: named as another photograph is, or among "
            "the labels; give it another name or folder"
        )
    trainer = Trainer(session, photos, ahead)
    session.on_change = trainer.change

    def stop() -> None:
        ahead.stop()
        trainer.stop()
        for place in (session.state.folder, cache_dir() / "maps"):
            remove_leftovers(place)  # of the training, which was killed

    try:
        trainer.start()
        ahead.start()
        app = make_app(LabelApp(session, photos, ahead, trainer).routes())
        run_server(app, listener, access, MOST_BYTES, announce, end, browser=browser, at_end=stop)
    finally:
        stop()
        claim.end()
