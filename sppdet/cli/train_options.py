"""Options that only ``sppdet train`` has, and that take some lines to describe."""

from typing import Annotated

import typer

from sppdet.cli.choices import PROPOSAL_FILES, PROPOSALS
from sppdet.cli.options import one_of

Units = Annotated[
    int | None,
    typer.Option(
        min=16,
        max=4096,
        help="Outputs of each fully connected layer of --heads connected and connected-svm. "
        "Default: 1024; alexnet and vgg16 start from their own layers of 4096.",
    ),
]
KeepExamples = Annotated[
    bool,
    typer.Option(
        "--keep-examples",
        help="Keep up to 24 positives and 24 negatives of each class in the model, at most 64 "
        "MB: small pictures and features, which sppdet explain shows.",
    ),
]
OneClass = Annotated[
    bool | None,
    typer.Option(
        help="Keep only the likeliest of detections of several classes at one place. Default: "
        "what is better on folds of the images."
    ),
]
LowerGroups = Annotated[
    bool | None,
    typer.Option(
        help="Lower the scores of boxes that hold several objects of a class. Default: what is "
        "better on folds of the images."
    ),
]
PositiveIou = Annotated[
    float,
    typer.Option(
        min=0.3,
        max=1,
        help="Proposals whose IoU with a ground-truth box is above this are positives too. "
        "At 1 only the ground truth is.",
    ),
]
RoundViews = Annotated[
    int,
    typer.Option(
        min=1,
        help="Images, mirrored ones included, that are scored with the same SVMs before these "
        "learn again. A larger number keeps more workers busy. It changes the detector.",
    ),
]
TrainingProposals = Annotated[
    str | None,
    one_of(
        "--proposals",
        PROPOSALS,
        "Method of the proposals, or a file of them, see sppdet propose. Default: the quickest "
        "that finds the labelled objects. Choices",
        files=PROPOSAL_FILES,
    ),
]
