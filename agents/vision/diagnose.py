"""What a camera shows, decided from measures: the conditions of one look, and what is confirmed over looks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agents.vision.measure import Measures
from agents.vision.thresholds import Thresholds
from monitor.model.span import Millis

OK = "ok"


@dataclass(frozen=True)
class Conditions:
    """What holds of one look, each in the order in which one of several is named."""

    entering: tuple[str, ...]
    """By the bounds at which a state begins."""
    staying: frozenset[str]
    """By the wider bounds at which a state that holds goes on holding."""

    @property
    def state(self) -> str:
        """The state of this look alone."""
        return self.entering[0] if self.entering else OK


def conditions(measures: Measures, thresholds: Thresholds) -> Conditions:
    """Return what holds of one look."""
    wider = thresholds.leaving()
    return Conditions(
        entering=tuple(state for state, holds in _RULES.items() if holds(measures, thresholds)),
        staying=frozenset(state for state, holds in _RULES.items() if holds(measures, wider)),
    )


def state_of(measures: Measures, thresholds: Thresholds) -> str:
    """Return the state of one look alone: the first condition that holds, else ok."""
    return conditions(measures, thresholds).state


def _signal_lost(m: Measures, t: Thresholds) -> bool:
    drawn = m.drawn.flat_ratio >= t.placeholder_flat_ratio and m.grain.noise <= t.placeholder_noise
    return drawn and m.levels.luma_p95 > t.black_p95


def _black(m: Measures, t: Thresholds) -> bool:
    return m.levels.luma_p95 <= t.black_p95


def _frozen(m: Measures, t: Thresholds) -> bool:
    return m.same_ratio is not None and m.same_ratio >= t.frozen_same_ratio


_RULES = {"signal_lost": _signal_lost, "black": _black, "frozen": _frozen}
"""In the order in which one of several that hold is named."""


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


def look(diagnosis: Diagnosis, seen: Conditions, at: Millis, thresholds: Thresholds) -> Diagnosis:
    """Return the diagnosis after one more look. The first look of all needs no second to be ok.

    A state that holds gives way to one that is named before it, and otherwise only when its wider bounds are left.
    """
    state = _named(diagnosis.state, seen)
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


def _named(holding: str | None, seen: Conditions) -> str:
    """Return the state that this look speaks for, given the one that holds."""
    if holding not in seen.staying:
        return seen.state
    order = list(_RULES)
    before = [state for state in seen.entering if order.index(state) < order.index(holding)]
    return before[0] if before else holding
