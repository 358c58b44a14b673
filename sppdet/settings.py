"""The settings that decide a result: frozen dataclasses, passed explicitly."""

from dataclasses import dataclass, field
from numbers import Integral
from typing import Literal, cast, get_args


def _whole_numbers(name: str, values: object, least: int) -> None:
    """Refuse what is not a tuple of at least one whole number from ``least`` up.

    Raises:
        ValueError: the message names the setting.
    """
    right = isinstance(values, tuple) and bool(values)
    if not right or not all(
        isinstance(one, Integral) and not isinstance(one, bool) and int(one) >= least
        for one in cast(tuple[object, ...], values)
    ):
        raise ValueError(f"{name}={values!r}: give a tuple of whole numbers from {least} up")


def _one_of(name: str, value: object, choices: object) -> None:
    """Refuse what is not one of the names of a ``Literal``.

    Raises:
        ValueError: the message names the setting.
    """
    if value not in get_args(choices):
        raise ValueError(f"{name}={value!r}: give one of {', '.join(get_args(choices))}")


CropMode = Literal["warp", "tight"]
"""How R-CNN crops: stretch the box to a square, or take the smallest square around it."""


Pooling = Literal["max", "average"]
"""What a bin of a pyramid takes of its cells."""

WindowMapping = Literal["paper", "code", "nearest"]
"""How a box becomes a window of cells, see :func:`sppdet.features.windows.map_windows`."""


@dataclass(frozen=True)
class SppSettings:
    """How SPP-net sees an image.

    Attributes:
        scales: short sides in pixels at which the feature map is computed; each box takes the one
            at which its area is nearest 224 x 224 (paper: 688, or 480, 576, 688, 864, 1200; the
            command line takes the trunk's, see :class:`sppdet.trunks.TrunkSpec`).
        longest_side: limit for the longer side of the resized image, in pixels.
        levels: the pyramid, bins per side. A trunk with fully connected layers wants its one level,
            see :attr:`sppdet.trunks.Trunk.levels`.
        normalize_levels: scale each level's part of the vector to L2 norm 1, so that the many bins
            of the finest level do not drown the others.
        pooling: ``"max"`` (paper) or ``"average"``.
        mapping: from boxes to windows: ``"paper"``, ``"code"`` or ``"nearest"``.
    """

    scales: tuple[int, ...] = (688,)
    longest_side: int = 2000
    levels: tuple[int, ...] = (1, 2, 3, 6)
    normalize_levels: bool = False
    pooling: Pooling = "max"
    mapping: WindowMapping = "paper"

    def __post_init__(self) -> None:
        _one_of("pooling", self.pooling, Pooling)
        _one_of("mapping", self.mapping, WindowMapping)
        _whole_numbers("scales", self.scales, 1)
        _whole_numbers("longest_side", (self.longest_side,), 1)
        _whole_numbers("levels", self.levels, 1)


@dataclass(frozen=True)
class RcnnSettings:
    """How R-CNN sees a box.

    Attributes:
        size: side of a crop, in pixels (paper: 227).
        context: pixels around the box, at crop scale (paper: 16).
        mode: ``"warp"``, or ``"tight"`` for the smallest square around the box.
        levels: the pyramid over the crop's map, bins per side: the same features as SPP-net's.
        normalize_levels, pooling: as :class:`SppSettings`.
    """

    size: int = 227
    context: int = 16
    mode: CropMode = "warp"
    levels: tuple[int, ...] = (1, 2, 3, 6)
    normalize_levels: bool = False
    pooling: Pooling = "max"

    def __post_init__(self) -> None:
        _one_of("pooling", self.pooling, Pooling)
        _whole_numbers("size", (self.size,), 1)
        _whole_numbers("context", (self.context,), 0)
        _whole_numbers("levels", self.levels, 1)


@dataclass(frozen=True)
class SelectionSettings:
    """From scored boxes to detections.

    Attributes:
        max_candidates: number of boxes of a class in an image, the best, that are candidates.
        nms_iou: a detection is suppressed if its IoU with a better one of its class exceeds this
            (R-CNN paper, section 2.2; 0.3 in the released code).
        voter_iou: candidates whose IoU with a detection exceeds this vote on its box; 1 turns
            voting off.
        max_per_class: detections of one class in one image.
        one_class_iou: a detection whose IoU with a likelier one of another class exceeds this is
            suppressed; 1 turns it off.
        group_penalty: how much the score of a box goes down that holds two others of its class; see
            :func:`sppdet.heads.groups.lower_groups`; 0 turns it off.
    """

    max_candidates: int = 400
    nms_iou: float = 0.3
    voter_iou: float = 0.5
    max_per_class: int = 100
    one_class_iou: float = 1.0
    group_penalty: float = 2.0


@dataclass(frozen=True)
class DetectorSettings:
    """What a detector does with an image besides its features and scores.

    Attributes:
        proposals: method of :func:`sppdet.proposals.propose`.
        max_boxes: proposals per image.
        selection: from scored boxes to detections.
    """

    proposals: str = "fast"
    max_boxes: int = 2000
    selection: SelectionSettings = field(default_factory=SelectionSettings)

    def __post_init__(self) -> None:
        _whole_numbers("max_boxes", (self.max_boxes,), 1)


@dataclass(frozen=True)
class SvmSettings:
    """One linear SVM per class; the constants are the released code's.

    Attributes:
        cost: C, the weight of the hinge losses against |w|^2 / 2, for features of the mean norm
            :attr:`MiningSettings.target_norm`.
        positive_weight: factor on the losses of positives.
        hard_score: a negative with a score above this is hard.
        evict_score: a negative with a score below this after training is dropped.
    """

    cost: float = 1e-3
    positive_weight: float = 2.0
    hard_score: float = -1.0001
    evict_score: float = -1.2


@dataclass(frozen=True)
class MiningSettings:
    """Which regions become examples; defaults that the papers and the released code give are named.

    Attributes:
        target_norm: mean L2 norm to which features are scaled (released code: 20).
        positive_iou: proposals whose IoU with a ground-truth box of the class exceeds this are
            positives beside the ground truth itself; 1 means ground truth only, as in the papers.
        negative_iou: a proposal is a negative of a class when its IoU with each box of the class is
            below this (R-CNN paper, section 2.3: 0.3).
        initial_negatives: random negatives per class before mining, over all images; at most half
            of the room that ``memory`` gives, the rest is left to hard ones.
        retrain_after: hard negatives of a class after which it is trained again (released code).
        hard_per_image: hard negatives of a class that one image may give, the hardest.
        round_views: views, mirrored ones included, that are scored side by side with the same SVMs.
        max_positives, max_negatives: examples of a class held at one time.
        memory: bytes that the examples of all classes may take, those on the disk included.
        gram_examples: on the CPU, examples of a class up to which the matrix of their products is
            kept (4 bytes a pair). SVMs of a class with more are fitted block by block, and its
            examples are on the disk (:mod:`sppdet.heads.streaming`).
    """

    target_norm: float = 20.0
    positive_iou: float = 0.7
    negative_iou: float = 0.3
    initial_negatives: int = 1000
    retrain_after: int = 1000
    hard_per_image: int = 25
    round_views: int = 8
    max_positives: int = 1500
    max_negatives: int = 3000
    memory: int = 512 << 20
    gram_examples: int = 6000

    def room(self, dimension: int, num_classes: int) -> int:
        """Examples of one kind that ``memory`` allows each class, half precision; at least 50."""
        return max(self.memory // (2 * dimension * max(num_classes, 1)), 50)


@dataclass(frozen=True)
class RegressionSettings:
    """Ridge regression of boxes.

    Attributes:
        minimum_iou: a proposal is an example of the class whose ground truth it overlaps by more
            than this (SPP-net's released code: 0.5; R-CNN's: 0.6).
        ridge: the penalty (SPP-net's released code: 4000; R-CNN's: 1000), for features of the mean
            norm :attr:`MiningSettings.target_norm`; chosen on folds (BENCHMARKS.md).
        max_examples: examples per class, spread evenly over its images.
    """

    minimum_iou: float = 0.5
    ridge: float = 1000.0
    max_examples: int = 2500


@dataclass(frozen=True)
class TrainSettings:
    """Everything of a training but the features and the heads.

    Attributes:
        mining, regression: which examples are taken.
        detector: settings of the trained detector.
        seed: of every random choice.
        workers: images that are worked on at the same time.
        store_bytes: disk space, on a GPU its memory, for prepared images while training runs.
        calibration_images: images of the third pass.
        one_class: whether an object may be found as one class only; None lets the folds decide.
        lower_groups: whether the selection's ``group_penalty`` is used; None lets the folds decide.
        box_regression: whether to train it.
        mirror: also learn from each image flipped left to right (Fast R-CNN paper, section 2.3).
        keep_examples: whether the detector keeps some examples, which :mod:`sppdet.explaining`
            shows; see :mod:`sppdet.training.keeping`. Only linear heads on raw features can.
    """

    mining: MiningSettings = field(default_factory=MiningSettings)
    regression: RegressionSettings = field(default_factory=RegressionSettings)
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    seed: int = 0
    workers: int = 2
    store_bytes: int = 8 << 30
    calibration_images: int = 240
    one_class: bool | None = None
    lower_groups: bool | None = None
    box_regression: bool = True
    mirror: bool = True
    keep_examples: bool = False


@dataclass(frozen=True)
class ConnectedSettings:
    """Fully connected layers that learn from windows on a frozen trunk (SPP-net paper, section 4).

    Attributes:
        units: outputs of fc6 and of fc7; the layers of AlexNet and VGG-16 keep their 4,096.
        components: principal components of the windows in which fc6 learns.
        positive_iou: a window is a positive of the class whose ground truth it overlaps by at least
            this.
        background_iou: a window is background if its greatest IoU is at least this, and below
            ``positive_iou``. An image with too few of them gives windows of less.
        positives, background: windows of one image, of the mirrored one likewise.
        batch, positive_share: windows of a mini-batch, and the share of positives (R-CNN paper,
            section 2.3: 128, 25 %).
        epochs: how often the windows' number goes through the layers; the last sixth has a tenth of
            the learning rate (paper: 250,000 and 50,000 mini-batches).
        learning_rate: of layers that start from random values.
        tuning_rate: of layers that were trained before (R-CNN paper: 0.001; SPP-net paper: 0.0001,
            with a hundred times as many mini-batches).
        momentum, weight_decay, dropout: AlexNet's.
        disk: bytes that the windows' features may take on the disk while training runs.
    """

    units: int = 1024
    components: int = 1024
    positive_iou: float = 0.5
    background_iou: float = 0.1
    positives: int = 16
    background: int = 48
    batch: int = 128
    positive_share: float = 0.25
    epochs: int = 12
    learning_rate: float = 0.01
    tuning_rate: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 5e-4
    dropout: float = 0.5
    disk: int = 4 << 30

    def __post_init__(self) -> None:
        counts = ("units", "components", "positives", "background", "batch", "epochs")
        for name in counts:
            _whole_numbers(name, (getattr(self, name),), 1)
        if not 0 <= self.background_iou < self.positive_iou <= 1:
            raise ValueError(
                f"background_iou={self.background_iou!r}: give a value from 0 up to "
                f"positive_iou={self.positive_iou!r}"
            )
