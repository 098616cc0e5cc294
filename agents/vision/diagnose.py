"""What a camera shows, decided from measures: the state of one look, and what is confirmed over looks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agents.vision.measure import Measures
from monitor.model.span import Millis

OK = "ok"


@dataclass(frozen=True)
class Thresholds:
    """Where a state begins. Defaults hold for the cameras of the tests; a site may set others."""

    black_p95: float = 30.0
    """Luma on the video scale: a covered sensor lies at 16 to 20, a dark room's noise reaches further."""
    placeholder_flat_ratio: float = 0.8
    placeholder_noise: float = 0.05
    frozen_same_ratio: float = 0.8
    """The rest may be a running OSD clock, and what the encoder makes of its surroundings: measured 0.89 at the least.
    Live pictures of an empty room reach 0.18."""
    confirm_looks: int = 2


def state_of(measures: Measures, thresholds: Thresholds) -> str:
    """Return the state of one look: the first that holds of signal_lost, black, frozen; else ok."""
    drawn = measures.flat_ratio >= thresholds.placeholder_flat_ratio and measures.noise <= thresholds.placeholder_noise
    if drawn and measures.luma_p95 > thresholds.black_p95:
        return "signal_lost"
    if measures.luma_p95 <= thresholds.black_p95:
        return "black"
    if measures.same_ratio is not None and measures.same_ratio >= thresholds.frozen_same_ratio:
        return "frozen"
    return OK


@dataclass(frozen=True)
class Diagnosis:
    """What is confirmed of one camera's picture, and what is waiting to be.

    A state holds from the first of the looks that confirmed it. `state` is None before anything is confirmed.
    """

    state: str | None = None
    since: Millis = 0
    waiting: str | None = None
    waiting_since: Millis = 0
    waiting_looks: int = 0

    @property
    def confirming(self) -> bool:
        """Tell whether a change is waiting for its next look: then it is worth looking sooner."""
        return self.waiting is not None


def look(diagnosis: Diagnosis, state: str, at: Millis, thresholds: Thresholds) -> Diagnosis:
    """Return the diagnosis after one more look. The first look of all needs no second to be ok."""
    if state == diagnosis.state:
        return replace(diagnosis, waiting=None, waiting_looks=0)
    if diagnosis.state is None and state == OK:
        return Diagnosis(OK, at)
    same = state == diagnosis.waiting
    looks = diagnosis.waiting_looks + 1 if same else 1
    since = diagnosis.waiting_since if same else at
    if looks >= thresholds.confirm_looks:
        return Diagnosis(state, since)
    return replace(diagnosis, waiting=state, waiting_since=since, waiting_looks=looks)
