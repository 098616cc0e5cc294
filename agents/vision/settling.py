"""What an approved view shows that doesn't stay: learnt from the sound looks after it was approved."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from agents.vision.fingerprint import STEADIEST, Fingerprint
from agents.vision.pair import Pair, ratio
from agents.vision.structure import COLUMNS, ROWS, Field

SETTLED_LOOKS: Final = 360
"""After so many sound looks, an hour of them, a view is taken for what it is: what changes from then on has changed."""

_BELIEVED: Final = 1.0
"""What the approved view shows counts as so many looks that show it."""

_MEMORY: Final = 60
"""Looks over which the share is taken, once there are so many."""

_NEVER: Final = 0.2
_USUALLY: Final = 0.5
"""Shares of the looks in which a cell's structure is where it was: with less it is none of the place, with more it is."""

_KEPT: Final = 0.4
"""Share of the structure that goes on counting, however much is missing: else a view could be taken away bit by bit."""


class Settling:
    """One approved view, and how often each of its cells is there."""

    def __init__(self, approved: Fingerprint) -> None:
        """Believe the view as it was approved."""
        self.approved = approved
        self.view = approved
        """What counts of it now: the same view, less steady where something has left."""
        self._weight = Pair(approved, approved).weight
        self._looks = 0
        self._share: Field = np.ones((ROWS, COLUMNS), np.float32)

    @property
    def learns(self) -> bool:
        """Whether looks are still learnt from."""
        return self._looks < SETTLED_LOOKS

    def learn(self, seen: Fingerprint) -> None:
        """Take in a look that surely shows the view and nothing wrong."""
        if not self.learns:
            return
        self._looks += 1
        pair = Pair(seen, self.approved)
        visible = pair.expected > 2 * seen.noise
        step = 1 / (min(self._looks, _MEMORY) + _BELIEVED)
        self._share += np.where(visible, step * (pair.present - self._share), 0).astype(np.float32)
        counts = np.clip((self._share - _NEVER) / (_USUALLY - _NEVER), 0, 1)
        left = ratio(float((self._weight * counts).sum()), float(self._weight.sum()))
        if left < _KEPT:
            counts = 1 - (1 - counts) * ((1 - _KEPT) / (1 - left))
        steady = np.asarray(np.rint(STEADIEST * self.approved.steadiness * counts), np.uint8)
        if not np.array_equal(steady, self.view.steady):
            self.view = replace(self.approved, steady=steady)
