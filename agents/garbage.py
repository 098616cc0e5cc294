"""How the service keeps its memory from growing: what stays is never looked through for garbage, all that comes is, each minute."""

from __future__ import annotations

import gc
import sys

from agents.periodic import Periodic

GARBAGE_OBJECTS = 10_000
"""So many more objects than before are looked through for garbage; by default 700, which frames make several times a second."""

SWEEP_SECONDS = 60.0
"""One camera's looks leave 5 KiB in a minute."""


NAMES = 22_000
"""As many as Python's table of names has room for once the agent is loaded: it grows to the next size with them, by 0.9 MiB."""


def spare_what_stays() -> None:
    """Look through what comes from now on for garbage, and seldom: libraries and configuration stay for as long as the process.

    The table of names (interned strings) grows at once: names that come and go use its room up, and it grew within the first hour.
    """
    for number in range(NAMES):
        sys.intern(f"cradlewatch name {number}")
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)


def keep_swept(periodic: Periodic) -> None:
    """Look through all that came since `spare_what_stays`, again and again: by itself Python would do so every few days, if ever.

    Only then it also empties the lists in which it keeps small tuples for reuse. One that is made of a generator is cut to its
    length, and goes into another list than it came from, so that a watched camera's looks fill these, up to 2,000 of each length, for
    hours: the service seemed to leak.
    """
    periodic.every(SWEEP_SECONDS, _sweep, name="garbage", first=SWEEP_SECONDS)


async def _sweep() -> None:
    gc.collect()
