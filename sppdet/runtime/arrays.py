"""Large arrays outside the memory that the allocator hands out."""

import math
import mmap
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sppdet.errors import SppdetError


def memory_of_its_own(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array of zeros in memory that is asked of the system, and given back when the array goes.

    A page becomes resident when it is first written. Large arrays that stay for long lie here, so
    that they do not keep the memory of passing allocations from being used again.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return np.frombuffer(mmap.mmap(-1, max(size, 1)), dtype, math.prod(shape)).reshape(shape)


def on_disk(shape: tuple[int, ...], dtype: DTypeLike, folder: Path) -> NDArray[Any]:
    """An array of zeros that is mapped to a file without a name, which goes with the array.

    The system may write its pages to the file and take their memory for other things.

    Raises:
        SppdetError: the folder cannot be written, or there is no room for the array.
    """
    size = max(math.prod(shape) * np.dtype(dtype).itemsize, 1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # else a full disk ends the process
            else:
                file.truncate(size)
            pages = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise SppdetError(
            f"{folder}: no room for {size / 1e6:.0f} MB of examples ({error.strerror or error}): "
            "free some, or set SPPDET_CACHE"
        ) from None
    return np.frombuffer(pages, dtype, math.prod(shape)).reshape(shape)
