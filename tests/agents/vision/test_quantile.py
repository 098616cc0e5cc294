"""Quantiles: the same as numpy's, without its ceremony."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from agents.vision.quantile import quantile, quantiles


@given(
    arrays(np.float32, array_shapes(max_dims=3, max_side=12), elements=st.floats(-1e6, 1e6, width=32)),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
)
def test_quantiles_are_numpy_s(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], shares: list[float]) -> None:
    expected = np.quantile(values.astype(np.float64), shares)
    assert quantiles(values, *shares) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_the_median_of_an_even_number_lies_between_the_two_in_the_middle() -> None:
    assert quantile(np.array([[4, 1], [2, 3]], np.uint8), 0.5) == 2.5
    assert quantiles(np.array([7.0]), 0.0, 0.5, 1.0) == (7.0, 7.0, 7.0)


def test_the_values_are_left_as_they_are() -> None:
    values = np.array([3.0, 1.0, 2.0])
    assert quantiles(values, 0.0, 1.0) == (1.0, 3.0)
    assert values.tolist() == [3.0, 1.0, 2.0]
