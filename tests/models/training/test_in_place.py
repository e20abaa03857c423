"""Arrays that TensorFlow reads where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.training.in_place import joined_in_place, rows_in_place, tensor_of, zeros_in_place

Array = npt.NDArray[Any]
KINDS = st.sampled_from([np.float32, np.int32, np.bool_])


@given(st.data(), KINDS)
def test_they_hold_what_numpys_own_hold(data: st.DataObject, kind: type) -> None:
    width = data.draw(st.integers(0, 4))
    parts = [
        data.draw(arrays.arrays(kind, (length, 3, width)))
        for length in data.draw(st.lists(st.integers(0, 5), min_size=1))
    ]
    joined = joined_in_place(parts)
    np.testing.assert_array_equal(joined, np.concatenate(parts))
    if len(joined):
        rows = np.array(data.draw(st.lists(st.integers(0, len(joined) - 1))), np.int64)
        np.testing.assert_array_equal(rows_in_place(joined, rows), joined[rows])
    assert not zeros_in_place(joined.shape, kind).any()


@pytest.mark.parametrize("make", [zeros_in_place, np.zeros], ids=["in place", "anywhere"])
@pytest.mark.parametrize("shape", [(40_000, 7), (3, 0), (0, 2)])
def test_a_tensor_holds_the_array(make: Any, shape: tuple[int, ...]) -> None:
    array = make(shape, np.float32)
    array[...] = np.arange(array.size, dtype=np.float32).reshape(shape)
    tensor = tensor_of(array)
    np.testing.assert_array_equal(tensor.numpy(), array)
    assert tensor.shape == shape


def test_aligned_memory_is_not_copied() -> None:
    array = zeros_in_place((4, 5), np.int32)
    address = array.__array_interface__["data"][0]
    assert np.frombuffer(memoryview(tensor_of(array)), np.int32).__array_interface__["data"][0] == address


def test_a_tensor_outlives_its_array() -> None:
    tensor = tensor_of(np.add(zeros_in_place((1000, 1000), np.float32), 0))
    kept = tensor_of(joined_in_place([np.full((1000, 1000), 3, np.float32)]))
    for _ in range(3):
        zeros_in_place((1000, 1000), np.float32)[...] = 7
    assert (kept.numpy() == 3).all() and not tensor.numpy().any()
