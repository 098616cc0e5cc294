"""What a view shows that doesn't stay: told by later looks while it is taken, learnt from sound ones thereafter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from agents.vision.fingerprint import STEADIEST, Codes, Fingerprint
from agents.vision.pair import Mask, Pair, ratio
from agents.vision.structure import COLUMNS, ROWS, Field

SETTLED_LOOKS: Final = 360
"""After so many sound looks, an hour of them, a view is taken for what it is: what changes from then on has changed."""

LEARNT_EACH: Final = 3
"""One in so many sound looks is learnt from, and stands for all of them: half a minute is soon enough, and each costs a comparison of its own."""

_BELIEVED: Final = 1.0
"""What the approved view shows counts as so many looks that show it."""

_MEMORY: Final = 60
"""Looks over which the share is taken, once there are so many."""

_NEVER: Final = 0.2
_USUALLY: Final = 0.5
"""Shares of the looks in which a cell's structure is where it was: with less it is none of the place, with more it is."""

_KEPT: Final = 0.4
"""Share of the structure that goes on counting, however much is missing: else a view could be taken away bit by bit."""

MOST_GONE: Final = 1 - _KEPT
"""Share of the structure that later looks may take away while a view is taken: with more it is none of the place."""


def without_what_left(view: Fingerprint, later: Sequence[Fingerprint]) -> tuple[Fingerprint, float]:
    """Return a view less steady where later looks don't show its structure, and the share of it that this takes.

    What couldn't be seen later, in the dark or behind noise, goes on counting. What is new in the later looks never
    counts. Raises ValueError for no looks at all.
    """
    if not later:
        raise ValueError("without a later look nobody knows what has left")
    pairs = [Pair(seen, view) for seen in later]
    counts = _counting(np.mean([np.where(_visible(pair), pair.present, 1) for pair in pairs], axis=0))
    weight = Pair(view, view).weight
    gone = ratio(float((weight * (1 - counts)).sum()), float(weight.sum()))
    return view.steadied(_steady(view, counts)), gone


def _visible(pair: Pair) -> Mask:
    """Return where the view's structure could be seen in a look if it were there."""
    return np.asarray((pair.expected > 2 * pair.seen.noise) & ~pair.blind, np.bool_)


def _counting(share: Field) -> Field:
    """Return how far cells count of which the structure is where it was in such a share of the looks."""
    return np.asarray(np.clip((share - _NEVER) / (_USUALLY - _NEVER), 0, 1), np.float32)


def _steady(view: Fingerprint, counts: Field) -> Codes:
    return np.asarray(np.rint(STEADIEST * view.steadiness * counts), np.uint8)


class Settling:
    """One approved view, and how often each of its cells is there."""

    def __init__(self, approved: Fingerprint) -> None:
        """Believe the view as it was approved."""
        self.approved = approved
        self.view = approved
        """What counts of it now: the same view, less steady where something has left."""
        self._weight = Pair(approved, approved).weight
        self._looks = 0
        """So many sound looks are learnt, those that others stood for among them."""
        self._passed = 0
        """So many have been passed over since the last one that was to be learnt from."""
        self._share: Field = np.ones((ROWS, COLUMNS), np.float32)

    def wants(self) -> bool:
        """Take note of a sound look; tell whether it is one to `learn` from: each third one, within the hour."""
        if self._looks >= SETTLED_LOOKS:
            return False
        self._passed = (self._passed + 1) % LEARNT_EACH
        return not self._passed

    def learn(self, pair: Pair) -> None:
        """Take in a look, beside the view as it was approved, that surely shows it and nothing wrong: it stands for those since the last one."""
        if self._looks >= SETTLED_LOOKS:
            return
        self._looks += LEARNT_EACH
        visible = pair.expected > 2 * pair.seen.noise
        step = LEARNT_EACH / (min(self._looks, _MEMORY) + _BELIEVED)  # as so many single ones would have it
        self._share += np.where(visible, step * (pair.present - self._share), 0).astype(np.float32)
        counts = _counting(self._share)
        left = ratio(float((self._weight * counts).sum()), float(self._weight.sum()))
        if left < _KEPT:
            counts = 1 - (1 - counts) * ((1 - _KEPT) / (1 - left))
        steady = _steady(self.approved, counts)
        if not np.array_equal(steady, self.view.steady):
            self.view = self.approved.steadied(steady)
