"""Supervision cases, folded from looks: one breach of one requirement on one subject, from start to end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from monitor.model.span import Millis
from monitor.model.verdict import Cause, Episode, Outcome, Verdict


class Stage(StrEnum):
    """Where a case stands. A machine reading is a lead until an officer confirms it."""

    LEAD = "lead"


@dataclass(frozen=True)
class Look:
    """What one verdict showed, without its figures."""

    at: Millis
    outcome: Outcome
    state: str
    began: Millis | None = None
    because_of: Cause | None = None

    @classmethod
    def of(cls, verdict: Verdict) -> Look:
        """Reduce a verdict to its look."""
        return cls(verdict.looked, verdict.outcome, verdict.state, verdict.began, verdict.because_of)


@dataclass(frozen=True)
class Run:
    """Looks in a row that agree: the same outcome, state and cause. [first, last] are instants of looks."""

    first: Millis
    last: Millis
    outcome: Outcome
    state: str
    began: Millis | None = None
    because_of: Cause | None = None

    def agrees(self, other: Run) -> bool:
        """Tell whether the two runs say the same."""
        mine = (self.outcome, self.state, self.because_of)
        return mine == (other.outcome, other.state, other.because_of)


def extend(runs: Sequence[Run], look: Look) -> tuple[Run, ...]:
    """Return the runs with one more look, in order of time. A copy of a look changes nothing.

    A look that lies inside a run which says otherwise is dropped: the run was folded from looks on both sides of
    it, and an evaluation of the same instant with the same evidence can't differ. But an undetermined look is as new as
    the evaluation, and evidence may come in later than it was gathered: what ends the unknown is put at its end.
    """
    at = _after_the_unknown(runs, look)
    new = Run(at, at, look.outcome, look.state, look.began, look.because_of)
    if any(run.first <= at <= run.last for run in runs):
        return tuple(runs)
    merged: list[Run] = []
    for run in sorted([*runs, new], key=lambda item: item.first):
        if merged and merged[-1].agrees(run):
            before = merged[-1]
            merged[-1] = replace(before, last=max(before.last, run.last), began=_earlier(before.began, run.began))
        else:
            merged.append(run)
    return tuple(merged)


def _after_the_unknown(runs: Sequence[Run], look: Look) -> Millis:
    """Return a look's instant: just after the newest run, where that was the unknown which this new evidence ends."""
    if not runs or runs[-1].outcome is not Outcome.UNDETERMINED or look.outcome is Outcome.UNDETERMINED:
        return look.at
    is_copy = any(run.first <= look.at <= run.last for run in runs if run.outcome is not Outcome.UNDETERMINED)
    return look.at if is_copy else max(look.at, runs[-1].last + 1)


def _earlier(one: Millis | None, other: Millis | None) -> Millis | None:
    known = [value for value in (one, other) if value is not None]
    return min(known) if known else None


def _counts(run: Run) -> bool:
    """A consequence is not a case of its own, and what is undetermined is no evidence either way."""
    return run.outcome is not Outcome.UNDETERMINED and run.because_of is None


def episodes_of_runs(runs: Iterable[Run], confirm_after: Millis) -> tuple[Episode, ...]:
    """Fold runs of looks into confirmed episodes.

    An episode opens when two looks at least `confirm_after` apart show the same breached state, with no met look
    between them; it closes when two looks that far apart show otherwise. Undetermined looks, and looks explained by
    another verdict, neither open nor close anything: unknown never passes, and a false alarm is worse than a late one.
    """
    stretches: list[Run] = []
    for run in (item for item in runs if _counts(item)):
        if stretches and stretches[-1].agrees(run):
            before = stretches[-1]
            stretches[-1] = replace(before, last=run.last, began=_earlier(before.began, run.began))
        else:
            stretches.append(run)
    episodes: list[Episode] = []
    current: Episode | None = None
    for run in stretches:
        if run.last - run.first < confirm_after:
            continue
        if current is not None and (run.outcome is Outcome.MET or run.state != current.state):
            episodes.append(replace(current, ended=max(run.first, current.began)))
            current = None
        if run.outcome is Outcome.BREACHED and current is None:
            current = Episode(run.state, run.first if run.began is None else run.began, None)
    if current is not None:
        episodes.append(current)
    return tuple(episodes)


@dataclass(frozen=True)
class Known:
    """A finding as the store knows it, as far as matching needs: its identity and its time."""

    id: str
    state: str
    began: Millis
    ended: Millis | None


@dataclass(frozen=True)
class Change:
    """What is to be done with one finding: a new one (known is None), or one whose state or times moved."""

    known: Known | None
    episode: Episode


def reconcile(known: Sequence[Known], episodes: Sequence[Episode]) -> tuple[Change, ...]:
    """Match episodes with the findings of the same requirement and subject; return only what is new or differs.

    An episode is a known finding (the earliest, of several) when both have the same state and their times overlap or
    touch. The order of what is given changes nothing. A finding without
    an episode is left as it is: evidence closes findings, its absence doesn't. One whose time later evidence showed to be
    part of an episode that is another finding's has none of its own any more: it ends where it began.
    """
    changes: list[Change] = []
    free = sorted(known, key=lambda item: (item.began, item.id))
    for episode in sorted(episodes, key=lambda item: item.began):
        match = next((item for item in free if item.state == episode.state and overlap(item, episode)), None)
        if match is None:
            changes.append(Change(None, episode))
            continue
        free.remove(match)
        if (match.began, match.ended) != (episode.began, episode.ended):
            changes.append(Change(match, episode))
    joined = [
        item for item in free if any(item.state == episode.state and shares(item, episode) for episode in episodes)
    ]
    changes += [Change(item, Episode(item.state, item.began, item.began)) for item in joined]
    return tuple(changes)


def overlap(known: Known, episode: Episode) -> bool:
    """Tell whether both have time in common, or touch."""
    ends_before = known.ended is not None and known.ended < episode.began
    starts_after = episode.ended is not None and episode.ended < known.began
    return not (ends_before or starts_after)


def shares(known: Known, episode: Episode) -> bool:
    """Tell whether both have time in common, more than a touch."""
    apart = known.ended is not None and known.ended <= max(known.began, episode.began)
    return overlap(known, episode) and not apart and (episode.ended is None or known.began < episode.ended)


def undetermined_since(runs: Sequence[Run]) -> Millis | None:
    """Return since when the newest looks have all been undetermined by themselves, or None if the newest is not.

    Looks explained by the agent's silence don't count: nobody could look then.
    """
    since: Millis | None = None
    for run in reversed(runs):
        silent = run.because_of is not None and run.because_of.requirement == "agent_silence"
        if run.outcome is not Outcome.UNDETERMINED or silent:
            break
        since = run.first
    return since


def finding_id(institution: str, requirement: str, subject: str, state: str, began: Millis, opened: Millis) -> str:
    """Return a finding's id: a digest of what it was when it opened. Whoever changes that has another finding."""
    what = (institution, requirement, subject, state, str(began), str(opened))
    return hashlib.sha256("\n".join(what).encode()).hexdigest()[:32]
