"""A view beside the approved one: what is in place, what is covered, where the rest went, how sharp it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from agents.vision.fingerprint import CLIPPED, DARK, Fingerprint
from agents.vision.light import Light
from agents.vision.quantile import quantile
from agents.vision.registration import Phasors, Registration, anchored, register
from agents.vision.structure import COARSE_COLUMNS, COARSE_ROWS, COLUMNS, ROWS, Edges, Field, shrunk, smoothed

Mask = npt.NDArray[np.bool_]
"""Which cells, shape (rows, columns)."""


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
    visible: float
    """Share of the approved structure that could be seen in the light and noise of the look, if it were there."""
    own_structure: float
    """How many cells have clear and sharp edges, whichever, relative to the approved view; at most 1."""
    coarse_in_place: float
    """Share in place of the coarse structure, which even a strong blur leaves."""
    sharpness: float
    """Fine edges beside coarse ones, relative to the approved view: 1 as sharp, less out of focus."""
    covered_ratio: float
    """Share of the view of the largest region where approved structure is gone and nothing sharp stands instead."""
    covered_structure: float
    """Share of the approved structure in that region."""
    covered_still: float | None
    """How far the region and its border are what they were in the look before; None without one."""
    identity: float
    """Correlation of all edges with the approved ones where they were, -1..1; 1 where the view is in place."""
    registered: float
    """The same after the best shift, rotation and zoom, less where only a small part of the view is left to compare."""
    anchored: float
    """Share of the approved edges that lie in larger blocks which fit where they were better than nearby; 1 where the
    view is in place."""
    distinct: float
    """How far `registered` stands above other shifts, in their standard deviations."""
    shift_x: float
    shift_y: float
    """Shares of the view's width and height by which it moved."""
    rotation: float
    """Degrees."""
    zoom: float

    def as_scores(self) -> dict[str, float | None]:
        """Return the numbers by name, rounded, as they are shown and reported."""
        return {
            name: None if value is None else round(float(value), 4)
            for name, value in vars(self).items()
            if not isinstance(value, str)
        }


def match(seen: Fingerprint, approved: Sequence[Fingerprint], before: Fingerprint | None) -> Match | None:
    """Compare a look with the approved views; `before` is the look before it. None where there is nothing to compare.

    Views pair by light, not by the clock: those without colour apart from those with; where none is of the look's
    kind, all. Of several, the one that fits best counts, so that a room at nap time is held against its nap view.
    """
    colourless = seen.light == "infrared"
    paired = [view for view in approved if (view.light == "infrared") == colourless]
    found = [_compared(Pair(seen, view), before, same_light=bool(paired)) for view in paired or approved]
    return max(found, key=lambda item: item.in_place, default=None)


def overlap(new: Fingerprint, approved: Fingerprint) -> float:
    """Return how far a new view is the approved one, 0..1, for people who approve it: 1 is the same."""
    return min(Pair(new, approved).in_place, Pair(approved, new).in_place)


_DIRECTION_NONE: Final = 0.3
_DIRECTION_FULL: Final = 0.8
"""Cosines of the doubled angle between two edges: at 36 degrees they are strangers, within 18 the same edge."""

_FAINT: Final = 0.006
"""Edges this faint (doublings of luma a pixel: half a step of luma in mid grey) are half counted."""

_TYPICAL: Final = 0.95
_TYPICAL_SHARE: Final = 0.25
"""Edges of a quarter of the strength of the view's strong ones (its 95th percentile) are half counted."""

_OVERLAY_ROWS: Final = 5
_OVERLAY_WEIGHT: Final = 0.3
"""A seventh of the height at top and bottom is where cameras write clock and name, on small pictures in large boxes:
that stays whatever happens."""

_VEILED: Final = 0.15
_CLEAR: Final = 0.5
"""Shares of its contrast: edges with less are gone, with more they are there."""

_LEAST_GAIN: Final = 0.5
_MOST_GAIN: Final = 2.0
_GAIN_QUANTILE: Final = 0.7
"""The gain is read from the better part of what is in place: a veil over half of the view is no gain."""

_GRAIN: Final = 0.6
_NOISE: Final = 0.85
"""Fine edges beside those of the middle scale: of a soft grain half, of a sensor's noise as much and more."""

_DIM_LIT: Final = 70.0
"""Where not even a fifth of the picture is this bright (luma), it is the room that is dark and not a part of the lens."""


class Pair:
    """What two fingerprints say of each other, cell by cell."""

    def __init__(self, seen: Fingerprint, approved: Fingerprint) -> None:
        """Compare a look with one approved view."""
        self.seen, self.approved = seen, approved
        mine, yours = approved.edges, seen.edges
        direction = _direction(mine, yours, _coherence(approved), _coherence(seen))
        weight = _telling(approved)
        self.gain = _gain(mine.strength, yours.strength, weight * direction)
        self.expected = self.gain * mine.strength
        """Strength that each cell would have if nothing stood before it."""
        self.blind = _blind(seen, approved)
        """Where exposure leaves nothing to be seen, though the approved view shows something."""
        sees = np.clip(self.expected / max(_noise(seen), 1e-6) - 1, 0, 1) * ~self.blind
        self.weight = np.asarray(weight * sees, np.float32)
        """How much each cell's structure counts: strong, of one direction, steady, above the look's noise."""
        self.visible = _ratio(float(self.weight.sum()), float(weight.sum()))
        left = yours.strength / np.maximum(self.expected, 1e-6)
        self.present = np.asarray(direction * np.clip((left - _VEILED) / (_CLEAR - _VEILED), 0, 1), np.float32)
        """How far it is there, 0..1."""

    @cached_property
    def in_place(self) -> float:
        """Share of the structure that counts which is there."""
        return _ratio(float((self.weight * self.present).sum()), float(self.weight.sum()))

    @cached_property
    def sharp(self) -> Field:
        """How sharp the look is around each cell, whatever stands there, 0..1."""
        focus = _finest(self.seen) / max(_usual(_finest(self.approved), self.weight), 1e-3)
        return np.asarray(np.clip((focus - _SOFT_FINE) / (_SHARP_FINE - _SOFT_FINE), 0, 1), np.float32)

    @cached_property
    def own_structure(self) -> float:
        """How many cells have clear and sharp edges, whichever, relative to the approved view; at most 1."""
        floor = max(2 * _FAINT, 2 * self.seen.noise, 2 * self.approved.noise)
        inner = slice(_OVERLAY_ROWS, -_OVERLAY_ROWS)
        approved = (self.approved.edges.strength > floor)[inner].mean()
        seen = (self.sharp * (self.seen.edges.strength > floor))[inner].mean()
        return min(1.0, _ratio(float(seen), float(approved)))

    @cached_property
    def coarse(self) -> tuple[Field, Field]:
        """How much each coarse cell's structure counts, and how far it is there."""
        mine, yours = self.approved.coarse_edges, self.seen.coarse_edges
        direction = _direction(mine, yours, _coarse_coherence(self.approved), _coarse_coherence(self.seen))
        left = yours.strength / np.maximum(self.gain * mine.strength, 1e-6)
        present = direction * np.clip((left - _VEILED) / (_CLEAR - _VEILED), 0, 1)
        return _coarse_telling(self.approved), np.asarray(present, np.float32)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _direction(one: Edges, other: Edges, coherent: Field, other_coherent: Field) -> Field:
    """Return how far the second edges run as the first ones do, 0..1, given how far those of each cell run one way."""
    turned = (one.cosine * other.cosine + one.sine * other.sine) / np.maximum(coherent * other_coherent, 1e-6)
    alike = _between(turned, _DIRECTION_NONE, _DIRECTION_FULL)
    return np.asarray(alike * _between(other_coherent / np.maximum(0.7 * coherent, 1e-6), 0, 1), np.float32)


def _between(values: Field, none: float, full: float) -> Field:
    """Return where values lie between two bounds: 0 up to the first, 1 from the second on."""
    found: Field = np.minimum(np.maximum((values - none) / (full - none), 0), 1)
    return found


def _once(tell: Callable[[Fingerprint], Field]) -> Callable[[Fingerprint], Field]:
    """Keep with a view what it alone tells: an approved view is asked the same at each look."""
    name = tell.__name__

    def told(view: Fingerprint) -> Field:
        known = vars(view)
        if name not in known:
            known[name] = tell(view)
        found: Field = known[name]
        return found

    return told


@_once
def _coherence(view: Fingerprint) -> Field:
    return np.hypot(view.edges.cosine, view.edges.sine)


@_once
def _coarse_coherence(view: Fingerprint) -> Field:
    return np.hypot(view.coarse_edges.cosine, view.coarse_edges.sine)


@_once
def _telling(view: Fingerprint) -> Field:
    """Return how much each cell's structure counts: strong, of one direction, steady, no overlay."""
    weight = _counted(view) * _coherence(view) * view.steadiness * _border()
    return np.asarray(weight, np.float32)


@_once
def _coarse_telling(view: Fingerprint) -> Field:
    strength = view.coarse_edges.strength
    half = max(_FAINT, _TYPICAL_SHARE * quantile(strength, _TYPICAL))
    weight = _coarse_coherence(view) * strength**2 / (strength**2 + half**2)
    return np.asarray(weight, np.float32)


@_once
def _counted(view: Fingerprint) -> Field:
    """Return how much each cell's edges count by their strength, 0..1."""
    strength = view.edges.strength
    half = max(_FAINT, 2 * view.noise, _TYPICAL_SHARE * quantile(strength, _TYPICAL))
    return np.asarray(strength**2 / (strength**2 + half**2), np.float32)


def _border() -> Field:
    border = np.ones((ROWS, 1), np.float32)
    border[:_OVERLAY_ROWS] = border[-_OVERLAY_ROWS:] = _OVERLAY_WEIGHT
    return border


def _noise(view: Fingerprint) -> float:
    """Return the noise behind which fainter edges can't be seen.

    What is the same all over a lit picture and soft is no noise of a sensor, but the grain of something on the lens.
    """
    if view.lit < _DIM_LIT or view.noise <= 0:
        return view.noise
    return view.noise * min(1.0, max(0.0, (view.fine_noise / view.noise - _GRAIN) / (_NOISE - _GRAIN)))


def _blind(seen: Fingerprint, approved: Fingerprint) -> Mask:
    blind = (seen.shade == CLIPPED) & (approved.shade != CLIPPED)
    if seen.lit < _DIM_LIT:
        blind |= (seen.shade == DARK) & (approved.shade != DARK)
    return np.asarray(blind, np.bool_)


def _gain(approved: Field, seen: Field, weight: Field) -> float:
    """Return by how much structure that is in place is stronger than it was."""
    known = weight > 0.05
    if known.sum() < 10:
        return 1.0
    ratio = (seen[known] / np.maximum(approved[known], 1e-6)).astype(np.float64)
    return min(_MOST_GAIN, max(_LEAST_GAIN, _weighted_quantile(ratio, weight[known], _GAIN_QUANTILE)))


def _weighted_quantile(values: npt.NDArray[np.float64], weights: Field, share: float) -> float:
    order = np.argsort(values)
    sums = np.cumsum(weights[order])
    return float(values[order][min(np.searchsorted(sums, share * sums[-1]), values.size - 1)])


def _compared(pair: Pair, before: Fingerprint | None, *, same_light: bool) -> Match:
    region = _covered_region(pair)
    sharpness, coarse_in_place = _sharpness(pair)
    identity, fixed, found = _registered(pair)
    return Match(
        light=pair.seen.light,
        beside=pair.approved.light,
        same_light=same_light,
        in_place=pair.in_place,
        visible=pair.visible,
        own_structure=pair.own_structure,
        coarse_in_place=coarse_in_place,
        sharpness=sharpness,
        covered_ratio=float(region.mean()),
        covered_structure=_ratio(float(pair.weight[region].sum()), float(pair.weight.sum())),
        covered_still=None if before is None else _still(region, pair.seen, before),
        identity=identity,
        registered=found.score,
        anchored=fixed,
        distinct=found.distinct,
        shift_x=found.shift_x,
        shift_y=found.shift_y,
        rotation=found.rotation,
        zoom=found.zoom,
    )


_UNCOVERED: Final = 0.97
"""Where so much is in place, no region is looked for."""

_COVERED_FROM: Final = 0.5
"""Where structure is gone and nothing stands instead by more than this, a cell is covered."""

_REACHES: Final = ((1.5, 1.0), (4.0, 0.05), (10.0, 0.002))
"""Widths in cells, and weights, over which a cell without structure asks its neighbours: the nearest that know decide."""

_TOO_FAR: Final = np.float32(3e-5)
"""What has less structure than this within reach belongs to no region."""

_NEIGHBOURS: Final = 1.5
_STANDS_SHARE: Final = 0.5
"""Half of the fine structure that was there is enough for something else that stands there, if it is sharp: what lies on
the lens is out of focus, what stands in the room is not."""

_SOFTEST: Final = 0.5
"""A slope that goes on and on is half as steep a pixel as it is over the middle scale's pixels, which are twice as wide."""

_SOFT_FINE: Final = 0.4
_SHARP_FINE: Final = 0.85
_SOFT_DETAIL: Final = 0.25
_SHARP_DETAIL: Final = 0.5
"""Fine edges beside those of the middle scale, and of the coarse one, relative to what is usual in the view."""


def _covered_region(pair: Pair) -> Mask:
    """Return the largest connected region where structure is gone without other sharp structure in its place."""
    if pair.in_place >= _UNCOVERED:
        return np.zeros((ROWS, COLUMNS), np.bool_)
    gone = pair.weight * (1 - pair.present) * (1 - _stands(pair)) * (1 - _coarse_presence(pair))
    both = np.dstack([gone, pair.weight])
    votes = np.zeros_like(both) + np.array((0, _TOO_FAR), np.float32)
    for width, weight in _REACHES:
        votes += weight * smoothed(both, width)
    return _largest((votes[..., 0] / votes[..., 1] > _COVERED_FROM) & ~pair.blind)


_LITTLE_COARSE: Final = np.float32(0.05)
"""Where coarse structure counts less than this it says little."""

_BY_CHANCE: Final = 0.4
_SURELY: Final = 0.8
"""Shares of the coarse structure around a cell: folds of a cloth run somewhere, too."""


def _coarse_presence(pair: Pair) -> Field:
    """Return how far coarse structure is in place around each cell: then the view is out of focus there, not covered."""
    weight, present = pair.coarse
    around = smoothed(weight * present, 1.0) / (smoothed(weight, 1.0) + _LITTLE_COARSE)
    sure = np.clip((around - _BY_CHANCE) / (_SURELY - _BY_CHANCE), 0, 1)
    return np.asarray(cv2.resize(sure, (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR), np.float32)


def _stands(pair: Pair) -> Field:
    """Return how far something sharp stands in each cell, whatever it is, 0..1."""
    fine = smoothed(np.dstack([view.fine_strength * pair.weight for view in (pair.approved, pair.seen)]), _NEIGHBOURS)
    much = fine[..., 1] / np.maximum(_STANDS_SHARE * pair.gain * fine[..., 0], 1e-6)
    usual = _usual(_detail(pair.approved), pair.weight)
    detailed = (_detail(pair.seen) / max(usual, 1e-6) - _SOFT_DETAIL) / (_SHARP_DETAIL - _SOFT_DETAIL)
    return np.asarray(np.clip(much, 0, 1) * np.clip(detailed, 0, 1) * pair.sharp, np.float32)


def _usual(ratio: Field, weight: Field) -> float:
    return _weighted_quantile(ratio.ravel().astype(np.float64), weight.ravel() + np.float32(1e-6), 0.5)


@_once
def _fine_around(view: Fingerprint) -> Field:
    return smoothed(view.fine_strength, _NEIGHBOURS)


@_once
def _finest(view: Fingerprint) -> Field:
    """Return by how much the fine edges around each cell exceed those of a soft surface, beside the middle scale's."""
    middle = smoothed(view.edges.strength, _NEIGHBOURS)
    ratio = _fine_around(view) / np.maximum(middle, 1e-4)
    return np.asarray(np.maximum(ratio - _SOFTEST, 0), np.float32)


@_once
def _detail(view: Fingerprint) -> Field:
    """Return fine edges beside coarse ones, around each cell."""
    coarse = cv2.resize(view.coarse_edges.strength, (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR)
    return np.asarray(_fine_around(view) / np.maximum(coarse, 1e-4), np.float32)


def _largest(mask: Mask) -> Mask:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return mask
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()), np.bool_)


def _still(region: Mask, seen: Fingerprint, before: Fingerprint) -> float:
    """Return how far a region and its border show the same as in the look before, 0..1."""
    around = cv2.dilate(region.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    if not around.any():
        return 1.0
    floor = max(_FAINT, 2 * seen.noise, 2 * before.noise)
    mine, yours = seen.edges, before.edges
    turned = np.hypot(
        mine.strength * mine.cosine - yours.strength * yours.cosine,
        mine.strength * mine.sine - yours.strength * yours.sine,
    ) + np.abs(mine.strength - yours.strength)
    changed = np.clip(turned / (floor + mine.strength + yours.strength), 0, 1)
    return 1 - float(changed[around].mean())


def _sharpness(pair: Pair) -> tuple[float, float]:
    """Return (fine edges beside coarse ones relative to the approved view, share of coarse structure in place)."""
    mine, yours = pair.approved.coarse_edges, pair.seen.coarse_edges
    weight, present = pair.coarse
    placed = weight * present
    in_place = _ratio(float(placed.sum()), float(weight.sum()))
    fine_approved, fine_seen = (
        shrunk(view.fine_strength**2, (COARSE_COLUMNS, COARSE_ROWS)) for view in (pair.approved, pair.seen)
    )
    placed = placed * (shrunk(np.broadcast_to(_border(), (ROWS, COLUMNS)), (COARSE_COLUMNS, COARSE_ROWS)) == 1)
    telling = (placed > 0.05) & (fine_approved > 4 * pair.seen.fine_noise**2) & (yours.strength > 0)
    if telling.sum() < 5:
        return 1.0, in_place
    before = np.sqrt(fine_approved[telling]) / mine.strength[telling]
    after = np.sqrt(fine_seen[telling]) / yours.strength[telling]
    logs = np.clip(np.log2(np.maximum(after, 1e-9) / before), -4, 1)
    return 2.0 ** _weighted_quantile(logs.astype(np.float64), placed[telling], 0.5), in_place


_SAME_AROUND: Final = 3.0
"""Width in cells of the surroundings whose common direction is left out."""

_REGISTER_UNDER: Final = 0.8
"""Share of structure in place from which the view is not searched elsewhere."""

_ANCHORED: Final = 0.4
"""Of a view that was turned or zoomed a little the middle still fits; of one that moved further less does."""

_REGISTER_FROM: Final = 0.1
"""A picture with less structure of its own shows nothing that could be found."""


def _registered(pair: Pair) -> tuple[float, float, Registration]:
    """Return (correlation of edges where they were, the share that is anchored there, the best registration)."""
    if pair.in_place >= _REGISTER_UNDER:
        return 1.0, 1.0, Registration(0, 0, 0, 1, 1, 0, 1)
    mine, yours = _phasors(pair.approved, pair.approved.steadiness), _phasors(pair.seen, np.ones((1, 1), np.float32))
    norm = math.sqrt(float((np.abs(mine) ** 2).sum()) * float((np.abs(yours) ** 2).sum()))
    identity = _ratio(float((np.conj(mine) * yours).real.sum()), norm)
    if pair.own_structure < _REGISTER_FROM:
        return identity, 1.0, Registration(0, 0, 0, 1, identity, 0, 1)
    fixed = anchored(mine, yours)
    return identity, fixed, register(mine, yours, pair.approved.aspect, near=fixed >= _ANCHORED)


def _phasors(view: Fingerprint, steady: Field) -> Phasors:
    """Return a view's edges for registration, without what is the same all around: a floor of boards fits anywhere."""
    weight = _counted(view) * steady * (_border() == 1)
    parts = (np.asarray(weight * part, np.float32) for part in (view.edges.cosine, view.edges.sine))
    real, imaginary = (part - smoothed(part, _SAME_AROUND) for part in parts)
    return np.asarray(real + 1j * imaginary, np.complex64)
