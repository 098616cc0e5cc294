"""Where edges are found again, held against its definition cell by cell and against moves that are known."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.vision.registration import anchored, register, warped

Cells = npt.NDArray[np.complex64]


def edges(seed: int) -> Cells:
    """Return edges at random places of a view, some strong, most faint, in every direction."""
    drawn = np.random.default_rng(seed)
    strength = drawn.random((36, 48)) ** 3
    return np.asarray(strength * np.exp(2j * np.pi * drawn.random((36, 48))), np.complex64)


def outlines(seed: int) -> Cells:
    """Return edges of things that are larger than a cell."""
    blurred = cv2.GaussianBlur(edges(seed).view(np.float32).reshape(36, 48, 2), (0, 0), 1.2)
    return np.asarray(3 * blurred.view(np.complex64)[..., 0], np.complex64)


def agreement(one: Cells, other: Cells) -> float:
    """Return the correlation of two parts of one shape."""
    whole = float((np.abs(one) ** 2).sum() * (np.abs(other) ** 2).sum())
    return float((np.conj(one) * other).real.sum() / np.sqrt(max(whole, 1e-9)))


def anchored_by_definition(approved: Cells, seen: Cells) -> float:
    """Hold each 12 x 12 block against all places up to five cells away, one after the other."""
    wide, held = np.pad(seen, 5), 0.0
    power = np.abs(approved) ** 2
    for row in range(0, 36, 12):
        for column in range(0, 48, 12):
            block = approved[row : row + 12, column : column + 12]
            found = {
                (down, right): agreement(block, wide[row + 5 + down :, column + 5 + right :][:12, :12])
                for down in range(-5, 6)
                for right in range(-5, 6)
            }
            here = max(value for (down, right), value in found.items() if max(abs(down), abs(right)) <= 1)
            there = max(value for (down, right), value in found.items() if max(abs(down), abs(right)) > 1)
            part = float(power[row : row + 12, column : column + 12].sum())
            if here > 0.5 and here > there + 0.1 and part > 0.02 * float(power.sum()):
                held += part
    return held / float(power.sum())


@settings(max_examples=8)
@given(st.integers(0, 999), st.integers(-3, 3), st.integers(0, 48))
def test_what_is_anchored_fits_better_than_nearby(seed: int, right: int, hidden: int) -> None:
    approved = edges(seed)
    seen = np.roll(approved, right, axis=1) + np.complex64(0.3) * edges(seed + 1)
    seen[:, :hidden] = edges(seed + 2)[:, :hidden]
    assert anchored(approved, seen) == pytest.approx(anchored_by_definition(approved, seen), abs=1e-4)


@pytest.mark.parametrize(("degrees", "zoom", "held"), [(8, 1.0, 0.6), (-12, 1.09, 0.4), (24, 1.33, 0.0)])
def test_a_turn_is_found_however_little_was_searched(degrees: float, zoom: float, held: float) -> None:
    approved = edges(7)
    found = register(approved, warped(approved, np.radians(degrees), zoom, 4 / 3), 4 / 3, held)
    assert found.rotation == pytest.approx(degrees, abs=2)
    assert found.zoom == pytest.approx(zoom, abs=0.05)
    assert found.score > 0.5


@settings(max_examples=5)
@given(st.integers(0, 999))
def test_where_nothing_fits_better_elsewhere_the_view_has_not_moved(seed: int) -> None:
    approved = edges(seed)
    seen = approved + np.complex64(0.5) * edges(seed + 1)
    found = register(approved, seen, 4 / 3)
    assert (found.shift_x, found.shift_y, found.rotation, found.zoom) == (0, 0, 0, 1)
    assert found.score == pytest.approx(agreement(approved, seen), abs=1e-4)


@settings(max_examples=8)
@given(st.integers(0, 999), st.floats(-10, 10), st.sampled_from([0.8, 0.88, 1.14, 1.25]))
def test_what_has_moved_settles_block_by_block_where_it_is_found(seed: int, degrees: float, zoom: float) -> None:
    approved = outlines(seed)
    moved = warped(approved, np.radians(degrees), zoom, 4 / 3) + np.complex64(0.1) * outlines(seed + 1)
    found = register(approved, moved, 4 / 3)
    assert found.settled > 0.4
    assert found.settled > anchored(approved, moved) + 0.25


@settings(max_examples=5)
@given(st.integers(0, 999))
def test_another_view_settles_nowhere(seed: int) -> None:
    assert register(outlines(seed), outlines(seed + 1000), 4 / 3).settled < 0.2


@settings(max_examples=8)
@given(st.integers(0, 999), st.sampled_from([0.7, 0.8, 1.25, 1.4, 1.6, 1.75]))
def test_what_is_zoomed_is_found_about_its_middle_though_another_place_fits_by_chance(seed: int, zoom: float) -> None:
    approved = outlines(seed)
    nearer = warped(approved, 0.0, zoom, 4 / 3)
    found = register(approved, nearer, 4 / 3)
    assert found.zoomed == pytest.approx(found.score, abs=0.02)
    assert found.zoomed > 0.6
    distracted = nearer + np.complex64(1.2) * warped(approved, 0.2, 1.0, 4 / 3, (12, 8))
    other = register(approved, distracted, 4 / 3)
    assert abs(other.shift_x) > 0.1
    assert other.zoomed > agreement(approved, distracted) + 0.2


@settings(max_examples=8)
@given(st.integers(0, 999))
def test_neither_another_view_nor_a_turned_one_is_found_about_its_middle(seed: int) -> None:
    approved = outlines(seed)
    assert register(approved, outlines(seed + 1000), 4 / 3).zoomed < 0.3
    assert register(approved, warped(approved, 0.4, 1.0, 4 / 3, (8, 5)), 4 / 3).zoomed < 0.3
