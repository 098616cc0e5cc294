"""A view beside the approved one: what is in place, what is covered, where the rest went, how sharp it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from agents.vision.fingerprint import Fingerprint
from agents.vision.light import Light
from agents.vision.registration import Phasors, Registration, register
from agents.vision.structure import COARSE_COLUMNS, COARSE_ROWS, COLUMNS, ROWS, Field, shrunk, smoothed


@dataclass(frozen=True)
class Match:
    """One look beside the approved view that fits it best. Ratios are 0..1."""

    light: Light
    """Light of the look."""
    beside: Light
    """Light of the approved view that it was held against."""
    same_light: bool
    """There is an approved view of this light; else the nearest of another one was taken."""
    in_place: float
    """Share of the approved structure found where it was."""
    coarse_in_place: float
    """The same of coarse structure, which even a strong blur leaves."""
    sharpness: float
    """How much of the fine structure's energy is left beside the coarse one's, relative to the approved view."""
    covered_ratio: float
    """Share of the view of the largest region where approved structure is gone and nothing sharp stands instead."""
    covered_structure: float
    """Share of the approved structure in that region."""
    covered_still: float | None
    """How far the region is what it was in the look before; None without one."""
    own_structure: float
    """How much structure of its own the picture has all over the view, relative to the approved view's."""
    identity: float
    """Correlation of all edges with the approved ones where they were, -1..1."""
    shift_x: float
    shift_y: float
    rotation: float
    zoom: float
    registered: float
    """Correlation of edges after the best shift, rotation and zoom; equal to `identity` where nothing moved."""
    distinct: float
    """How far that stands above other shifts, in their standard deviations."""

    def as_scores(self) -> dict[str, float | None]:
        """Return the numbers by name, rounded, as they are shown and reported."""
        return {
            name: None if value is None else round(float(value), 4)
            for name, value in vars(self).items()
            if not isinstance(value, str)
        }


def match(seen: Fingerprint, approved: Sequence[Fingerprint], before: Fingerprint | None) -> Match | None:
    """Compare a look with the approved views; `before` is the look before it. None where there is nothing to compare.

    Views pair by light, not by the clock: those of the look's light, the colourless ones apart from the coloured; where
    none is, all. Of several, the one that fits best counts, so that a room at nap time is held against its nap view.
    """
    colourless = seen.light == "infrared"
    paired = [view for view in approved if (view.light == "infrared") == colourless]
    found = [_compared(seen, view, before, same_light=bool(paired)) for view in paired or approved]
    return max(found, key=lambda item: item.in_place, default=None)


def overlap(new: Fingerprint, approved: Fingerprint) -> float:
    """Return how far a new view is the approved one, 0..1, for people who approve it: 1 is the same."""
    there = _in_place(_Pair(new, approved))
    back = _in_place(_Pair(approved, new))
    return min(there, back)


_DIRECTION_NONE: Final = 0.3
_DIRECTION_FULL: Final = 0.8
"""Cosines of the doubled angle between two edges: at 36 degrees they are strangers, within 18 the same edge."""

_FAINT: Final = 0.006
"""Edges this faint (doublings of luma a pixel: half a step of luma in mid grey) are half counted."""

_TYPICAL: Final = 0.95
_TYPICAL_SHARE: Final = 0.25
"""Edges of a quarter of the strength of the view's strong ones (its 95th percentile) are half counted."""

_OVERLAY_ROWS: Final = 3
_OVERLAY_WEIGHT: Final = 0.3
"""A twelfth of the height at top and bottom is where cameras write clock and name: that stays whatever happens."""

_LEAST_GAIN: Final = 0.5
_MOST_GAIN: Final = 2.0


class _Pair:
    """What two fingerprints say of each other, cell by cell."""

    def __init__(self, seen: Fingerprint, approved: Fingerprint) -> None:
        mine, yours = approved.edges, seen.edges
        self.coherent = np.hypot(mine.cosine, mine.sine)
        coherent_seen = np.hypot(yours.cosine, yours.sine)
        product = np.maximum(self.coherent * coherent_seen, 1e-6)
        cosine = (mine.cosine * yours.cosine + mine.sine * yours.sine) / product
        direction = np.clip((cosine - _DIRECTION_NONE) / (_DIRECTION_FULL - _DIRECTION_NONE), 0, 1)
        direction *= np.clip(coherent_seen / np.maximum(0.7 * self.coherent, 1e-6), 0, 1)
        half = max(_FAINT, 2 * mine.noise, _TYPICAL_SHARE * float(np.quantile(mine.strength, _TYPICAL)))
        weight = mine.strength**2 / (mine.strength**2 + half**2) * self.coherent * approved.steadiness * _border()
        self.gain = _gain(mine.strength, yours.strength, weight * direction)
        expected = self.gain * mine.strength
        self.weight = weight * np.clip(expected / max(yours.noise, 1e-6) - 1, 0, 1)
        """How much each cell's structure counts: strong, of one direction, steady, above the look's noise."""
        self.present = direction * np.clip(2 * yours.strength / np.maximum(expected, 1e-6), 0, 1)
        """How far it is there, 0..1."""
        self.expected, self.seen = expected, yours.strength


def _border() -> Field:
    border = np.ones((ROWS, 1), np.float32)
    border[:_OVERLAY_ROWS] = border[-_OVERLAY_ROWS:] = _OVERLAY_WEIGHT
    return border


def _gain(approved: Field, seen: Field, weight: Field) -> float:
    """Return by how much structure that is in place is stronger than it was: the weighted median of the ratio."""
    known = weight > 0.05
    if known.sum() < 10:
        return 1.0
    ratio = (seen[known] / np.maximum(approved[known], 1e-6)).astype(np.float64)
    order = np.argsort(ratio)
    sums = np.cumsum(weight[known][order])
    middle = float(ratio[order][np.searchsorted(sums, sums[-1] / 2)])
    return min(_MOST_GAIN, max(_LEAST_GAIN, middle))


def _in_place(pair: _Pair) -> float:
    total = float(pair.weight.sum())
    return float((pair.weight * pair.present).sum()) / total if total > 0 else 0.0


def _compared(seen: Fingerprint, approved: Fingerprint, before: Fingerprint | None, *, same_light: bool) -> Match:
    pair = _Pair(seen, approved)
    in_place = _in_place(pair)
    sharpness, coarse_in_place = _sharpness(seen, approved)
    region = _covered_region(pair)
    where = _registered(seen, approved, in_place)
    return Match(
        light=seen.light,
        beside=approved.light,
        same_light=same_light,
        in_place=in_place,
        coarse_in_place=coarse_in_place,
        sharpness=sharpness,
        covered_ratio=float(region.mean()),
        covered_structure=_share(pair.weight, region),
        covered_still=None if before is None else _still(region, seen, before),
        own_structure=_own_structure(seen, approved),
        identity=where.identity,
        shift_x=where.best.shift_x,
        shift_y=where.best.shift_y,
        rotation=where.best.rotation,
        zoom=where.best.zoom,
        registered=where.best.agreement,
        distinct=where.best.distinct,
    )


def _share(weight: Field, part: npt.NDArray[np.bool_]) -> float:
    total = float(weight.sum())
    return float(weight[part].sum()) / total if total > 0 else 0.0


_COVERED_FROM: Final = 0.5
"""Where structure is gone and nothing stands instead by more than this, a cell is covered."""

_REACHES: Final = ((1.5, 1.0), (4.0, 0.05), (10.0, 0.002))
"""Widths in cells, and weights, over which a cell without structure of its own asks its neighbours: the nearest that know decide."""

_STANDS_SHARE: Final = 0.5
"""Where half of the structure that is expected stands, though another, something sharp is there."""


def _covered_region(pair: _Pair) -> npt.NDArray[np.bool_]:
    """Return the largest connected region where structure is gone without other structure in its place."""
    expected = smoothed(pair.expected * pair.weight, 1.5)
    stands = smoothed(pair.seen * pair.weight, 1.5)
    smooth = 1 - np.clip(stands / np.maximum(_STANDS_SHARE * expected, 1e-6), 0, 1)
    gone = pair.weight * (1 - pair.present) * smooth
    votes, voters = np.zeros_like(gone), np.full_like(gone, 1e-4)
    for width, weight in _REACHES:
        votes += weight * smoothed(gone, width)
        voters += weight * smoothed(pair.weight, width)
    return _largest(votes / voters > _COVERED_FROM)


def _largest(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return mask
    largest: npt.NDArray[np.bool_] = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return largest


def _still(region: npt.NDArray[np.bool_], seen: Fingerprint, before: Fingerprint) -> float:
    """Return how far a region shows the same as in the look before, 0..1."""
    if not region.any():
        return 1.0
    floor = max(_FAINT, 2 * seen.noise, 2 * before.noise)
    mine, yours = seen.edges, before.edges
    turned = np.hypot(
        mine.strength * mine.cosine - yours.strength * yours.cosine,
        mine.strength * mine.sine - yours.strength * yours.sine,
    ) + np.abs(mine.strength - yours.strength)
    changed = turned / (floor + mine.strength + yours.strength)
    return 1 - float(np.clip(changed[region], 0, 1).mean())


def _own_structure(seen: Fingerprint, approved: Fingerprint) -> float:
    """Return how many cells have clear edges, relative to the approved view, at most 1."""
    floor = max(2 * _FAINT, 2 * seen.noise, 2 * approved.noise)
    mine, yours = ((view.edges.strength > floor).mean() for view in (seen, approved))
    return min(1.0, float(mine / max(yours, 1e-6)))


def _sharpness(seen: Fingerprint, approved: Fingerprint) -> tuple[float, float]:
    """Return (what is left of the fine energy beside the coarse one's, coarse structure in place)."""
    mine, yours = approved.coarse_edges, seen.coarse_edges
    coherent = np.hypot(mine.cosine, mine.sine) * np.hypot(yours.cosine, yours.sine)
    cosine = (mine.cosine * yours.cosine + mine.sine * yours.sine) / np.maximum(coherent, 1e-6)
    direction = np.clip((cosine - _DIRECTION_NONE) / (_DIRECTION_FULL - _DIRECTION_NONE), 0, 1)
    half = _TYPICAL_SHARE * float(np.quantile(mine.strength, _TYPICAL))
    weight = mine.strength**2 / (mine.strength**2 + half**2 + 1e-9) * np.hypot(mine.cosine, mine.sine)
    placed = weight * direction * (yours.strength > 0.1 * mine.strength)
    total = float(weight.sum())
    fine_approved, fine_seen = (
        shrunk(view.fine_strength**2, (COARSE_COLUMNS, COARSE_ROWS)) for view in (approved, seen)
    )
    coarse_approved, coarse_seen = mine.strength**2, yours.strength**2
    telling = placed * (fine_approved > 4 * seen.fine_noise**2)
    before = float((telling * fine_approved / (coarse_approved + 1e-9)).sum())
    after = float(
        (telling * np.minimum(fine_seen / (coarse_seen + 1e-9), 4 * fine_approved / (coarse_approved + 1e-9))).sum()
    )
    return (after / before if before > 0 else 1.0), float(placed.sum() / total) if total > 0 else 0.0


_REGISTER_UNDER: Final = 0.8
"""Share of structure in place from which the view is not searched elsewhere."""


@dataclass(frozen=True)
class _Where:
    identity: float
    best: Registration


def _registered(seen: Fingerprint, approved: Fingerprint, in_place: float) -> _Where:
    mine, yours = _phasors(approved, approved.steadiness), _phasors(seen, np.ones((ROWS, COLUMNS), np.float32))
    norm = math.sqrt(float((np.abs(mine) ** 2).sum()) * float((np.abs(yours) ** 2).sum()))
    identity = float((np.conj(mine) * yours).real.sum()) / norm if norm > 0 else 0.0
    if in_place >= _REGISTER_UNDER:
        return _Where(identity, Registration(0, 0, 0, 1, identity, 0, 1))
    return _Where(identity, register(mine, yours, approved.aspect))


def _phasors(view: Fingerprint, steady: Field) -> Phasors:
    edges = view.edges
    half = max(_FAINT, 2 * view.noise, _TYPICAL_SHARE * float(np.quantile(edges.strength, _TYPICAL)))
    weight = edges.strength**2 / (edges.strength**2 + half**2) * steady * _border()
    return (weight * (edges.cosine + 1j * edges.sine)).astype(np.complex64)
