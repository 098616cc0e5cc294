"""Are earlier pictures shown in turns: each is new beside the looks just before it, and its noise is that of an older one."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agents.vision.imprint import Imprint, apart

LEAST_EARLIER = 8
"""Fewer looks tell nothing: the nearest of few is far."""

LEARNT_LOOKS = 12
KEPT_LOOKS = 240
USUAL_QUANTILE = 0.25
"""What is usual is known by so many live looks, and is what a quarter of the latest ones don't exceed."""

SAME_SHARE = 0.6
BESIDE_SHARE = 0.75
"""Of what is usual for a camera: no live picture is so near to an earlier one and, at the same time, so much nearer than to the look just before and to both that the
earlier one stood between. Of 16,989 live looks one in 75 is, each because drawn noise came again by chance. The same picture coded anew has 0.05 to 0.6 of both."""

OTHER_SHARE = 0.9
"""A look that is nearer to the one just before may be of a picture that stands: an encoder spends more on some keyframes than on others, so that of a frozen picture
an earlier one may be nearer still."""

LATEST = 6
SHOWN = 5
"""So many of the latest looks that tell must be earlier pictures."""

ENDED = 3
"""So many live looks in a row end it: somebody may show a new picture now and then."""

FORGOTTEN = 12
"""And so many of which none is an earlier picture, though they tell no more than that: there is no noise, or one picture stands."""


class Turns:
    """How near one camera's looks come to earlier ones, usually and lately."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._learnt = np.empty((2, KEPT_LOOKS), np.float32)
        """How far the nearest earlier look was, and what share that was of how far others were, of each live look that was learnt from."""
        self._looks = 0
        """So many were."""
        self._found: tuple[float, float] | None = None
        """Both of the newest look, if it may be learnt from."""
        self._again = deque[bool](maxlen=LATEST)
        self._shown = False
        self._live, self._other = 0, 0
        """So many looks in a row were live, and so many were no earlier picture."""
        self._alike = 0.0

    @property
    def alike(self) -> float | None:
        """How far what is shown is the same as an earlier look, where earlier looks are shown in turns: 1 for all of it. None where they aren't."""
        return self._alike if self._shown else None

    def look(self, seen: Imprint | None, earlier: Sequence[Imprint]) -> None:
        """Take a look and those before it, in order, of half an hour or so."""
        self._found = None
        told = None if seen is None or len(earlier) < LEAST_EARLIER else apart(seen, earlier)
        if told is None:
            self._take(again=False, live=False)
            return
        near, share = _nearest(told)
        if self._looks < LEARNT_LOOKS:
            self._found = near, share
            return
        usual, usual_share = self._usual()
        stands = float(told[-1]) < OTHER_SHARE * usual
        again = not stands and near < SAME_SHARE * usual and share < BESIDE_SHARE * usual_share
        if again:
            self._alike = 1 - near / usual
        else:
            self._found = near, share
        self._take(again=again, live=not again and float(told.min()) >= SAME_SHARE * usual)

    def learn(self) -> None:
        """Let the newest look count as usual, unless it is near to an earlier one: it is a live one for all that is known otherwise."""
        if self._found is not None:
            self._learnt[:, self._looks % KEPT_LOOKS] = self._found
            self._looks += 1

    def _usual(self) -> tuple[float, float]:
        """Return what is usual of both."""
        learnt = self._learnt[:, : self._looks]
        place = int(USUAL_QUANTILE * learnt.shape[1])
        near, share = np.partition(learnt, place)[:, place]
        return float(near), float(share)

    def _take(self, *, again: bool, live: bool) -> None:
        """Take note of a look that is an earlier picture, or a live one, or neither for all that is known: one that is the same as the one just before."""
        self._other = 0 if again else self._other + 1
        self._live = self._live + 1 if live else 0
        if again or live:
            self._again.append(again)
        if not self._shown:
            self._shown = sum(self._again) >= SHOWN
        elif self._live >= ENDED or self._other >= FORGOTTEN:
            self._shown = False
            self._again.clear()


def _nearest(told: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return how far an earlier look is, and what share that is of how far the nearest of three others is: the two that it stood between, and the one just before now.

    It is the look for which the share is least.
    """
    shares = told[1:-1] / np.minimum(np.minimum(told[:-2], told[2:]), told[-1])
    place = int(shares.argmin())
    return float(told[1 + place]), float(shares[place])
