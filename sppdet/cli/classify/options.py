"""Options that several commands of ``sppdet classify`` have."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Argument(help="Folder with train/CLASS/IMAGE and test/CLASS/IMAGE, or cifar10."),
]
Checkpoint = Annotated[
    Path, typer.Option(help="RUN/best.safetensors, RUN/last.safetensors, or exported weights.")
]
View = Annotated[
    int | None,
    typer.Option(
        help="Side in pixels of the views that are pooled from the feature map. Default: no views."
    ),
]
