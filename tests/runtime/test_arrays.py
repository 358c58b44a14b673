import numpy as np
import pytest

from sppdet.runtime.arrays import memory_of_its_own


@pytest.mark.parametrize("shape", [(0,), (3, 0), (1,), (7, 5), (300, 301)])
@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32])
def test_zeros_that_can_be_written(shape, dtype) -> None:
    array = memory_of_its_own(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert not array.any()
    array[...] = 3
    assert (array == 3).all()
    assert array.flags.c_contiguous
