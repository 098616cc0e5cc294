"""A view beside the approved one: what is in place, what is covered, where the rest went, how sharp it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import cv2
import numpy as np

from agents.vision.fingerprint import Fingerprint
from agents.vision.light import Light
from agents.vision.pair import (
    BORDER,
    FAINT,
    NEIGHBOURS,
    Mask,
    Order,
    Pair,
    between,
    coarse_telling,
    counted,
    fine_around,
    middle_of,
    once,
    once_by_edges,
    ratio,
    weighted_quantile,
)
from agents.vision.registration import Phasors, Registration, anchored, register
from agents.vision.structure import COARSE_COLUMNS, COARSE_ROWS, COLUMNS, ROWS, Edges, Field, shrunk, smoothed, window


@dataclass(frozen=True)
class Kept:
    """How much of one view is where it was in another. Ratios are 0..1."""

    in_place: float
    """Share of the structure found where it was."""
    identity: float
    """Correlation of all edges where they were, -1..1."""
    anchored: float
    """Share of the edges in larger blocks which fit where they were better than nearby."""


class Match:
    """One look beside the approved view that fits it best. Ratios are 0..1.

    Each number is worked out when it is first asked for: most looks are judged by a few of them, and the others are asked for once a minute, to
    be shown and reported.
    """

    def __init__(
        self,
        pair: Pair,
        before: Fingerprint | None = None,
        sound: Fingerprint | None = None,
        covered_before: Mask | None = None,
        *,
        same_light: bool = True,
    ) -> None:
        """Hold a look against one view, as `match` says."""
        self.light: Light = pair.seen.light
        """Light of the look."""
        self.beside: Light = pair.approved.light
        """Light of the approved view that it was held against."""
        self.same_light = same_light
        """There is an approved view of this light; else the nearest of another one was taken."""
        self._seen, self._approved, self._before = pair.seen, pair.approved, before
        self._sound, self._covered_before = sound, covered_before
        self._pair = pair

    @cached_property
    def in_place(self) -> float:
        """Share of the approved structure found where it was."""
        return self._pair.in_place

    @cached_property
    def visible(self) -> float:
        """Share of the approved structure that could be seen in the light and noise of the look, if it were there."""
        return self._pair.visible

    @cached_property
    def own_structure(self) -> float:
        """How many cells have clear and sharp edges, whichever, relative to the approved view; at most 1."""
        return self._pair.own_structure

    @cached_property
    def coarse_in_place(self) -> float:
        """Share in place of the coarse structure, which even a strong blur leaves."""
        weight, present = self._pair.coarse
        return ratio(float((weight * present).sum()), float(weight.sum()))

    @cached_property
    def sharpness(self) -> float:
        """Fine edges beside coarse ones, relative to the approved view: 1 as sharp, less out of focus."""
        return _sharpness(self._pair)

    @cached_property
    def region(self) -> Mask:
        """The largest region where approved structure is gone and nothing sharp stands instead: (ROWS, COLUMNS)."""
        return _covered_region(self._pair)

    @cached_property
    def covered_ratio(self) -> float:
        """Share of the view of that region."""
        return float(self.region.mean())

    @cached_property
    def covered_structure(self) -> float:
        """Share of the approved structure in that region."""
        weight = self._pair.weight
        return ratio(float(weight[self.region].sum()), float(weight.sum()))

    @cached_property
    def covered_still(self) -> float | None:
        """How far the region and its border are what they were in the look before; None without one."""
        if self._before is None or not self.covered_ratio:
            return None if self._before is None else 1.0
        return _still(self._around, self._changed)

    @cached_property
    def covered_grown(self) -> float | None:
        """How far what was covered in the look before, and is covered still, shows the same: a cover that grows doesn't move.

        0 where that was little, or is no longer covered; None without a look before.
        """
        if self._before is None or not self.covered_ratio:
            return None if self._before is None else 0.0
        before = self._covered_before
        return _still(_inner(before), self._changed) if before is not None and _has_grown(self.region, before) else 0.0

    @cached_property
    def rest_identity(self) -> float:
        """Correlation of the edges outside that region with the approved ones where they were, -1..1; 1 where there is no region."""
        return self._rest[0]

    @cached_property
    def rest_share(self) -> float:
        """Share of all approved edges that lie outside it."""
        return self._rest[1]

    @cached_property
    def covered_sharp(self) -> float:
        """How many cells well inside that region have clear and sharp edges, relative to all such of the approved view."""
        return self._pair.sharp_share(_inner(self.region)) if self.covered_ratio else 0.0

    @cached_property
    def identity(self) -> float:
        """Correlation of all edges with the approved ones where they were, -1..1; 1 where the view is in place."""
        return self._registered[0]

    @cached_property
    def registered(self) -> float:
        """The same after the best shift, rotation and zoom, less where only a small part of the view is left to compare."""
        return self._registered[2].score

    @cached_property
    def anchored(self) -> float:
        """Share of the approved edges in larger blocks which fit where they were better than nearby; 1 where the view is in place."""
        return self._registered[1]

    @cached_property
    def settled(self) -> float:
        """The same of larger blocks at the place where the view is found: 0 where it was, and nearer than blocks tell."""
        return self._registered[2].settled

    @cached_property
    def distinct(self) -> float:
        """How far `registered` stands above other shifts, in their standard deviations."""
        return self._registered[2].distinct

    @property
    def shift_x(self) -> float:
        """Share of the view's width by which it moved."""
        return self._registered[2].shift_x

    @property
    def shift_y(self) -> float:
        """Share of the view's height by which it moved."""
        return self._registered[2].shift_y

    @property
    def rotation(self) -> float:
        """By how many degrees it turned."""
        return self._registered[2].rotation

    @cached_property
    def zoom(self) -> float:
        """How many times as large it is."""
        return self._registered[2].zoom

    @cached_property
    def zoomed(self) -> float:
        """`registered` about the view's own middle, nearer or farther alone; 0 where that needn't be asked."""
        return self._registered[2].zoomed

    @cached_property
    def sound(self) -> Kept | None:
        """Beside the last look that surely showed the approved view; None without one, or where that needn't be asked."""
        fits = self.in_place >= _SEARCHED_UNDER or self.identity >= _SURE_IDENTITY
        if self._sound is None or (fits and self.registered <= self.identity):
            return None
        return kept(self._seen, self._sound)

    def let_go(self) -> None:
        """Keep no more than it takes to work out what wasn't asked for: a match is kept until the next look, of each camera."""
        for name in ("_pair", "_alike", "_around", "_changed"):
            vars(self).pop(name, None)
        # Earlier looks, without what was told of them.
        self._before = None if self._before is None else replace(self._before)
        self._sound = None if self._sound is None else replace(self._sound)

    @cached_property
    def _pair(self) -> Pair:
        return Pair(self._seen, self._approved)

    @cached_property
    def _alike(self) -> _Alike:
        return _Alike(self._pair)

    @cached_property
    def _registered(self) -> tuple[float, float, Registration]:
        return _registered(self._pair, self._alike)

    @cached_property
    def _around(self) -> Mask:
        return _with_border(self.region)

    @cached_property
    def _rest(self) -> tuple[float, float]:
        return self._alike.where(~self._around) if self.covered_ratio else (1.0, 1.0)

    @cached_property
    def _changed(self) -> Field:
        """How far each cell's edges are other ones than in the look before, 0..1."""
        return _changed(self._seen.edges, (self._before or self._seen).edges)

    def as_scores(self) -> dict[str, float | None]:
        """Return the numbers by name, rounded, as they are shown and reported."""
        numbers: dict[str, float | None] = {name: getattr(self, name) for name in SCORES}
        if self.sound is not None:
            numbers |= {f"sound_{name}": value for name, value in vars(self.sound).items()}
        return {name: None if value is None else round(float(value), 4) for name, value in numbers.items()}


SCORES: Final = (
    "same_light",
    "in_place",
    "visible",
    "own_structure",
    "coarse_in_place",
    "sharpness",
    "covered_ratio",
    "covered_structure",
    "covered_still",
    "covered_grown",
    "rest_identity",
    "rest_share",
    "covered_sharp",
    "identity",
    "registered",
    "anchored",
    "settled",
    "distinct",
    "shift_x",
    "shift_y",
    "rotation",
    "zoom",
    "zoomed",
)
"""The numbers of a `Match` by their names."""


def match(
    seen: Fingerprint,
    approved: Sequence[Fingerprint],
    before: Fingerprint | None,
    sound: Fingerprint | None = None,
    covered_before: Mask | None = None,
) -> Match | None:
    """Compare a look with the approved views. None where there is nothing to compare.

    `before` is the look before it, `covered_before` the region that its match found covered, `sound` the last one that surely showed the approved view in the same kind of light.
    Views pair by light, not by the clock: those without colour apart from those with; where none is of the look's
    kind, all. Of several, the one that fits best counts, so that a room at nap time is held against its nap view.
    """
    paired = [view for view in approved if (view.light == "infrared") == (seen.light == "infrared")]
    pairs = [Pair(seen, view) for view in paired or approved]
    return best_of(pairs, before, sound, covered_before, same_light=bool(paired)) if pairs else None


def best_of(
    pairs: Sequence[Pair],
    before: Fingerprint | None,
    sound: Fingerprint | None = None,
    covered_before: Mask | None = None,
    *,
    same_light: bool = True,
) -> Match:
    """Compare a look with views of which it is known that they pair with it: `match` finds them."""
    found = [Match(pair, before, sound, covered_before, same_light=same_light) for pair in pairs]
    return max(found, key=lambda item: item.in_place)


def kept(seen: Fingerprint, other: Fingerprint) -> Kept:
    """Return how much of another look's view is in its place in this one, whatever the approved view is."""
    pair = Pair(seen, other)
    return Kept(pair.in_place, _Alike(pair).identity, anchored(_phasors(other), _phasors(seen)))


def surely(seen: Match) -> bool:
    """Tell whether a look surely shows the approved view, if it shows nothing wrong."""
    return min(seen.visible, seen.in_place) >= _SURE_IN_PLACE and seen.identity >= _SURE_IDENTITY


def overlap(new: Fingerprint, approved: Fingerprint) -> float:
    """Return how far a new view is the approved one, 0..1, for people who approve it: 1 is the same."""
    return min(Pair(new, approved).in_place, Pair(approved, new).in_place)


_SURE_IN_PLACE: Final = 0.4
_SURE_IDENTITY: Final = 0.25
"""What no camera reaches that looks elsewhere; cots over the whole floor of a hall leave 0.5 and 0.3."""

_SEARCHED_UNDER: Final = 0.6
"""Share of structure in place from which the view is not lost."""


_UNCOVERED: Final = 0.97
"""Where so much is in place, no region is looked for."""

_COVERED_FROM: Final = 0.5
"""Where structure is gone and nothing stands instead by more than this, a cell is covered."""

_REACHES: Final = ((1.5, 1.0), (4.0, 0.05), (10.0, 0.002))
"""Widths in cells, and weights, over which a cell without structure asks its neighbours: the nearest that know decide."""

_TOO_FAR: Final = np.float32(3e-5)
"""What has less structure than this within reach belongs to no region."""

_STANDS_SHARE: Final = 0.5
"""Half of the fine structure that was there is enough for something else that stands there, if it is sharp: what lies on
the lens is out of focus, what stands in the room is not."""

_SOFT_DETAIL: Final = 0.25
_SHARP_DETAIL: Final = 0.5
"""Fine edges beside those of the coarse scale, relative to what is usual in the view."""


def _covered_region(pair: Pair) -> Mask:
    """Return the largest connected region where structure is gone without other sharp structure in its place."""
    if pair.in_place >= _UNCOVERED:
        return np.zeros((ROWS, COLUMNS), np.bool_)
    gone = pair.weight * (1 - pair.present) * (1 - _stands(pair)) * (1 - _coarse_presence(pair))
    around, whole = _around(gone, pair.weight)
    return _largest((around / (whole + _TOO_FAR) > _COVERED_FROM) & ~pair.blind)


def _around(*planes: Field) -> Field:
    """Return the sums around each cell, by all widths and weights, of some planes: two products in place of six windows."""
    lines = (_DOWN @ np.stack(planes)).reshape(len(planes), len(_REACHES), ROWS, COLUMNS)
    return np.asarray(lines.swapaxes(1, 2).reshape(len(planes), ROWS, -1) @ _ACROSS, np.float32)


_DOWN: Final = np.concatenate([np.float32(weight) * window(ROWS, width) for width, weight in _REACHES])
_ACROSS: Final = np.concatenate([window(COLUMNS, width).T for width, _ in _REACHES])


_LITTLE_COARSE: Final = np.float32(0.05)
"""Where coarse structure counts less than this it says little."""

_BY_CHANCE: Final = 0.4
_SURELY: Final = 0.8
"""Shares of the coarse structure around a cell: folds of a cloth run somewhere, too."""


def _coarse_presence(pair: Pair) -> Field:
    """Return how far coarse structure is in place around each cell: then the view is out of focus there, not covered."""
    weight, present = pair.coarse
    around = smoothed(weight * present, 1.0) / _coarse_around(pair.approved)
    sure = np.clip((around - _BY_CHANCE) / (_SURELY - _BY_CHANCE), 0, 1)
    return np.asarray(cv2.resize(sure, (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR), np.float32)


@once_by_edges
def _coarse_around(view: Fingerprint) -> Field:
    """Return how much coarse structure counts around each cell."""
    return np.asarray(smoothed(coarse_telling(view), 1.0) + _LITTLE_COARSE, np.float32)


def _stands(pair: Pair) -> Field:
    """Return how far something sharp stands in each cell, whatever it is, 0..1."""
    before, after = (smoothed(view.fine_strength * pair.weight, NEIGHBOURS) for view in (pair.approved, pair.seen))
    much = after / np.maximum(_STANDS_SHARE * pair.gain * before, 1e-6)
    usual = middle_of(_detail(pair.approved), _by_detail(pair.approved), pair.weight)
    detailed = between(_detail(pair.seen) / max(usual, 1e-6), _SOFT_DETAIL, _SHARP_DETAIL)
    return np.asarray(np.minimum(much, 1) * detailed * pair.sharp, np.float32)


@once_by_edges
def _detail(view: Fingerprint) -> Field:
    """Return fine edges beside coarse ones, around each cell."""
    coarse = cv2.resize(view.coarse_edges.strength, (COLUMNS, ROWS), interpolation=cv2.INTER_LINEAR)
    return np.asarray(fine_around(view) / np.maximum(coarse, 1e-4), np.float32)


@once_by_edges
def _by_detail(view: Fingerprint) -> Order:
    return _detail(view).argsort(axis=None)


def _largest(mask: Mask) -> Mask:
    if not mask.any():
        return mask
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return mask
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()), np.bool_)


_BORDER: Final = 5
"""Width of the brush, in cells, that adds to a region what its own border may lie in."""


def _inner(region: Mask) -> Mask:
    return np.asarray(cv2.erode(region.astype(np.uint8), np.ones((3, 3), np.uint8)), np.bool_)


def _with_border(region: Mask) -> Mask:
    return np.asarray(cv2.dilate(region.astype(np.uint8), np.ones((_BORDER, _BORDER), np.uint8)), np.bool_)


def _changed(mine: Edges, yours: Edges) -> Field:
    """Return how far each cell's edges are other ones than in the look before, 0..1."""
    floor = max(FAINT, 2 * mine.noise, 2 * yours.noise)
    turned = np.hypot(
        mine.strength * mine.cosine - yours.strength * yours.cosine,
        mine.strength * mine.sine - yours.strength * yours.sine,
    ) + np.abs(mine.strength - yours.strength)
    return np.asarray(np.clip(turned / (floor + mine.strength + yours.strength), 0, 1), np.float32)


def _still(where: Mask, changed: Field) -> float:
    """Return how far a part of the view shows what it did in the look before, 0..1."""
    return 1 - float(changed[where].mean()) if where.any() else 1.0


_GROWN_FROM: Final = 0.2
"""Of the view was covered in the look before: what is smaller may lie in anything."""

_GROWN_KEPT: Final = 0.95
"""Of that is covered still: who walks past leaves behind what he hid."""


def _has_grown(region: Mask, before: Mask) -> bool:
    """Tell whether much of the view was covered in the look before, and still is."""
    return bool(before.mean() >= _GROWN_FROM and region[before].mean() >= _GROWN_KEPT)


class _Alike:
    """How far all edges of a look are where they were in the approved view."""

    def __init__(self, pair: Pair) -> None:
        """Take a look and the view that it is held against; nothing is multiplied before it is asked for."""
        self._pair = pair

    @cached_property
    def _products(self) -> Field:
        """Of both sides' edges with each other, and of each with itself: shape (3, cells)."""
        seen, approved = self._pair.seen, self._pair.approved
        mine, yours = _phasors(approved), _phasors(seen)
        together = mine.real * yours.real + mine.imag * yours.imag
        return np.stack([together, _power(approved), _power(seen)]).reshape(3, -1)

    @cached_property
    def _sums(self) -> Field:
        return np.asarray(self._products.sum(axis=1), np.float32)

    @cached_property
    def identity(self) -> float:
        """Their correlation, -1..1."""
        return _correlation(self._sums)

    def where(self, cells: Mask) -> tuple[float, float]:
        """Return the correlation in some of the cells, and the share of the approved edges that lie there."""
        sums = self._products @ cells.reshape(-1).astype(np.float32)
        return _correlation(sums), ratio(float(sums[1]), float(self._sums[1]))


def _correlation(sums: Field) -> float:
    """Return the correlation of two sides from the sums of their products: with each other, and each with itself."""
    together, mine, yours = sums.tolist()
    return ratio(together, math.sqrt(mine * yours))


@once
def _power(view: Fingerprint) -> Field:
    phasors = _phasors(view)
    return np.asarray(phasors.real**2 + phasors.imag**2, np.float32)


def _sharpness(pair: Pair) -> float:
    """Return fine edges beside coarse ones relative to the approved view."""
    mine, yours = pair.approved.coarse_edges, pair.seen.coarse_edges
    weight, present = pair.coarse
    fine_approved, fine_seen = _coarse_fine(pair.approved), _coarse_fine(pair.seen)
    placed = weight * present * _NO_OVERLAY
    telling = (placed > 0.05) & (fine_approved > 4 * pair.seen.fine_noise**2) & (yours.strength > 0)
    if telling.sum() < 5:
        return 1.0
    before = np.sqrt(fine_approved[telling]) / mine.strength[telling]
    after = np.sqrt(fine_seen[telling]) / yours.strength[telling]
    logs = np.clip(np.log2(np.maximum(after, 1e-9) / before), -4, 1)
    return float(2.0 ** weighted_quantile(logs, placed[telling], 0.5))


@once_by_edges
def _coarse_fine(view: Fingerprint) -> Field:
    """Return the mean square of the fine edges in each coarse cell."""
    return shrunk(view.fine_strength**2, (COARSE_COLUMNS, COARSE_ROWS))


_NO_OVERLAY: Final = shrunk(np.broadcast_to(BORDER, (ROWS, COLUMNS)).copy(), (COARSE_COLUMNS, COARSE_ROWS)) == 1
"""Which coarse cells hold nothing that a camera writes."""


_SAME_AROUND: Final = 3.0
"""Width in cells of the surroundings whose common direction is left out."""

_REGISTER_UNDER: Final = 0.8
"""Share of structure in place from which the view is not searched elsewhere, but for what lies along itself."""

_SAME_IDENTITY: Final = 0.75
"""Correlation of all edges where they were from which no place elsewhere can be better by as much as a move is."""

_ALONG_IDENTITY: Final = 0.5
"""The same where most of the structure is in place: with less, a zoomed floor of boards may lie on itself again. Of a view that has not moved
and can be seen, hardly any look has so little."""

_SEEN_AT_ALL: Final = 0.25
"""Share of the approved structure that must be to be seen: below, in the dark, there is nothing to be found anywhere."""

_SEEN_INSTEAD: Final = 0.6
"""Unless there is by day as much sharp structure as this of what the approved view has: in the dark it may be noise."""

_REGISTER_FROM: Final = 0.06
"""A picture with less structure of its own shows nothing that could be found."""


def _registered(pair: Pair, alike: _Alike) -> tuple[float, float, Registration]:
    """Return (correlation of edges where they were, the share that is anchored there, the best registration)."""
    instead = pair.seen.light == "day" and pair.own_structure >= _SEEN_INSTEAD
    unlit = pair.visible < _SEEN_AT_ALL and not instead
    if pair.in_place >= _UNCOVERED or unlit:
        return 1.0, 1.0, Registration(0, 0, 0, 1, 1, 0, 1)
    identity = alike.identity
    same = _SAME_IDENTITY if pair.in_place < _REGISTER_UNDER else _ALONG_IDENTITY
    if identity >= same or pair.own_structure < _REGISTER_FROM:
        return identity, 1.0, Registration(0, 0, 0, 1, identity, 0, 1)
    mine, yours = _phasors(pair.approved), _phasors(pair.seen)
    fixed = anchored(mine, yours)
    return identity, fixed, register(mine, yours, pair.approved.aspect, fixed)


@once
def _phasors(view: Fingerprint) -> Phasors:
    """Return a view's edges for registration, without what is the same all around: a floor of boards fits anywhere."""
    weight = counted(view) * view.steadiness * (BORDER == 1)
    phasors = np.empty(weight.shape, np.complex64)
    real, imaginary = (np.asarray(weight * part, np.float32) for part in (view.edges.cosine, view.edges.sine))
    np.subtract(real, smoothed(real, _SAME_AROUND), out=phasors.real)
    np.subtract(imaginary, smoothed(imaginary, _SAME_AROUND), out=phasors.imag)
    return phasors
