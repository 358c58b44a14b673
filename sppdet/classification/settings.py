"""What decides the result of a training of a classification network."""

import dataclasses
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from sppdet.trunks.weights import Preprocessing

SCHEDULES = ("cosine", "linear", "step")
"""Courses of the learning rate, see :func:`sppdet.classification.schedule.learning_rate`."""

LARGEST_LEVEL, LARGEST_SIDE = 64, 20_000
"""Bins per side of a pyramid, and pixels: a damaged checkpoint must not ask for all memory."""

STEMS = ("own", "cifar")
"""First layers of a network, see :func:`sppdet.classification.networks.build_network`."""

POOLINGS = ("max", "average")
"""What a bin of the pyramid takes of its cells."""

SIZE_ORDERS = ("epoch", "batch", "rising")
"""When which image size is used, see :func:`sppdet.classification.schedule.image_size`."""


@dataclass(frozen=True)
class Augmentation:
    """How far training images are varied: not at all with zeros and ``smallest_crop`` 1.

    Attributes:
        smallest_crop: a crop covers at least this part of the region's area.
        ratio: its width to height is between ``1 / ratio`` and ``ratio``.
        object_crops: probability that the region is the labelled object's box, enlarged, instead of
            the whole image (where a box is known).
        flip: probability of a mirror image.
        color: brightness, contrast and saturation are multiplied by ``1 - color .. 1 + color``.
        shift: the scaled crop is moved by up to this many pixels each way, its edges mirrored.
        cutout: side in pixels of a square that is erased; 0 for none.
    """

    smallest_crop: float = 0.4
    ratio: float = 4 / 3
    object_crops: float = 0.0
    flip: float = 0.5
    color: float = 0.0
    shift: int = 0
    cutout: int = 0

    def __post_init__(self) -> None:
        for name in ("shift", "cutout"):
            if not 0 <= getattr(self, name) <= LARGEST_SIDE:
                raise ValueError(f"--{name}: whole pixels from 0 to {LARGEST_SIDE:,}")


def _default_preprocessing() -> "Preprocessing":
    # Imported late: the command line reads the defaults of this module, and shall not import torch.
    from sppdet.trunks.weights import Preprocessing

    return Preprocessing()


@dataclass(frozen=True)
class ClassifySettings:
    """All that decides the result of a training, apart from the data.

    Attributes:
        network: a name for :func:`sppdet.classification.networks.build_network`.
        levels: the pyramid, or None for the network's own.
        stem: ``"cifar"`` lets a network of torchvision shrink small images later.
        norm: False leaves out the batch norms, as papers before 2015 do.
        pooling: max or average, in the bins of the pyramid.
        whiten: global contrast normalisation and ZCA whitening, fitted to the training images, as
            the first layer of the network (:mod:`sppdet.classification.whitening`).
        epochs, batch_size: length of the training.
        sizes: sides of the training images in pixels; ``size_order`` says when which is used.
        test_size: shorter side of the test images; None for the images as they are.
        rate: peak learning rate; ``warmup``: the part of the training until it is reached;
            ``schedule``: cosine, linear or step.
        momentum, weight_decay: of SGD (Nesterov). Biases and batch norms do not decay.
        label_smoothing, dropout: regularisation.
        average: decay of the moving average of the weights, which is what is tested and kept;
            0 for none.
        mixed_precision: bfloat16 products; for GPUs.
        seed: of the weights, the order and the crops.

    Raises:
        ValueError: a value that cannot be.
    """

    network: str
    levels: tuple[int, ...] | None = None
    stem: str = "own"
    norm: bool = True
    pooling: Literal["max", "average"] = "max"
    whiten: bool = False
    epochs: int = 20
    batch_size: int = 128
    sizes: tuple[int, ...] = (32,)
    size_order: str = "epoch"
    test_size: int | None = None
    rate: float = 0.1
    warmup: float = 0.05
    schedule: str = "cosine"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    dropout: float = 0.0
    average: float = 0.0
    mixed_precision: bool = False
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    preprocessing: "Preprocessing" = field(default_factory=_default_preprocessing)

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ValueError(f"--schedule {self.schedule}: choose {', '.join(SCHEDULES)}")
        if self.stem not in STEMS:
            raise ValueError(f"--stem {self.stem}: choose {', '.join(STEMS)}")
        if self.pooling not in POOLINGS:
            raise ValueError(f"--pooling {self.pooling}: choose {', '.join(POOLINGS)}")
        if self.size_order not in SIZE_ORDERS:
            raise ValueError(f"--size-order {self.size_order}: choose {', '.join(SIZE_ORDERS)}")
        for name in ("warmup", "momentum", "label_smoothing", "dropout", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')}: is at least 0 and below 1")
        for name, largest, values in (
            ("levels", LARGEST_LEVEL, self.levels or ()),
            ("sizes", LARGEST_SIDE, self.sizes),
            ("test-size", LARGEST_SIDE, (self.test_size or 1,)),
            ("epochs", 10**9, (self.epochs,)),
            ("batch", 10**6, (self.batch_size,)),
        ):
            if not all(1 <= value <= largest for value in values) or len(values) > LARGEST_LEVEL:
                raise ValueError(f"--{name}: whole numbers from 1 to {largest:,}")
        if not self.sizes:
            raise ValueError("--sizes: at least one")
        if self.whiten and {*self.sizes, self.test_size or self.sizes[0]} != {self.sizes[0]}:
            raise ValueError("--whiten: takes one image size; give one of --sizes, and no other")
        if not (self.rate > 0 and self.weight_decay >= 0):
            raise ValueError("--rate is positive, --weight-decay not negative")

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ClassifySettings":
        """From :meth:`to_dict` after a trip through JSON.

        Raises:
            KeyError, TypeError, ValueError: a value has another type, or cannot be.
        """
        from sppdet.runtime.tensor_files import make
        from sppdet.trunks.weights import Preprocessing

        chosen = dict(values)
        chosen["levels"] = chosen["levels"] or None
        chosen["augmentation"] = make(Augmentation, chosen["augmentation"])
        chosen["preprocessing"] = make(Preprocessing, chosen["preprocessing"])
        return make(cls, chosen, {"Preprocessing": Preprocessing})


def command_line(settings: ClassifySettings, data: str = "DATA", output: str = "RUN") -> str:
    """The call of ``tools/classify.py train`` that has these settings; defaults are left out."""
    words = [
        f"python tools/classify.py train {data} --network {settings.network} --output {output}"
    ]
    named = {field.name: field.default for field in dataclasses.fields(ClassifySettings)}
    values = {name: getattr(settings, name) for name in named}
    for place in ("network", "augmentation", "preprocessing", "mixed_precision"):
        values.pop(place)
    varied = {f.name: f.default for f in dataclasses.fields(Augmentation)}
    named |= varied
    values |= {name: getattr(settings.augmentation, name) for name in varied}
    for name, value in values.items():
        if value == named[name] and name not in ("epochs", "sizes", "seed"):
            continue
        option = {"batch_size": "batch"}.get(name, name).replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
            continue
        text = ",".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
        words.append(f"--{option} {text}")
    return " ".join(words)
