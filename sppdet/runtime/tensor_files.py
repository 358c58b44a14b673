"""Safetensors files with a checksum of their tensors and their metadata."""

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from sppdet.errors import SppdetError
from sppdet.runtime.files import atomic_path

CHECKSUM = "checksum"
"""The key of the metadata that has it: SHA-256 in hexadecimal."""

Made = TypeVar("Made")


@contextmanager
def damage_of(path: str | os.PathLike[str], kind: str) -> Iterator[None]:
    """Whatever goes wrong in the block is said of the file at ``path``, in one line.

    A file can hold anything: types, numbers and nesting of any kind.

    Args:
        path: the file that the block reads.
        kind: what it should be, such as "a detector".

    Raises:
        SppdetError: the block raised an exception.
    """
    try:
        yield
    except SppdetError as error:
        raise SppdetError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise SppdetError(
            f"{path}: is not {kind}, or is damaged ({type(error).__name__}: {reason})"
        ) from None


def save_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors and texts; an interruption leaves no partial file.

    Raises:
        SppdetError: the file cannot be written.
    """
    contiguous = {
        name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()
    }
    told = {**metadata, CHECKSUM: checksum(contiguous, metadata)}
    with atomic_path(path) as temporary:
        try:
            safetensors.torch.save_file(contiguous, temporary, told)
            _sort_metadata(temporary)
        except safetensors.SafetensorError as error:
            raise OSError(str(error)) from error


def _sort_metadata(path: Path) -> None:
    """Put the metadata in order: safetensors writes them in another order each time, and equal
    content is to give equal files."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= size:
            file.seek(8)
            file.write(text.ljust(size))


def broken(tensors: Mapping[str, Tensor], unknown: Collection[str] = ()) -> str | None:
    """The name of a tensor with a value that is not finite; NaN is allowed in those of
    ``unknown``."""
    for name, tensor in tensors.items():
        values = tensor.float()
        fine = torch.isfinite(values) | (torch.isnan(values) & (name in unknown))
        if tensor.is_floating_point() and not fine.all():
            return name
    return None


def load_tensors(
    path: str | os.PathLike[str], unknown: Collection[str] = ()
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a file; its checksum is verified where it has one.

    Args:
        unknown: names of tensors in which NaN has a meaning.

    Raises:
        SppdetError: the tensors or the metadata are not those that were written, or a value is not
            finite.
        safetensors.SafetensorError, OSError: it is not a safetensors file.
    """
    with safetensors.safe_open(str(path), framework="pt") as file:
        metadata = dict(file.metadata() or {})
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    expected = metadata.pop(CHECKSUM, None)
    if expected is not None and checksum(tensors, metadata) != expected:
        raise SppdetError(f"{path}: is damaged, its checksum is another one; copy it again")
    wrong = broken(tensors, unknown)
    if wrong is not None:
        raise SppdetError(f"{path}: {wrong} has values that are not finite; train it again")
    return tensors, metadata


def checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 of names, types, shapes and bytes of tensors on the CPU, and of texts."""
    content = hashlib.sha256()
    for key in sorted(metadata):
        content.update(f"{key}={metadata[key]}\n".encode("utf-8", "surrogatepass"))
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        content.update(tensor.reshape(-1).view(torch.uint8).numpy().data)  # NumPy has no bfloat16
    return content.hexdigest()


def make(
    cls: type[Made], values: Mapping[str, Any], named: Mapping[str, Any] | None = None
) -> Made:
    """A dataclass from JSON; lists become tuples.

    Args:
        cls: the dataclass.
        values: of its fields.
        named: classes that its module imports for the type checker only.

    Raises:
        TypeError: a field is unknown, or a value has another type than its field or is not finite.
    """
    types = get_type_hints(cls, localns=dict(named or {}))
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    converted = {}
    for name, value in values.items():
        if name not in known:
            raise TypeError(f"{cls.__name__} has no {name!r}")
        converted[name] = tuple(value) if isinstance(value, list) else value
        if not _fits(converted[name], types[name]):
            raise TypeError(f"{name} is {value!r:.60}, not {types[name]}")
    return cls(**converted)


def _fits(value: Any, wanted: Any) -> bool:
    origin = get_origin(wanted)
    if origin is Literal:
        return value in get_args(wanted)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(wanted))
    if origin is tuple:
        inner = get_args(wanted)[0]
        return isinstance(value, tuple) and all(_fits(one, inner) for one in value)
    if wanted is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and abs(value) < 1e300  # not so for NaN
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, wanted)
