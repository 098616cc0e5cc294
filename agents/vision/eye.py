"""One camera's looks put in order: what is kept between them, and the conditions that each one shows."""

from __future__ import annotations

from dataclasses import dataclass

from agents.vision.diagnose import Conditions, conditions
from agents.vision.flow import Flow
from agents.vision.measure import Measures, Scores
from agents.vision.thresholds import Thresholds


@dataclass(frozen=True)
class Judged:
    """What one look shows, and the numbers that say so."""

    conditions: Conditions
    scores: Scores


class Eye:
    """What is remembered of one camera from look to look. No I/O and no clock: time comes with each look."""

    def __init__(self, thresholds: Thresholds) -> None:
        """Remember nothing yet."""
        self._thresholds = thresholds
        self._flow = Flow()

    def frame(self, at_seconds: float, size: int, *, keyframe: bool) -> None:  # noqa: ARG002  (loops go by it)
        """Take note of one coded frame, looked at or not: its time on any steady clock, its size in bytes."""
        self._flow.frame(size, keyframe=keyframe)

    def look(self, measures: Measures) -> Judged:
        """Judge one look."""
        flow = self._flow.take()
        scores = {name: None if value is None else round(value, 1) for name, value in vars(flow).items()}
        return Judged(conditions(measures, self._thresholds), measures.as_scores() | scores)
