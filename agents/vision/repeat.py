"""Is it the same picture again: blocks beside those of the looks before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from agents.vision.grain import Field
from agents.vision.picture import Plane
from agents.vision.strips import block_means

DETAIL_STEP = 0.5
"""A block whose neighbouring pixels differ by less on average is a surface: it is the same in every live picture, too."""

SAME_SHARE = 0.05
"""A block that differs by less than this share of its detail is the same block again, encoded alike."""

FADES = 0.6
"""A frozen picture comes back with another quantizer each time: few blocks are the same in one look, and half of them in
the next. What was found is added to what is found, by this share, while nothing changes: a little of it in each of several looks is as
telling as much of it in one."""

SOME_RATIO = 0.002
"""While there is at least this much of it: of a frozen picture some blocks are the same in nearly every look. What was the same
once, and nothing of it in the next look, was chance: a live picture in which an encoder left all blocks alone."""

CHANGED_STEP = 8.0
"""Levels a pixel by which a block must differ for something to have happened there."""

STILL_RATIO = 0.03
"""Of the blocks may change without anything but a clock having moved."""

NOISE_GRAIN = 0.25
"""Levels of noise that come through the encoder well enough for it to be seen whether it is new."""
NOISY_SHARE = 0.5
"""Of that noise neighbouring pixels of a block differ by at least, or it has none: of white noise by 1.1, of smoothed by less."""
QUIET_SHARE = 0.15
"""Of the blocks, those that differ least: where nothing moves."""

LEAST_BLOCKS = 12
LEAST_RATIO = 0.05
"""Where fewer blocks have detail, nothing is said: an overlay's text is always the same."""


@dataclass(frozen=True)
class Repeat:
    """A picture beside the looks before. None where there are none, or too little detail to tell."""

    same_ratio: float | None
    """Share of blocks with detail that are the same again as in that of the looks before of which most are, and a part of what
    the looks before had of it; 1 at the most.

    A live sensor's noise leaves next to none the same, even at a low bit rate.
    """
    changed_ratio: float | None
    """Share of all blocks that changed clearly since the last look: people, light; a running clock is a hundredth."""
    renewed: float | None = None
    """What still blocks differ by from the look before, a pixel, in units of the picture's own noise.

    A live sensor's noise is new in each look, whatever the room and the bit rate: 1.1 where it is white (two independent values differ
    by 2/sqrt(pi) deviations on average), 2 to 4 where neighbouring pixels share it. Of a frozen picture it is the same again, however it
    is coded. None where too little noise is left.
    """
    same_now: float | None = None
    """What `same_ratio` is of this look alone, without what is added of the looks before: of the same keyframe again all, whatever came before it."""


def repeat(
    strips: Plane, steps: Field, before: Sequence[Plane], last: float | None = None, grain: float = 0.0
) -> Repeat:
    """Compare a sample of a picture's blocks with those of earlier looks, the newest last.

    `steps` is their `detail`, `last` is the newest one's own `same_ratio`, `grain` the picture's noise in levels.
    """
    known = [plane for plane in before if plane.shape == strips.shape]
    if not known or not strips.size:
        return Repeat(None, None)
    differences = _differences(strips, known)
    changed = np.count_nonzero(differences[-1] > CHANGED_STEP) / differences[-1].size
    renewed = _renewed(differences[-1], steps, grain) if grain >= NOISE_GRAIN else None
    telling = steps >= DETAIL_STEP
    if np.count_nonzero(telling) < max(LEAST_BLOCKS, LEAST_RATIO * telling.size):
        return Repeat(None, changed, renewed)
    again = differences[:, telling] < SAME_SHARE * steps[telling]
    now = same = float(again.sum(axis=1).max()) / again.shape[1]
    if last is not None and changed <= STILL_RATIO and now >= SOME_RATIO:
        same = min(1.0, now + FADES * last)
    return Repeat(same, changed, renewed, now)


def _renewed(differences: Field, steps: Field, grain: float) -> float | None:
    """Return by how many levels of noise a pixel the stillest blocks differ, of those that have noise: what is burnt out has none."""
    noisy = differences[steps >= NOISY_SHARE * grain]
    if noisy.size < max(LEAST_BLOCKS, QUIET_SHARE * differences.size):
        return None
    place = int(QUIET_SHARE * noisy.size)
    return float(np.partition(noisy, place)[place]) / grain


def _differences(one: Plane, others: Sequence[Plane]) -> Field:
    """Return by how much each block differs from that of each of the others: shape (others, rows, columns)."""
    steps = np.empty((len(others), *one.shape), np.uint8)
    for step, other in zip(steps, others, strict=True):
        cv2.absdiff(one, other, dst=step)
    means = block_means(steps.reshape(-1, one.shape[1]))
    return means.reshape(len(others), -1, means.shape[1])
