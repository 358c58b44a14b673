"""Large arrays outside the memory that the allocator hands out."""

import math
import mmap
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def memory_of_its_own(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array of zeros in memory that is asked of the system, and given back when the array goes.

    A page becomes resident when it is first written. Large arrays that stay for long lie here, so
    that they do not keep the memory of passing allocations from being used again.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return np.frombuffer(mmap.mmap(-1, max(size, 1)), dtype, math.prod(shape)).reshape(shape)
