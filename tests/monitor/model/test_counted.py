"""A count agrees with its noun."""

from __future__ import annotations

import pytest

from monitor.model.counted import counted


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (counted(0, "camera"), "0 cameras"),
        (counted(1, "camera"), "1 camera"),
        (counted(2, "camera"), "2 cameras"),
        (counted(1, "is left", "are left"), "1 is left"),
        (counted(3, "is left", "are left"), "3 are left"),
    ],
)
def test_one_is_one_and_all_else_is_many(said: str, expected: str) -> None:
    assert said == expected
