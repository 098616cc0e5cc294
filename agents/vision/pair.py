"""What two fingerprints say of each other, cell by cell: which structure counts, and how far it is there."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from agents.vision.fingerprint import CLIPPED, DARK, Fingerprint, coherence
from agents.vision.quantile import quantile
from agents.vision.structure import ROWS, Edges, Field, smoothed

Mask = npt.NDArray[np.bool_]
"""Which cells, shape (rows, columns)."""

Order = npt.NDArray[np.intp]
"""Places of cells, one row after the other, from the least of their values on."""

_DIRECTION_NONE: Final = 0.3
_DIRECTION_FULL: Final = 0.8
"""Cosines of the doubled angle between two edges: at 36 degrees they are strangers, within 18 the same edge."""

FAINT: Final = 0.006
"""Edges this faint (doublings of luma a pixel: half a step of luma in mid grey) are half counted."""

_TYPICAL: Final = 0.95
_TYPICAL_SHARE: Final = 0.25
"""Edges of a quarter of the strength of the view's strong ones (its 95th percentile) are half counted."""

OVERLAY_ROWS: Final = 5
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

NEIGHBOURS: Final = 1.5
"""Width in cells."""

_SOFTEST: Final = 0.5
"""A slope that goes on and on is half as steep a pixel as it is over the middle scale's pixels, which are twice as wide."""

_SOFT_FINE: Final = 0.4
_SHARP_FINE: Final = 0.85
"""Fine edges beside those of the middle scale, relative to what is usual in the view."""


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
        noise = max(_noise(seen), 1e-6)
        sees = between(self.expected, noise, 2 * noise)
        self.weight = np.asarray(weight * sees * ~self.blind, np.float32)
        """How much each cell's structure counts: strong, of one direction, steady, above the look's noise."""
        self.visible = ratio(float(self.weight.sum()), float(weight.sum()))
        left = yours.strength / np.maximum(self.expected, 1e-6)
        self.present = np.asarray(direction * between(left, _VEILED, _CLEAR), np.float32)
        """How far it is there, 0..1."""

    @cached_property
    def in_place(self) -> float:
        """Share of the structure that counts which is there."""
        return ratio(float(np.vdot(self.weight, self.present)), float(self.weight.sum()))

    @cached_property
    def sharp(self) -> Field:
        """How sharp the look is around each cell, whatever stands there, 0..1."""
        focus = _finest(self.seen) / max(
            middle_of(_finest(self.approved), _by_finest(self.approved), self.weight), 1e-3
        )
        return np.asarray(between(focus, _SOFT_FINE, _SHARP_FINE), np.float32)

    @cached_property
    def own_structure(self) -> float:
        """How many cells have clear and sharp edges, whichever, relative to the approved view; at most 1."""
        clear, usual = self._clear
        return min(1.0, ratio(float(clear.sum()), usual))

    def sharp_share(self, where: Mask) -> float:
        """Return how many cells there have clear and sharp edges, whichever, relative to all such of the approved view."""
        clear, usual = self._clear
        return ratio(float(np.vdot(clear, where)), usual)

    @cached_property
    def _clear(self) -> tuple[Field, int]:
        """How far each cell has clear and sharp edges, and how many cells of the approved view have any, overlays left out."""
        floor = max(2 * FAINT, 2 * self.seen.noise, 2 * self.approved.noise)
        clear = self.sharp * (self.seen.edges.strength > floor) * _INNER
        return clear, int(np.count_nonzero((self.approved.edges.strength > floor)[OVERLAY_ROWS:-OVERLAY_ROWS]))

    @cached_property
    def coarse(self) -> tuple[Field, Field]:
        """How much each coarse cell's structure counts, and how far it is there."""
        mine, yours = self.approved.coarse_edges, self.seen.coarse_edges
        direction = _direction(mine, yours, _coarse_coherence(self.approved), _coarse_coherence(self.seen))
        left = yours.strength / np.maximum(self.gain * mine.strength, 1e-6)
        present = direction * between(left, _VEILED, _CLEAR)
        return coarse_telling(self.approved), np.asarray(present, np.float32)


def telling_cells(view: Fingerprint) -> float:
    """Return how many cells of a view have structure that a look can be held against, in the middle rows alone: lettering at the edges is the same before a hand."""
    return float(Pair(view, view).weight[OVERLAY_ROWS:-OVERLAY_ROWS].sum())


def ratio(part: float, whole: float) -> float:
    """Return a part's share; 0 of nothing."""
    return part / whole if whole > 0 else 0.0


def _direction(one: Edges, other: Edges, coherent: Field, other_coherent: Field) -> Field:
    """Return how far the second edges run as the first ones do, 0..1, given how far those of each cell run one way."""
    turned = one.cosine * other.cosine
    turned += one.sine * other.sine
    both = coherent * other_coherent
    turned /= np.maximum(both, 1e-6, out=both)
    alike = between(turned, _DIRECTION_NONE, _DIRECTION_FULL)
    enough = 0.7 * coherent
    np.divide(other_coherent, np.maximum(enough, 1e-6, out=enough), out=enough)
    alike *= np.minimum(enough, 1, out=enough)
    return alike


def between(values: Field, none: float, full: float) -> Field:
    """Return where values lie between two bounds: 0 up to the first, 1 from the second on."""
    found: Field = values - none
    found /= full - none
    np.maximum(found, 0, out=found)
    return np.minimum(found, 1, out=found)


Told = TypeVar("Told", bound="npt.NDArray[Any]")


def once(tell: Callable[[Fingerprint], Told]) -> Callable[[Fingerprint], Told]:
    """Keep with a view what it alone tells: an approved view is asked the same at each look."""
    return _kept(vars, tell)


def once_by_edges(tell: Callable[[Fingerprint], Told]) -> Callable[[Fingerprint], Told]:
    """Keep it with the view's edges, where it doesn't hang on how steady it was: that is learnt anew each half minute."""
    return _kept(lambda view: view.by_edges, tell)


def _kept(
    where: Callable[[Fingerprint], dict[str, Any]], tell: Callable[[Fingerprint], Told]
) -> Callable[[Fingerprint], Told]:
    name = tell.__name__

    def told(view: Fingerprint) -> Told:
        known = where(view)
        if name not in known:
            known[name] = tell(view)
        found: Told = known[name]
        return found

    return told


@once_by_edges
def _coherence(view: Fingerprint) -> Field:
    return coherence(view.angle)


@once_by_edges
def _coarse_coherence(view: Fingerprint) -> Field:
    return coherence(view.coarse_angle)


@once
def _telling(view: Fingerprint) -> Field:
    """Return how much each cell's structure counts: strong, of one direction, steady, no overlay."""
    weight = counted(view) * _coherence(view) * view.steadiness * BORDER
    return np.asarray(weight, np.float32)


@once_by_edges
def coarse_telling(view: Fingerprint) -> Field:
    """Return how much each coarse cell's structure counts: strong, of one direction."""
    strength = view.coarse_edges.strength
    half = max(FAINT, _TYPICAL_SHARE * quantile(strength, _TYPICAL))
    weight = _coarse_coherence(view) * strength**2 / (strength**2 + half**2)
    return np.asarray(weight, np.float32)


@once_by_edges
def counted(view: Fingerprint) -> Field:
    """Return how much each cell's edges count by their strength, 0..1."""
    strength = view.edges.strength
    half = max(FAINT, 2 * view.noise, _TYPICAL_SHARE * quantile(strength, _TYPICAL))
    return np.asarray(strength**2 / (strength**2 + half**2), np.float32)


def _border() -> Field:
    rows = np.ones((ROWS, 1), np.float32)
    rows[:OVERLAY_ROWS] = rows[-OVERLAY_ROWS:] = _OVERLAY_WEIGHT
    return rows


BORDER: Final = _border()
"""How much the cells of each row count, shape (rows, 1): what a camera writes is no structure."""

_INNER: Final = BORDER == 1
"""Which rows hold nothing that a camera writes, shape (rows, 1)."""


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
    ratio = np.asarray(seen[known] / np.maximum(approved[known], 1e-6), np.float32)
    return min(_MOST_GAIN, max(_LEAST_GAIN, weighted_quantile(ratio, weight[known], _GAIN_QUANTILE)))


def weighted_quantile(values: Field, weights: Field, share: float, order: Order | None = None) -> float:
    """Return the value up to which this share of all weight lies; `order` is that of the values, where it is known."""
    if order is None:
        order = values.argsort()
    sums = weights[order].cumsum()
    return float(values[order[min(int(sums.searchsorted(share * sums[-1])), values.size - 1)]])


def middle_of(values: Field, order: Order, weight: Field) -> float:
    """Return the weighted median of the cells, of which the order is known."""
    return weighted_quantile(values.ravel(), weight.ravel() + np.float32(1e-6), 0.5, order)


@once_by_edges
def fine_around(view: Fingerprint) -> Field:
    """Return the fine edges around each cell."""
    return smoothed(view.fine_strength, NEIGHBOURS)


@once_by_edges
def _finest(view: Fingerprint) -> Field:
    """Return by how much the fine edges around each cell exceed those of a soft surface, beside the middle scale's."""
    middle = smoothed(view.edges.strength, NEIGHBOURS)
    ratio = fine_around(view) / np.maximum(middle, 1e-4)
    return np.asarray(np.maximum(ratio - _SOFTEST, 0), np.float32)


@once_by_edges
def _by_finest(view: Fingerprint) -> Order:
    return _finest(view).argsort(axis=None)
