"""Arrays that TensorFlow reads without a copy, so that large ones are in memory once.

TensorFlow uses memory directly if it starts at a multiple of 64 bytes. NumPy's does not, Arrow's does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf

_BOUNDARY = 64
Array = npt.NDArray[Any]


def zeros_in_place(shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
    """As `np.zeros`."""
    array = _room(shape, dtype)
    array[...] = 0
    return array


def rows_in_place(array: Array, rows: npt.NDArray[np.int64]) -> Array:
    """As `array[rows]`, for rows that there are, counted from 0."""
    return np.take(array, rows, axis=0, out=_room((len(rows), *array.shape[1:]), array.dtype), mode="clip")


def joined_in_place(arrays: Sequence[Array]) -> Array:
    """As `np.concatenate(arrays)`; all of one dtype."""
    shape = (sum(len(array) for array in arrays), *arrays[0].shape[1:])
    return np.concatenate(arrays, out=_room(shape, arrays[0].dtype))


def tensor_of(array: Array) -> tf.Tensor:
    """The array's own memory as a tensor where it is aligned, else a copy. The array must not be changed after."""
    if array.ctypes.data % _BOUNDARY or not array.flags.c_contiguous or not array.size:
        return tf.convert_to_tensor(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def _room(shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
    dtype = np.dtype(dtype)
    buffer = pa.allocate_buffer(int(np.prod(shape)) * dtype.itemsize)
    return np.frombuffer(buffer, dtype).reshape(shape)
