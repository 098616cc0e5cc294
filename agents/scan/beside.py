"""Whose view played footage shows: its pictures beside the approved views of its camera, and of the site's others. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agents.vision.approved import away, moved
from agents.vision.fingerprint import Fingerprint
from agents.vision.match import Match, match
from agents.vision.thresholds import Thresholds
from monitor.model.span import Millis

Likeness = Literal["matches", "other", "unknown"]

SURE_IN_PLACE = 0.8
"""So much of another camera's approved structure in its place: rooms that are built alike have half of it."""
SURE_IDENTITY = 0.5


@dataclass(frozen=True)
class Dated:
    """An approved view, and since when it is."""

    fingerprint: Fingerprint
    at: Millis


@dataclass(frozen=True)
class Beside:
    """What the pictures are beside the approved views."""

    likeness: Likeness
    shows: str | None = None
    """Another camera of the site whose approved view it is."""
    in_place: float | None = None
    """Share of the own view's structure that is in its place, in the best picture."""


def beside(
    pictures: Sequence[Fingerprint],
    camera: str,
    views: Mapping[str, Sequence[Dated]],
    minute: Millis,
    thresholds: Thresholds,
) -> Beside:
    """Hold pictures of one minute against the approved views.

    They match when one of them does. They are `other` only when all of them look elsewhere, beside a view that was approved
    already when the minute was recorded: a camera may have been turned since. What is too dark to tell is unknown.
    """
    own = views.get(camera, ())
    matched = [found for view in pictures if (found := match(view, [item.fingerprint for item in own], None))]
    best = max(matched, key=lambda item: item.in_place, default=None)
    if best is None:
        return Beside("unknown")
    share = round(best.in_place, 4)
    if any(_in_place(item, thresholds) for item in matched):
        return Beside("matches", in_place=share)
    before = [item.fingerprint for item in own if item.at <= minute]
    old = [found for view in pictures if (found := match(view, before, None))]
    if not old or not all(moved(item, thresholds) for item in old):
        return Beside("unknown", in_place=share)
    return Beside("other", _whose(pictures, camera, views, thresholds), share)


def _in_place(seen: Match, thresholds: Thresholds) -> bool:
    telling = seen.visible >= thresholds.approved_visible
    return telling and not away(seen, thresholds) and not moved(seen, thresholds)


def _whose(
    pictures: Sequence[Fingerprint], camera: str, views: Mapping[str, Sequence[Dated]], thresholds: Thresholds
) -> str | None:
    """Return the one other camera whose view all pictures surely are; None when it is none's, or could be several's."""
    found = [
        name
        for name, items in views.items()
        if name != camera and all(_surely(view, items, thresholds) for view in pictures)
    ]
    return found[0] if len(found) == 1 else None


def _surely(picture: Fingerprint, items: Sequence[Dated], thresholds: Thresholds) -> bool:
    seen = match(picture, [item.fingerprint for item in items], None)
    if seen is None or not _in_place(seen, thresholds):
        return False
    return seen.in_place >= SURE_IN_PLACE and seen.identity >= SURE_IDENTITY
