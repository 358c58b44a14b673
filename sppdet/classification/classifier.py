"""A trained classifier: network, classes and what it expects; read from a file, or written."""

import json
import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from sppdet.classification.checkpoints import load_state
from sppdet.classification.data import LabelledImages
from sppdet.classification.image_sizes import check_size
from sppdet.classification.networks import build_network
from sppdet.classification.parts import PyramidClassifier
from sppdet.classification.settings import ClassifySettings
from sppdet.classification.stems import FIRST_POOLS
from sppdet.classification.whitening import Whitening
from sppdet.errors import SppdetError
from sppdet.runtime.tensor_files import damage_of, load_tensors, save_tensors
from sppdet.trunks.weights import Preprocessing


@dataclass(frozen=True)
class Classifier:
    """A network ready for use.

    Attributes:
        network: in evaluation mode; (B, 3, H, W) to (B, classes) scores.
        classes: the names of the training folders.
        settings: of its training; ``preprocessing`` and ``test_size`` are needed for its use.
    """

    network: nn.Module
    classes: tuple[str, ...]
    settings: ClassifySettings

    @property
    def preprocessing(self) -> Preprocessing:
        return self.settings.preprocessing

    @property
    def test_size(self) -> int | None:
        """Shorter side of the images that suits it, in pixels; None: any."""
        return self.settings.test_size


def load_classifier(path: str | os.PathLike[str], device: torch.device) -> Classifier:
    """Read a training's checkpoint, or weights that :func:`export_weights` wrote.

    Raises:
        SppdetError: the file is missing, or neither of them.
    """
    path = Path(path)
    if not path.is_file():
        raise SppdetError(f"{path}: no such file; give a checkpoint of tools/classify.py train")
    with damage_of(path, "a classifier of sppdet"):
        tensors, about = load_tensors(path)
        if about.get("format") == "sppdet-weights" and "settings" in about:
            settings = ClassifySettings.from_dict(json.loads(about["settings"]))
            classes = tuple(json.loads(about["classes"]))
        else:
            groups, state = load_state(path)
            settings = ClassifySettings.from_dict(state["settings"])
            classes = tuple(state["classes"])
            tensors = groups.get("average") or groups["model"]
        check_fit(settings, classes, tensors)
        network = network_of(settings, len(classes))
        network.load_state_dict(tensors)
    network.eval().requires_grad_(False)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Classifier(network, classes, settings)


def network_of(settings: ClassifySettings, classes: int) -> nn.Module:
    """The network of these settings with the random weights of their seed."""
    network = build_network(
        settings.network,
        classes,
        settings.levels,
        settings.dropout,
        settings.seed,
        settings.stem,
        settings.norm,
        settings.pooling,
    )
    if settings.whiten:
        layers = OrderedDict(whitening=Whitening(settings.sizes[0]), network=network)
        return nn.Sequential(layers)
    return network


def shapes_of(settings: ClassifySettings, classes: int) -> nn.Module:
    """:func:`network_of` without memory for the weights, on PyTorch's device ``meta``."""
    try:
        with torch.device("meta"):
            return network_of(settings, classes)
    except NotImplementedError:  # RegNet computes its widths with tensors
        return network_of(settings, classes).to("meta")


def map_cells(settings: ClassifySettings) -> int:
    """Cells a side of the map below the pyramid, for square images of the smallest size."""
    network, side = shapes_of(settings, 2), min(settings.sizes)
    (pyramid,) = (one for one in network.modules() if isinstance(one, PyramidClassifier))
    with torch.no_grad():
        return int(pyramid.features(torch.empty(2, 3, side, side, device="meta")).shape[2])


def check_sizes(
    settings: ClassifySettings, classes: int, images: LabelledImages | None = None
) -> None:
    """Compare the image sizes of the settings with those that the network takes.

    Args:
        settings: of a training.
        classes: their number.
        images: of the test; their own size counts where they have one and are tested as they are.

    Raises:
        SppdetError: the network does not take images of a size.
    """
    network = shapes_of(settings, classes)
    name = settings.network
    cifar = settings.stem == "own" and name.startswith(tuple(FIRST_POOLS))
    for side in settings.sizes:
        check_size(network, name, side, side, "--stem cifar, or --sizes" if cifar else "--sizes")
    if settings.test_size is not None:
        check_size(network, name, settings.test_size, settings.test_size, "--test-size")
    elif images is not None and images.packed is not None:
        height, width = images.packed.shape[1:3]
        check_size(network, name, height, width, "--test-size")


def check_fit(
    settings: ClassifySettings, classes: tuple[str, ...], tensors: Mapping[str, torch.Tensor]
) -> None:
    """Compare the tensors with the network of these settings, before memory is taken for it.

    Raises:
        ValueError: a class is not a text, or a tensor is missing, left over or of another shape.
        SppdetError: the network is unknown.
    """
    if not classes or not all(isinstance(name, str) for name in classes):
        raise ValueError("its classes are not names")
    network = shapes_of(settings, len(classes))
    wanted = {name: tensor.shape for name, tensor in network.state_dict().items()}
    given = {name: tensor.shape for name, tensor in tensors.items()}
    # Exported weights leave out what is not a floating-point number: counters.
    wrong = {name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name)}
    wrong = {name for name in wrong if not name.endswith("num_batches_tracked")}
    if wrong:
        raise ValueError(f"its tensors do not fit a {settings.network}: {min(wrong)}")


def export_weights(
    classifier: Classifier, path: str | os.PathLike[str], notes: Mapping[str, str]
) -> None:
    """Write the weights alone: matrices and kernels in half precision, vectors in single.

    The file serves as a classifier and, where its network has a trunk, as that trunk's weights.

    Args:
        classifier: what to write.
        path: a safetensors file.
        notes: further metadata: ``data``, ``command``, ``top1``, ``commit`` and the like.

    Raises:
        SppdetError: a weight is too large for half precision, or the file cannot be written.
    """
    tensors = {}
    for name, tensor in classifier.network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        small = tensor.half() if tensor.ndim > 1 else tensor.float()
        if not torch.isfinite(small).all():
            raise SppdetError(f"{name}: holds values that half precision cannot hold")
        tensors[name] = small.detach().cpu().contiguous()
    settings = classifier.settings
    metadata = {
        "format": "sppdet-weights",
        "architecture": settings.network,
        "preprocessing": settings.preprocessing.to_json(),
        "classes": json.dumps(classifier.classes),
        "settings": json.dumps(settings.to_dict()),
        "seed": str(settings.seed),
        **notes,
    }
    save_tensors(path, tensors, metadata)
