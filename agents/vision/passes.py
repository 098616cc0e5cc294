"""A camera that comes by the same places again: films of several of them tell whether it is a recording that does, by whether they lie exactly where they did."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agents.vision.offset import Offset

MOST_KEPT = 16
"""So many films are held against each other."""

LEAST_FILMS = 4
MOST_SPREAD = 0.3
"""Of so many films, but for the one that is farthest off, a recording's lie fewer pixels apart in the mean, wherever it was shifted to: what its second
encoder did, and low bit rates, leave 0.1, with outliers. No camera turns to a preset exactly as before: of real ones it is half a pixel to four."""

FEW_FILMS = 3
FEW_SPREAD = 0.8
"""Of fewer films two would have to be wrong."""

EXACT_FILMS = 8
EXACT_VIEWS = 4
EXACT_SPREAD = 0.15
"""So many films, of so many views in turn, no farther apart, are no chance of a camera that was seen not to come by exactly."""

GONE = 0.6
"""Pixels from where the others lie: so far off is none of a recording's films but one in fifty."""


class Passes:
    """The films of one time that may be shown again."""

    def __init__(self) -> None:
        """Know none yet."""
        self._films = deque[tuple[npt.NDArray[np.float64], float]](maxlen=MOST_KEPT)
        """Where a film's frames lie, (frames, 2), and which view they show."""

    def __len__(self) -> int:
        """Return how many films there are."""
        return len(self._films)

    def take(self, frames: Sequence[Offset], view: float) -> None:
        """Take a film's frames, at least one. `view` is another number for what is shown after the camera has turned."""
        self._films.append((np.array([(item.right, item.down) for item in frames]), view))

    def forget(self) -> None:
        """Leave them: they have told."""
        self._films.clear()

    @property
    def differ(self) -> bool:
        """Tell whether the camera turned, and came by at another place each time.

        Of one that stands, pictures that lie elsewhere each time are those of somebody who shifts a recording.
        """
        bound = MOST_SPREAD if len(self._films) >= LEAST_FILMS else FEW_SPREAD
        return len(self._films) >= FEW_FILMS and len(self._views()) > 1 and self._spread() > bound

    @property
    def meet(self) -> bool:
        """Tell whether it came by many places exactly as before."""
        many = len(self._films) >= EXACT_FILMS and len(self._views()) >= EXACT_VIEWS
        return many and self._spread() <= EXACT_SPREAD

    @property
    def goes_on(self) -> bool:
        """Tell whether the newest film lies where most of them do."""
        return bool(self._distances()[-1] <= GONE)

    def _views(self) -> set[float]:
        """Return which views the films show."""
        return {view for _, view in self._films}

    def _spread(self) -> float:
        """Return the mean distance from the place that most films have, but for the one that is farthest off."""
        return float(np.sort(self._distances())[1:-1].mean())

    def _distances(self) -> npt.NDArray[np.float64]:
        """Return how far each film is from the place that most of them have.

        Each counts by the nearest of its frames: of a camera that moves the right one is among others.
        """
        places = np.concatenate([places for places, _ in self._films])
        starts = np.cumsum([0, *(len(places) for places, _ in self._films)])[:-1]
        apart = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
        nearest = np.minimum.reduceat(apart, starts, axis=1)
        most = np.sort(nearest, axis=1)[:, : max(1, len(starts) - 1)].sum(1).argmin()
        return np.asarray(nearest[most])
