"""What a sensor's noise left in one picture, at a thousand places: it is never the same twice, but in a recording that is played again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from agents.vision.picture import Plane
from agents.vision.strips import BLOCK

REGIONS_A_SIDE = 4
REGIONS = REGIONS_A_SIDE**2
PLACES = 64
"""In each of 4 x 4 regions: what moves in one of them tells nothing of the others."""

IMPRINT_BYTES = REGIONS * PLACES

AROUND = 5
"""Side, in pixels, of what is around a place, whose mean is taken out: an encoder leaves little of the finest noise, and light is coarser."""

LEVELS = 4
"""Steps that are kept of one level of luma."""

MOST_LEVEL = 127
"""So many steps up or down at the most: a byte."""

MOST_DEVIATION = 24.0
"""Steps: a place that differs more from its mean over the looks has something moving in it."""

LEAST_POWER = 0.6
"""Steps of deviation: a region with less noise has none to tell by, nor one in which fewer places than this hold still."""
LEAST_STILL = 16

LEAST_USUAL = 2

LEAST_SEEN = 0.35
"""Correlation of what is usual now with what was then: with less their places don't meet (a recording that is cropped, or scaled). Where they do it is 0.44 at least."""

ITS_VIEW = 0.5
"""Of the most that any picture is like what is looked at (where that is as much), has each that shows another view less: the camera has turned."""

SAME_REGIONS = REGIONS * 3 // 4
"""The same picture is so all over; in as many who walks about is not."""

LEAST_OWN = 0.5
"""Steps: what a region has at least for it to be told whether another picture has the same."""

ROUNDED = 0.25
"""Steps: differences as small as this are rounding's, and none is told from none."""

AT_ONCE = 64
"""So many pictures are held against one at once: for more the memory has to be got anew each time, which takes as long as all the rest."""

LEAST_SIDE = BLOCK * REGIONS_A_SIDE // 2
"""Pixels: a smaller picture has no imprint."""

Imprint = npt.NDArray[np.int8]
"""Luma less the mean around it, in quarters of a level: shape (1024,), region after region."""

Fine = npt.NDArray[np.float32]
"""The same of all pixels of a picture's strips, (16 n, 16 m)."""


@lru_cache(maxsize=64)
def places(height: int, width: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the rows and columns that are looked at, in strips of such a size: the same in each picture."""
    half = AROUND // 2
    rows = np.arange(height)
    rows = rows[(rows % BLOCK >= half) & (rows % BLOCK < BLOCK - half)]  # strips are no neighbours in the picture
    columns = np.arange(half, width - half)
    chosen = np.random.default_rng(7)
    parts = [
        (chosen.choice(above, PLACES), chosen.choice(beside, PLACES))
        for above in np.array_split(rows, REGIONS_A_SIDE)
        for beside in np.array_split(columns, REGIONS_A_SIDE)
    ]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def imprint(strips: Plane) -> Imprint | None:
    """Return the imprint of a picture's strips, (16 n, 16 m); None for a picture that is too small."""
    if min(strips.shape) < LEAST_SIDE:
        return None
    sums = np.asarray(cv2.boxFilter(strips, cv2.CV_16U, (AROUND, AROUND), normalize=False))
    chosen = _chosen(*strips.shape)
    around = strips.take(chosen) - sums.take(chosen) / np.float32(AROUND**2)
    around *= LEVELS
    np.rint(around, out=around)
    np.maximum(around, -MOST_LEVEL, out=around)
    return np.asarray(np.minimum(around, MOST_LEVEL, out=around), np.int8)


@lru_cache(maxsize=64)
def _chosen(height: int, width: int) -> npt.NDArray[np.intp]:
    """Return the places that are looked at, counted row after row."""
    rows, columns = places(height, width)
    return np.asarray(rows * width + columns, np.intp)


def fine(strips: Plane) -> Fine:
    """Return what strips have beside the mean around each pixel, in steps."""
    values = strips.astype(np.float32)
    values -= cv2.blur(values, (AROUND, AROUND))
    values *= LEVELS
    return values


def from_bytes(data: bytes) -> Imprint:
    """Return the imprint of which these are the bytes. Raises ValueError for another number of them."""
    if len(data) != IMPRINT_BYTES:
        raise ValueError(f"an imprint of {len(data)} bytes")
    return np.frombuffer(data, np.int8)


def alike(now: Imprint, usual: Sequence[Imprint], before: Imprint, usual_then: Sequence[Imprint]) -> float | None:
    """Return how far a picture's noise is that of an earlier one: a correlation, about 0 for live pictures.

    Each is held against what is usual, of other pictures about that time: what they show, too, is taken out, also where it is lit otherwise. The
    median over regions, of those in which noise is left and enough places hold still; None where those are fewer than half, or where both show another view.
    """
    usual, usual_then = _of_its_view(now, usual), _of_its_view(before, usual_then)
    if min(len(usual), len(usual_then)) < LEAST_USUAL:
        return None
    groups = [
        np.array([one, *others], np.float32).reshape(-1, REGIONS, PLACES)
        for one, others in ((now, usual), (before, usual_then))
    ]
    here, there = (group[1:].mean(0) for group in groups)
    if float((here * there).sum()) < LEAST_SEEN * float(np.sqrt((here * here).sum() * (there * there).sum())):
        return None
    shown = (here + there) / 2
    one, other = (_unlike(group, shown) for group in groups)
    still = (np.abs(one) <= MOST_DEVIATION) & (np.abs(other) <= MOST_DEVIATION)
    one, other, places = one * still, other * still, still.sum(1)
    power, power_before = (one * one).sum(1), (other * other).sum(1)
    known = (np.minimum(power, power_before) >= LEAST_POWER**2 * places) & (places >= LEAST_STILL)
    if known.sum() < REGIONS / 2:
        return None
    return float(np.median((one * other).sum(1)[known] / np.sqrt(power[known] * power_before[known])))


def like(one: Imprint, *others: Imprint) -> npt.NDArray[np.float32]:
    """Return how far pictures show what one shows, with the noise of each: correlations."""
    seen, rest = one.astype(np.float32), np.array(others, np.float32)
    return np.asarray(rest @ seen / np.maximum(np.sqrt((rest * rest).sum(1) * (seen @ seen)), 1), np.float32)


def apart(seen: Imprint, others: Sequence[Imprint]) -> npt.NDArray[np.float32] | None:
    """Return how far other pictures are from one, the mean difference as a share of the mean that this has: 1.3 or so for two noises of one size, 0 for the same.

    Shape (others,): of each the region that three quarters of them don't exceed. None where too few regions have anything that could be the same.
    """
    own = np.abs(seen, dtype=np.int16).reshape(REGIONS, PLACES).mean(1)
    if not others or (own >= LEAST_OWN).sum() < SAME_REGIONS:
        return None
    here, sums = np.tile(seen, (min(AT_ONCE, len(others)), 1)), np.empty((len(others) * REGIONS, 1), np.float32)
    for first in range(0, len(others), AT_ONCE):
        held = bytearray().join(others[first : first + AT_ONCE])  # type: ignore[arg-type]  # an array is a buffer
        off = np.frombuffer(held, np.int8).reshape(-1, IMPRINT_BYTES)
        cv2.absdiff(off, here[: len(off)], dst=off)
        some = sums[first * REGIONS :][: len(off) * REGIONS]
        cv2.reduce(off.view(np.uint8).reshape(-1, PLACES), 1, cv2.REDUCE_SUM, dst=some, dtype=cv2.CV_32F)
    shares = (sums.reshape(-1, REGIONS) * np.float32(1 / PLACES) + ROUNDED) / (own + ROUNDED).astype(np.float32)
    return np.asarray(np.sort(shares, axis=1)[:, SAME_REGIONS - 1], np.float32)


def _of_its_view(seen: Imprint, others: Sequence[Imprint]) -> Sequence[Imprint]:
    """Return those of the other pictures that show what one shows, as far as that can be told."""
    if not others:
        return others
    found = like(seen, *others)
    least = ITS_VIEW * found.max() if found.max() >= LEAST_SEEN else -np.inf
    return [other for other, item in zip(others, found, strict=True) if item >= least]


def _unlike(pictures: npt.NDArray[np.float32], shown: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return in what the first picture differs from the others, region by region, but for what all show."""
    share = (pictures * shown).sum(-1) / ((shown * shown).sum(-1) + 1)
    unlike = pictures - share[..., None] * shown
    return np.asarray(unlike[0] - unlike[1:].mean(0), np.float32)
