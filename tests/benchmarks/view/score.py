"""The score of a detector: by events, and by what it says on clean days. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Final

from benchmarks.view.truth import Alarm, Event, Truth

LATE_LOOKS: Final = 2
"""An alarm may rise this many looks after its event has ended: what began in its last look is still confirmed."""
EARLY_LOOKS: Final = 1
"""A look's instant is the keyframe's, which may lie before the due time."""
STILL: Final = frozenset({"black", "signal_lost"})
"""What these show is the same picture again: whoever calls it frozen as well is neither right nor wrong."""
LINGERS_LOOKS: Final = 5
"""Looks after an event's end in which its alarm should have ended: a state is left by two looks in a row, some by three."""
MISSED: Final = "-"

Aliases = Mapping[str, frozenset[str]]
"""A detector's words that stand for any of several states, such as "changed" for covered or moved."""


@dataclass
class StateScore:
    """One state's tally."""

    events: int = 0
    hits: int = 0
    false: int = 0
    """Alarms of this state that no event asked for, on tampered clips and clean days alike."""
    delays: list[float] = field(default_factory=list)
    """In looks, from the instant at which the event is severe enough."""

    @property
    def precision(self) -> float | None:
        """Hits among this state's alarms; None without alarms."""
        said = self.hits + self.false
        return self.hits / said if said else None

    @property
    def recall(self) -> float | None:
        """Hits among this state's events; None without events."""
        return self.hits / self.events if self.events else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None without events."""
        if not self.events:
            return None
        return 2 * self.hits / (2 * self.hits + self.false + self.events - self.hits)

    def delay(self, percent: int) -> float | None:
        """Return a percentile of the delays, in looks."""
        if not self.delays:
            return None
        return (
            self.delays[0] if len(self.delays) == 1 else quantiles(self.delays, n=100, method="inclusive")[percent - 1]
        )


@dataclass(frozen=True)
class Note:
    """One thing that went wrong."""

    clip: str
    at: float
    true: str
    """State and variant of the event; MISSED outside all events."""
    said: str
    """The detector's word; MISSED where it said nothing right to the end."""


@dataclass
class Score:
    """The tally of one detector over many clips."""

    states: dict[str, StateScore] = field(default_factory=dict)
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often an event of the first state was named the second; MISSED where nothing was said."""
    clean_days: float = 0.0
    clean_looks: int = 0
    clean_alarms: Counter[str] = field(default_factory=Counter)
    clean_hours: float = 0.0
    """Of video that these days took: their nuisances are those of so many days, their quiet is that of so many hours."""
    ended: int = 0
    lingered: int = 0
    """Events whose alarm had ended soon after they had, and whose alarm had not, of those after which the video goes on for as long."""
    repeats: int = 0
    """Second and later rises of the right state within one event: neither hits nor false, but not nice."""
    between: Counter[str] = field(default_factory=Counter)
    """False alarms on tampered clips outside all events."""
    notes: list[Note] = field(default_factory=list)

    def state(self, name: str) -> StateScore:
        """Return the tally of one state, new if need be."""
        return self.states.setdefault(name, StateScore())

    @property
    def false_per_day(self) -> float | None:
        """Alarms per clean camera-day; None without clean days."""
        return sum(self.clean_alarms.values()) / self.clean_days if self.clean_days else None

    @property
    def false_per_day_bound(self) -> float | None:
        """Upper end of the one-sided 95 % Poisson interval of that rate; None without clean days."""
        if not self.clean_days:
            return None
        return poisson_bound(sum(self.clean_alarms.values())) / self.clean_days


def poisson_bound(count: int, confidence: float = 0.95) -> float:
    """Return the mean at which `count` events or fewer would be seen with probability 1 - `confidence` (Garwood)."""
    low, high = 0.0, 10.0 + 5.0 * count
    for _ in range(60):
        middle = (low + high) / 2
        at_most = sum(math.exp(-middle + k * math.log(middle) - math.lgamma(k + 1)) for k in range(count + 1))
        low, high = (middle, high) if at_most > 1 - confidence else (low, middle)
    return high


def _during(event: Event, alarm: Alarm, look: float) -> bool:
    """Tell whether an alarm rose in an event's time; one that creeps in may be seen before it counts."""
    return event.changes_from - EARLY_LOOKS * look <= alarm.raised <= event.until + LATE_LOOKS * look


def _named(event: Event, word: str, aliases: Aliases) -> bool:
    """Tell whether a detector's word is a right name of the event."""
    return word in {event.state, *event.also} or event.state in aliases.get(word, frozenset())


def _excused(truth: Truth, alarm: Alarm, event: Event | None, aliases: Aliases) -> bool:
    """Tell whether an alarm is neither right nor wrong: below the floor, on the way to it, or tolerated."""
    look = truth.look_seconds
    if event is not None and not event.counts and _named(event, alarm.state, aliases):
        return True
    if event is not None and alarm.state == "frozen" and event.state in STILL:
        return True
    if event is not None and alarm.state in event.passing:
        return event.changes_from < event.begins and alarm.raised <= event.begins + LATE_LOOKS * look
    return any(
        item.state == alarm.state and item.start - look <= alarm.raised <= item.until + LATE_LOOKS * look
        for item in truth.tolerated
    )


def add(score: Score, truth: Truth, alarms: Sequence[Alarm], aliases: Aliases | None = None) -> None:
    """Add one clip to a score.

    Args:
        score: what is added to.
        truth: what happened.
        alarms: every rise of the detector. One that was on before an event and stays on is no rise in it.
        aliases: what the detector's own words stand for.
    """
    names = aliases or {}
    score.clean_days += truth.clean_days
    if truth.clean_days:
        score.clean_looks += int(truth.seconds / truth.look_seconds)
        score.clean_hours += truth.seconds / 3600
    counted = [event for event in truth.events if event.counts]
    for event in counted:
        for word in _words(event, names):
            score.state(word).events += 1
    found: dict[Event, Alarm] = {}
    wrong: dict[Event, str] = {}
    for alarm in sorted(alarms, key=lambda item: item.raised):
        here = next((event for event in truth.events if _during(event, alarm, truth.look_seconds)), None)
        if here is not None and here.counts and _named(here, alarm.state, names):
            score.repeats += here in found
            found.setdefault(here, alarm)
        elif not _excused(truth, alarm, here, names):
            score.state(alarm.state).false += 1
            score.notes.append(Note(truth.clip, alarm.raised, _title(here), alarm.state))
            if here is not None and here.counts:
                wrong.setdefault(here, alarm.state)
            elif truth.clean_days:
                score.clean_alarms[alarm.state] += 1
            else:
                score.between[alarm.state] += 1
    for event in counted:
        if event not in found:
            score.notes.append(Note(truth.clip, event.begins, _title(event), MISSED))
        else:
            _count_hit(score, truth, event, found[event], _words(event, names))
        score.confusion[event.state, event.state if event in found else wrong.get(event, MISSED)] += 1


def _words(event: Event, aliases: Aliases) -> list[str]:
    """Return under which words an event is counted: its state, and a detector's own word for several states."""
    return [event.state, *(word for word, states in aliases.items() if event.state in states)]


def _count_hit(score: Score, truth: Truth, event: Event, alarm: Alarm, words: Sequence[str]) -> None:
    """Count an event that was named under each of its words; and whether its alarm ended with it, where the detector says so and there is time to see it."""
    for word in words:
        tally = score.state(word)
        tally.hits += 1
        tally.delays.append(max(0.0, (alarm.raised - event.begins) / truth.look_seconds))
    latest = event.until + LINGERS_LOOKS * truth.look_seconds
    if alarm.until is not None and truth.seconds > latest:
        score.ended += alarm.until <= latest
        score.lingered += alarm.until > latest


def _title(event: Event | None) -> str:
    return MISSED if event is None else f"{event.state}/{event.variant}"
