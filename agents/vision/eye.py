"""One camera's looks put in order: what is kept between them, and the conditions that each one shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.vision.diagnose import Conditions, Evidence, conditions
from agents.vision.fingerprint import Fingerprint
from agents.vision.light import Light
from agents.vision.match import Match, match
from agents.vision.measure import Measures, Scores
from agents.vision.thresholds import Thresholds
from agents.vision.usual import Usual


@dataclass(frozen=True)
class Judged:
    """What one look shows, and the numbers that say so."""

    conditions: Conditions
    scores: Scores
    thresholds: Thresholds
    """By which it was judged."""
    matched: Match | None
    """The look beside the approved view; None without one."""


class Eye:
    """What is remembered of one camera from look to look. No I/O and no clock: time comes with each look."""

    def __init__(
        self,
        thresholds: Thresholds,
        approved: Sequence[Fingerprint] = (),
        *,
        by_light: Callable[[Light], Thresholds] | None = None,
    ) -> None:
        """Remember nothing yet. `by_light` gives the thresholds of a look's light, where they differ."""
        self.approved = tuple(approved)
        """The approved views, one or more for each light; they may be set anew at any time."""
        self._thresholds = by_light or (lambda _: thresholds)
        self._usual = Usual()
        self._before: Fingerprint | None = None

    def frame(self, at_seconds: float, size: int, *, keyframe: bool) -> None:
        """Take note of one coded frame, looked at or not: its time on any steady clock, its size in bytes."""

    def look(self, measures: Measures, view: Fingerprint) -> Judged:
        """Judge one look."""
        beside = self._usual.beside(measures)
        matched = match(view, self.approved, self._before) if self.approved else None
        self._before = view
        thresholds = self._thresholds(view.light)
        found = conditions(Evidence(measures, beside, matched), thresholds)
        if not found.entering:
            self._usual.learn(measures)
        scores = measures.as_scores() | {
            name: None if value is None else round(value, 4) for name, value in vars(beside).items()
        }
        return Judged(found, scores | ({} if matched is None else matched.as_scores()), thresholds, matched)
