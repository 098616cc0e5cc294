"""When a recorder's far edge will fall below the required days: from what it holds, what it can hold and what is written.

A recorder that overwrites is a queue of bytes: each new day pushes the oldest ones out. So the days that it will hold
follow from the bytes of the days that it holds now, its capacity, and the bytes of a day to come. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Change = Literal["bit_rate_up", "camera_added", "capacity_lost", "capacity_too_small"]

HORIZON_DAYS = 120
"""So far ahead is looked: what breaks later is seen in time on a later day."""

RECENT_DAYS = 14
"""Of so many full days the days to come are made, at most: two weeks, so that weekends have their share."""

LEAST_DAYS = 3
"""From fewer full days nothing is foretold."""

LEAST_DAYS_DOWN = 7
"""So long a lower rate has to last before it is believed."""

CHANGED = 1.10
"""A day's bytes that differ by more than this from those before are another rate."""

USABLE = (0.85, 0.92, 1.0)
"""How much of a disk's size holds footage, at the least, likely and at the most: file systems, index, event clips."""

SPREAD = 2.0
"""How many standard errors of the recent days the uncertainty reaches: 95 % where days are independent."""


@dataclass(frozen=True)
class Pool:
    """A recorder's footage as a queue: bytes of each camera on each of the days first..yesterday, shape (n,) each.

    Days that were overwritten or never recorded are 0. Where the index tells no sizes, recorded time times the measured
    bit rate serves as well, since only ratios count for a recorder that overwrites.
    """

    first: date
    cameras: Mapping[str, Floats]
    capacity_bytes: float | None = None
    """Of all disks that are present; None where it isn't told. Used only while nothing has been overwritten yet."""
    overwriting: bool = True
    """Old footage has been overwritten: what is held now is what can be held."""
    lost_share: float = 0.0
    """Share of the capacity that was lost lately (a disk is gone), of which footage is still listed."""
    estimated: bool = False
    """Some of the bytes are recorded time at the measured bit rate."""

    @property
    def days(self) -> int:
        """Return n."""
        return len(next(iter(self.cameras.values()), ()))

    def total(self) -> Floats:
        """Return the bytes of each day over all cameras."""
        return np.sum(list(self.cameras.values()), axis=0, dtype=np.float64) if self.cameras else np.zeros(0)


@dataclass(frozen=True)
class Forecast:
    """On which day fewer than the required days will be held for the first time, if within the horizon.

    `earliest` and `latest` bound it; `latest` is None when it may not happen at all. `reaches` tells whether the
    required days will be held at all within the horizon: what a new recorder's `maturing` asks.
    """

    breaks_on: date | None
    earliest: date | None
    latest: date | None
    cause: Change | None
    reaches: bool
    estimated: bool = False
    """It stands on measured bit rates, at least in part: the index doesn't tell how much is written."""


def forecast(pool: Pool, required_days: int) -> Forecast | None:
    """Foretell from the days in the pool; None where they don't suffice: fewer than three full days, or no capacity."""
    total = pool.total()
    recent = _recent(total)
    if recent is None:
        return None
    held_bytes = float(total.sum())
    if pool.overwriting:
        rooms = (held_bytes * (1 - pool.lost_share),) * 3
    elif pool.capacity_bytes is not None:
        rooms = tuple(max(held_bytes, pool.capacity_bytes * share) for share in USABLE)  # type: ignore[assignment]
    else:
        return None
    mean = float(recent.mean())
    error = SPREAD * float(recent.std(ddof=1)) / len(recent) ** 0.5 if len(recent) > 1 else mean
    likely = _held(total, rooms[1], mean)
    # A rise that a weekend hides shows in the latest days first: nobody may be told that it can't come so soon.
    worst = _held(total, rooms[0], max(mean + error, float(recent[-LEAST_DAYS:].mean())))
    best = _held(total, rooms[2], max(mean - error, 0.0))
    today = pool.first + timedelta(days=pool.days)
    breaks = _breach(likely, required_days, today)
    bounds = [breaks, _breach(worst, required_days, today), _breach(best, required_days, today)]
    sure = [day for day in bounds if day is not None]
    return Forecast(
        breaks_on=breaks,
        # Days are counted whole here: the edge passes in the course of the day before, at the earliest.
        earliest=max(today, min(sure) - timedelta(days=1)) if sure else None,
        latest=max(sure) if len(sure) == len(bounds) else None,
        cause=None if breaks is None else _cause(pool, total, recent),
        reaches=bool((likely >= required_days).any()),
        estimated=pool.estimated,
    )


def _recent(total: Floats) -> Floats | None:
    """Return the bytes of the last full days at the present rate, at most two weeks of them; None with too few.

    A step of the rate ends them: what was written before a camera was added says nothing of the days to come. A step
    up needs three days, a step down a week of them beyond what the days before varied by: so a weekend is none, and
    holidays don't hide what comes after them.
    """
    full = total[-RECENT_DAYS:]
    if len(full) < LEAST_DAYS or not (full[-LEAST_DAYS:] > 0).all():
        return None
    for cut in range(len(full) - LEAST_DAYS, LEAST_DAYS - 1, -1):
        before, after = full[:cut], full[cut:]
        up = after.min() > before.max() * CHANGED
        down = len(after) >= LEAST_DAYS_DOWN and after.max() * CHANGED < before.min()
        if (before > 0).all() and (up or down):
            return after
    return full[full > 0]


def _held(total: Floats, room: float, rate: float) -> Floats:
    """Return the days held at the end of each of the days to come, shape (HORIZON_DAYS,).

    The oldest whole day that still fits is the far edge: a day that is overwritten in part is not held.
    """
    written = np.concatenate([total, np.full(HORIZON_DAYS, rate)])
    past = np.cumsum(written)  # bytes written by the end of each day
    before = past - written
    now = len(total) + np.arange(HORIZON_DAYS)
    edge = np.searchsorted(before, past[now] - room * (1 + 1e-9), side="left")
    first = int(np.flatnonzero(total > 0)[0]) if (total > 0).any() else len(total)
    held: Floats = (now + 1 - np.maximum(edge, first)).astype(np.float64)
    return held


def _breach(held: Floats, required_days: int, today: date) -> date | None:
    """Return the first day on which fewer than the required days are held after they had been, or never will be."""
    enough = np.flatnonzero(held >= required_days)
    start = int(enough[0]) if len(enough) else None
    if start is None:
        falling = np.flatnonzero(np.diff(held) <= 0)
        return today + timedelta(days=int(falling[0])) if len(falling) else None
    short = np.flatnonzero(held[start:] < required_days)
    return today + timedelta(days=start + int(short[0]) + 1) if len(short) else None


def _cause(pool: Pool, total: Floats, recent: Floats) -> Change:
    """Say what makes it break: lost capacity, a new camera, a higher rate, or simply too little room."""
    if pool.lost_share > 0:
        return "capacity_lost"
    if not pool.overwriting:
        return "capacity_too_small"
    cut = len(total) - len(recent)
    older = total[:cut][total[:cut] > 0]
    if len(older) and recent.mean() > older.mean() * CHANGED:
        new = [days for days in pool.cameras.values() if not (days[:cut] > 0).any() and (days[cut:] > 0).all()]
        return "camera_added" if new else "bit_rate_up"
    return "capacity_too_small"
