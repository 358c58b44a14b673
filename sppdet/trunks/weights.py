"""A trunk's weights and the preprocessing that they expect: from a file, or torchvision's."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import safetensors
import torch
from torch import Tensor

from sppdet.errors import SppdetError
from sppdet.runtime.tensor_files import load_tensors

_CONTAINERS = ("state_dict", "model_state_dict", "model")
"""Keys under which checkpoints of trainings have the state dict."""

_PREFIXES = ("module.", "_orig_mod.", "model.")
"""Of torch's DataParallel and compile, and of usual names for a wrapped network."""


@dataclass(frozen=True)
class Preprocessing:
    """What the network wants to see: ``(channel * scale / 255 - mean) / std``.

    Attributes:
        channels: ``"RGB"`` or ``"BGR"``, the order of the input channels (and of mean and std).
        scale: the value of a full-bright pixel, 1 or 255.
        mean, std: per channel, in units of ``scale``. The default is that of torchvision's weights.
    """

    channels: str = "RGB"
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if self.channels not in ("RGB", "BGR") or len(self.mean) != 3 or len(self.std) != 3:
            raise ValueError(f"not a preprocessing: {self}")
        if not all(value > 0 for value in (self.scale, *self.std)):
            raise ValueError(f"not a preprocessing, scale and std are above 0: {self}")

    @classmethod
    def from_json(cls, text: str) -> "Preprocessing":
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: the text is not such an object.
        """
        try:
            values = json.loads(text)
            return cls(
                values["channels"],
                float(values["scale"]),
                tuple(float(v) for v in values["mean"]),  # type: ignore[arg-type]
                tuple(float(v) for v in values["std"]),  # type: ignore[arg-type]
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a preprocessing: {text[:200]} ({error})") from None

    def to_json(self) -> str:
        """The object as JSON, the form in which a weights file's metadata names it."""
        return json.dumps(
            {"channels": self.channels, "scale": self.scale, "mean": self.mean, "std": self.std}
        )


@dataclass(frozen=True)
class Weights:
    """Named tensors, the preprocessing they expect, and where they come from."""

    tensors: dict[str, Tensor]
    preprocessing: Preprocessing
    origin: str


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """Read a safetensors file, or a PyTorch state dict without executing anything in it.

    Raises:
        SppdetError: the file is missing, or holds no named tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise SppdetError(f"{path}: no such weights file")
    metadata: dict[str, str] = {}
    try:
        tensors, metadata = load_tensors(path)
    except (safetensors.SafetensorError, OSError):
        tensors = _state_dict(path)
    try:
        preprocessing = (
            Preprocessing.from_json(metadata["preprocessing"])
            if "preprocessing" in metadata
            else Preprocessing()
        )
    except ValueError as error:
        raise SppdetError(f"{path}: its metadata is wrong: {error}") from None
    return Weights(_without_prefix(tensors), preprocessing, metadata.get("origin", path.name))


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without a prefix that all their names have: that of a wrapped network."""
    for prefix in _PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many types on a file that is not its own
        raise SppdetError(
            f"{path}: is neither a safetensors file nor a plain PyTorch state dict "
            f"({type(error).__name__}); export the weights with safetensors.torch.save_file"
        ) from None
    for key in _CONTAINERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise SppdetError(f"{path}: holds no state dict (names and tensors)")
    return loaded


def torchvision_weights(name: str) -> Weights:
    """torchvision's ImageNet weights, downloaded with a progress bar on first use.

    Raises:
        SppdetError: the download failed.
    """
    import torchvision  # takes longer to import than a detection takes

    chosen = torchvision.models.get_model_weights(name).DEFAULT
    try:
        tensors = chosen.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise SppdetError(
            f"trunk {name}: its weights could not be downloaded from {chosen.url} ({error}); "
            "give --weights FILE, or use --trunk small, which comes with sppdet"
        ) from None
    return Weights(dict(tensors), Preprocessing(), f"torchvision {chosen}")


def digest(tensors: dict[str, Tensor]) -> str:
    """A hexadecimal name (16 digits) of the tensors' content, whatever their types."""
    hashed = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        hashed.update(tensor.reshape(-1).view(torch.uint8).numpy().data)  # NumPy has no bfloat16
    return hashed.hexdigest()[:16]
