"""Ninety days: what is held of each camera, day by day, from real recording intervals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from monitor.evaluation.basis import (
    Judgement,
    camera_subject,
    commissioned_on,
    days_text,
    due_spans,
    hours_known,
    new_since,
    unread,
)
from monitor.evaluation.causes import expiry_days, losses_that_count, retention_causes, retention_warnings, sentence
from monitor.evaluation.forecast import Forecast
from monitor.evaluation.outlook import outlooks
from monitor.evaluation.proof import with_proof
from monitor.model.calendar import day_edges, day_start, local_date
from monitor.model.inventory import Camera
from monitor.model.ledger import Facts, evidence_of
from monitor.model.observation import Evidence
from monitor.model.recordings import RecordingFacts
from monitor.model.regulation import Retention
from monitor.model.span import DAY, Int64Array, Millis, Spans, isoformat, isoformats
from monitor.model.verdict import Outcome, Verdict

BoolArray = npt.NDArray[np.bool_]

HORIZON_DAYS = 400
"""How far back a far edge is looked for: footage held longer counts as held this long."""

CLOSED_DAYS = 120
"""How many closed days directly before the far edge may belong to it: longer than any school's holidays."""


OVER_SLACK = 2
"""So many days more than declared are none too long: recorders delete once a day, and whole files."""


@dataclass(frozen=True)
class DayHeld:
    """One calendar day of one camera: milliseconds due and held, and what that makes it."""

    day: date
    due: Millis
    held: Millis
    state: Literal["held", "gap", "not_yet", "unknown", "closed"]


@dataclass(frozen=True)
class Days:
    """The days first..yesterday as arrays: `due` and `covered` in milliseconds, shape (n,)."""

    first: date
    edges: Int64Array
    due: Int64Array
    covered: Int64Array
    closed: BoolArray
    """Days with nothing due by the calendar, or nothing young enough; whatever a camera's age."""

    def date(self, index: int) -> date:
        """Return the calendar date of a day's index."""
        return self.first + timedelta(days=index)

    def ratio(self) -> npt.NDArray[np.float64]:
        """Return the covered share of each day's due time; 1 where nothing is due."""
        return np.where(self.due > 0, self.covered / np.maximum(self.due, 1), 1.0)


@dataclass(frozen=True)
class Held:
    """What is held of one camera, in days and holes, up to yesterday."""

    held_days: int
    contiguous_days: int
    far_edge: Millis | None
    edge_day: date
    begins: date
    """The first day that is mostly there, closed days directly before it included, whatever holes follow; else today."""
    missing_days: tuple[date, ...]
    gaps: tuple[tuple[Millis, Millis, date], ...]
    """(start, end, ages out on) of the holes beyond tolerance inside the window."""
    compliant_from: date


def measure(
    footage: Spans, due: Spans, closed: Spans, facts: Facts, requirement: Retention, since: Millis | None
) -> tuple[Held, Days]:
    """Compute the figures from unlocked footage, due time (closures and waivers taken away) and closed time.

    `due` covers at least the days looked at. `since` is the first footage of a new camera: only from then on is
    anything due of it; None for a camera that is not new.
    """
    zone = facts.inventory.institution.zone_info
    today, days = local_date(facts.as_of, zone), requirement.required_days
    covered = footage.close_gaps(requirement.gap_tolerance)
    aged = Spans.window(day_start(today - timedelta(days=days), zone), facts.as_of - days * DAY)
    owed = due.clip(-(2**53), facts.as_of - requirement.newest_lag).subtract(aged)
    owed = owed if since is None else owed.clip(since, 2**53)
    table = _days(covered, owed, closed.union(aged), today, facts, requirement)
    n = len(table.due)
    held = table.ratio() >= requirement.day_held_ratio
    own, together = _mass(table, requirement.mass_min_ratio)
    edge, begins = _earliest(own & together, table), _earliest(own, table)
    broken = np.flatnonzero(~held[edge:])  # the days since the far edge that are not held
    contiguous = n - edge - (int(broken[-1]) + 1 if len(broken) else 0)
    # A day is the first held one by its footage: a Sunday long before any is held too, but begins nothing.
    with_footage = np.flatnonzero(held & (table.due > 0))
    window = np.arange(max(n - days, with_footage[0] if len(with_footage) else 0), n)
    missing = tuple(table.date(index) for index in window[~held[window]].tolist())
    edge_day = table.date(edge) if edge < n else today
    gaps = _gaps(covered, owed, table, window, days)
    ages = [day + timedelta(days=days + 1) for day in missing[-1:]]
    figures = Held(
        held_days=n - edge,
        contiguous_days=contiguous,
        far_edge=int(table.edges[edge]) if edge < n else None,
        edge_day=edge_day,
        begins=table.date(begins) if begins < n else today,
        missing_days=missing,
        gaps=gaps,
        compliant_from=max([edge_day + timedelta(days=days), *ages]),
    )
    return figures, table


def _days(covered: Spans, owed: Spans, closed: Spans, today: date, facts: Facts, requirement: Retention) -> Days:
    """Count due and covered time of each day from the first footage (or the window's start) to yesterday."""
    zone = facts.inventory.institution.zone_info
    first = today - timedelta(days=requirement.required_days)
    if covered.start is not None:
        oldest = max(local_date(covered.start, zone), today - timedelta(days=HORIZON_DAYS))
        first = min(first, oldest - timedelta(days=CLOSED_DAYS))
    edges = day_edges(first, today - timedelta(days=1), zone)
    due = owed.held_between(edges)
    held = covered.intersect(owed).held_between(edges)
    return Days(first, edges, due, held, closed.held_between(edges) >= np.diff(edges))


def _mass(table: Days, minimum: float) -> tuple[BoolArray, BoolArray]:
    """Return which days have enough of their own due time covered, and of theirs and all later days' together."""
    due = np.cumsum(table.due[::-1])[::-1]
    covered = np.cumsum(table.covered[::-1])[::-1]
    return (table.due > 0) & (table.covered >= minimum * table.due), covered >= minimum * due


def _earliest(good: BoolArray, table: Days) -> int:
    """Return the index of the first good day, moved back over the closed days directly before it; none: their number."""
    found = np.flatnonzero(good)
    if not len(found):
        return len(table.due)
    edge = int(found[0])
    while edge > 0 and table.closed[edge - 1]:
        edge -= 1
    return edge


def _gaps(
    covered: Spans, owed: Spans, table: Days, window: Int64Array, days: int
) -> tuple[tuple[Millis, Millis, date], ...]:
    """Return the holes beyond tolerance in the window's due time, each with the date on which it ages out."""
    if not len(window):
        return ()
    start, end = int(table.edges[window[0]]), int(table.edges[-1])
    holes = covered.gaps(start, end).intersect(owed)
    last = (
        np.searchsorted(table.edges, holes.pairs[:, 1], side="left") - 1
    )  # the day that the hole's last instant is of
    ages = table.first + timedelta(days=days + 1)
    return tuple(
        (begin, finish, ages + timedelta(days=day))
        for (begin, finish), day in zip(holes.tuples(), last.tolist(), strict=True)
    )


def due_table(facts: Facts, requirement: Retention, camera: Camera, footage: Spans) -> tuple[Spans, Spans]:
    """Return (due, closed) for a camera over all the days that may be looked at."""
    zone = facts.inventory.institution.zone_info
    today = local_date(facts.as_of, zone)
    back = requirement.required_days + CLOSED_DAYS + 2
    if footage.start is not None:
        back = max(back, min((today - local_date(footage.start, zone)).days, HORIZON_DAYS) + CLOSED_DAYS + 2)
    start = day_start(today - timedelta(days=back), zone)
    due = due_spans(facts, requirement.due, camera, "retention", start, facts.as_of)
    return due, due.gaps(start, facts.as_of)


def day_ledger(facts: Facts, requirement: Retention, camera_id: str, days: int) -> tuple[DayHeld, ...]:
    """Return the last `days` days of a camera up to yesterday, oldest first: held, gap, not yet, closed, or unknown."""
    zone = facts.inventory.institution.zone_info
    today = local_date(facts.as_of, zone)
    dates = [today - timedelta(days=days - i) for i in range(days)]
    camera, reading = facts.inventory.camera(camera_id), facts.recordings.get(camera_id)
    if camera is None or reading is None or not hours_known(facts, requirement.due, camera):
        return tuple(DayHeld(day, 0, 0, "unknown") for day in dates)
    due, closed = due_table(facts, requirement, camera, reading.footage)
    _, table = measure(reading.footage, due, closed, facts, requirement, new_since(facts, requirement, camera, reading))
    known = reading.scanned.close_gaps(requirement.newest_lag).held_between(table.edges) >= np.diff(table.edges)
    held = table.ratio() >= requirement.day_held_ratio
    off = closed.held_between(table.edges) >= np.diff(table.edges)
    seen = np.cumsum(table.covered) > 0
    result = []
    for day in dates:
        index = (day - table.first).days
        if index < 0 or not (known[index] or held[index]):
            result.append(DayHeld(day, 0, 0, "unknown"))
            continue
        state: Literal["held", "gap", "not_yet", "closed"]
        if off[index]:
            state = "closed"
        elif held[index]:
            state = "held"
        else:
            state = "gap" if seen[index] else "not_yet"
        result.append(DayHeld(day, int(table.due[index]), int(table.covered[index]), state))
    return tuple(result)


def judge_retention(judgement: Judgement, requirement: Retention) -> list[Verdict]:
    """Judge every camera of the institution."""
    foretold = outlooks(judgement.facts, requirement.required_days)
    facts = judgement.facts
    verdicts = [_judge(facts, requirement, camera, foretold.get(camera.id)) for camera in facts.inventory.cameras]
    return [with_proof(verdict, facts, judgement.contradictions) for verdict in verdicts]


def _judge(facts: Facts, requirement: Retention, camera: Camera, foretold: Forecast | None) -> Verdict:
    reading = facts.recordings.get(camera.id)
    unknown = _why_unknown(facts, requirement, camera, reading)
    if reading is None or unknown is not None:
        return _unknown(facts, requirement, camera, reading, unknown or "")
    due, closed = due_table(facts, requirement, camera, reading.footage)
    since = new_since(facts, requirement, camera, reading)
    figures, _ = measure(reading.footage, due, closed, facts, requirement, since)
    verdict = _decide(facts, requirement, camera, figures, foretold, new=since is not None)
    verdict = _with_causes(facts, requirement, camera, verdict, foretold)
    unverified = _clock_unverified_before(facts, camera, reading)
    if unverified is not None:
        verdict = replace(verdict, measured={**verdict.measured, "clock_unverified_before": isoformat(unverified)})
    if verdict.outcome is Outcome.UNDETERMINED:
        return replace(verdict, looked=facts.as_of, evidence=_evidence(reading))
    return replace(verdict, looked=reading.read_at, evidence=_evidence(reading, _unread_clock(figures, unverified)))


def _decide(
    facts: Facts, requirement: Retention, camera: Camera, figures: Held, foretold: Forecast | None, *, new: bool
) -> Verdict:
    """Choose the state from the figures: short before gap; a new camera matures."""
    need, held = requirement.required_days, figures.held_days
    subject, ok = camera_subject(camera.id), held >= need and not figures.missing_days
    measured = _measured(requirement, figures, foretold, ok=ok)
    # History that was lost after first contact makes nobody new again: a reset every 80 days must not pass.
    whole = new and _history_whole(facts, camera, figures) and not losses_that_count(facts, requirement, camera)
    if held < need and whole and not figures.missing_days:
        if foretold is not None and foretold.reaches:
            reason = (
                f"New camera with its whole history of {days_text(held)} there; by the forecast "
                f"{days_text(need)} are held from {figures.compliant_from.isoformat()} on."
            )
            return Verdict(requirement, subject, Outcome.MET, "maturing", reason, facts.as_of, measured)
        reason = (
            f"New camera with its whole history of {days_text(held)} there, but no forecast says that "
            f"the recorder's capacity reaches {days_text(need)}."
        )
        return Verdict(requirement, subject, Outcome.UNDETERMINED, "maturing", reason, facts.as_of, measured)
    if held < need and not whole:
        reason = (
            f"{days_text(held)} held, {days_text(need)} required; "
            f"compliant on {figures.compliant_from.isoformat()} at the earliest."
        )
        return Verdict(requirement, subject, Outcome.BREACHED, "short", reason, facts.as_of, measured)
    if figures.missing_days:
        count = len(figures.missing_days)
        reason = (
            f"{days_text(count)} of the last {need} not held, the last on {figures.missing_days[-1].isoformat()}; "
            f"compliant on {figures.compliant_from.isoformat()} at the earliest."
        )
        began = _gap_began(facts, figures)
        return Verdict(requirement, subject, Outcome.BREACHED, "gap", reason, facts.as_of, measured, began=began)
    reason = f"{days_text(held)} held, {days_text(need)} required."
    if foretold is not None and foretold.breaks_on is not None:
        reason += f" By the forecast they will no longer be on {foretold.breaks_on.isoformat()}."
    return Verdict(requirement, subject, Outcome.MET, "ok", reason, facts.as_of, measured)


def _with_causes(
    facts: Facts, requirement: Retention, camera: Camera, verdict: Verdict, foretold: Forecast | None
) -> Verdict:
    """Add why: causes of what is wrong, what is set on the device and will bite, and that footage is kept too long."""
    set_to, held = expiry_days(facts, camera), verdict.measured["held_days"]
    days = held if isinstance(held, int) else 0
    causes = retention_causes(facts, requirement, camera, verdict.state, days, foretold)
    warnings = retention_warnings(facts, requirement, camera, causes)
    limit = requirement.kept_at_most_days
    if set_to is not None and set_to >= requirement.required_days:
        limit = min(limit, set_to)
    over = days > limit + OVER_SLACK
    reason = verdict.reason + sentence(causes, warnings)
    reason += f" Kept for longer than {days_text(limit)}, up to which it is declared." if over else ""
    more: dict[str, JsonValue] = {
        "causes": [item.to_json() for item in causes],
        "warnings": [item.to_json() for item in warnings],
        "over_retention": over,
    }
    more |= {"over_retention_days": limit} if over else {}
    return replace(verdict, reason=reason, measured={**verdict.measured, **more})


def _history_whole(facts: Facts, camera: Camera, figures: Held) -> bool:
    """Tell whether a new camera's history reaches back to the day it was commissioned: a hole since is a gap in it."""
    commissioned = commissioned_on(facts, camera)
    return commissioned is not None and figures.begins <= commissioned


def _gap_began(facts: Facts, figures: Held) -> Millis:
    """A gap began when the footage stops: the start of the first hole that touches a missing day."""
    zone = facts.inventory.institution.zone_info
    missing = Spans.of(
        [(day_start(day, zone), day_start(day + timedelta(days=1), zone)) for day in figures.missing_days]
    )
    touching = [start for start, end, _ in figures.gaps if missing.clip(start, end)]
    return min(touching, default=missing.start if missing.start is not None else facts.as_of)


def _measured(requirement: Retention, figures: Held, foretold: Forecast | None, *, ok: bool) -> dict[str, JsonValue]:
    texts = isoformats(np.array([edge for start, end, _ in figures.gaps for edge in (start, end)], dtype=np.int64))
    gaps: list[JsonValue] = [
        {"start_at": start, "end_at": end, "ages_out_on": day.isoformat()}
        for start, end, (_, _, day) in zip(texts[::2], texts[1::2], figures.gaps, strict=True)
    ]
    return {
        "required_days": requirement.required_days,
        "held_days": figures.held_days,
        "contiguous_days": figures.contiguous_days,
        "far_edge_at": None if figures.far_edge is None else isoformat(figures.far_edge),
        "missing_days": [day.isoformat() for day in figures.missing_days],
        "gaps": gaps,
        "compliant_from": None if ok else figures.compliant_from.isoformat(),
        **_foretold(foretold, holds=figures.held_days >= requirement.required_days),
    }


def _foretold(foretold: Forecast | None, *, holds: bool) -> dict[str, JsonValue]:
    """Return when it will break, and why: nothing for what is broken already, and nothing where nothing is foretold."""
    if foretold is None or foretold.breaks_on is None or not holds:
        return {"breaks_on": None}
    return {
        "breaks_on": foretold.breaks_on.isoformat(),
        "breaks_because": foretold.cause,
        "breaks_between": [
            day.isoformat() if day is not None else None for day in (foretold.earliest, foretold.latest)
        ],
        **({"breaks_estimated": True} if foretold.estimated else {}),
    }


def _clock_unverified_before(facts: Facts, camera: Camera, reading: RecordingFacts) -> Millis | None:
    """Return when the recorder's clock was first read, where footage is older: what it dated before, it dated unwatched."""
    offsets, begins = facts.offsets.get(camera.recorder or "", ()), reading.footage.start
    return offsets[0].seen if offsets and begins is not None and begins < offsets[0].seen else None


def _unread_clock(figures: Held, unverified: Millis | None) -> str:
    """Return what has to be said of holes from before the recorder's clock was first read: a step leaves one of its size."""
    if unverified is None or all(start >= unverified for start, _, _ in figures.gaps):
        return ""
    at = isoformat(unverified)
    return f"; the recorder's clock was first read at {at}: a hole before that may be a step of the clock"


def _evidence(reading: RecordingFacts | None, further: str = "") -> tuple[Evidence, ...]:
    if reading is None:
        return ()
    count = len(reading.footage)
    text = f"{count} span{'' if count == 1 else 's'} of unlocked footage"
    if reading.footage.start is not None:
        text += f" since {isoformat(reading.footage.start)}"
    if reading.locked:
        text += f"; locked clips of {reading.locked.total() // 1000} s are left out"
    if reading.clock_unverified:
        seconds = reading.clock_unverified.total() // 1000
        text += f"; footage of {seconds} s, dated before 2000 by a clock that was lost, is left out"
    return (evidence_of(reading.observation, text + further),)


def _why_unknown(facts: Facts, requirement: Retention, camera: Camera, reading: RecordingFacts | None) -> str | None:
    """Return why nothing can be said, or None."""
    refusal = facts.recordings_unknown.get(camera.id)
    if camera.recorder is None:
        return "the camera has no recorder: write recorder and channel in site.yaml"
    if not hours_known(facts, requirement.due, camera):
        return "opening hours are not declared: write hours in site.yaml"
    if reading is None:
        return (refusal.detail or refusal.cause) if refusal is not None else "the recorder's index was not read yet"
    if reading.expires < facts.as_of:
        why = (refusal.detail or refusal.cause) if refusal is not None else "the agent has not reported since"
        return f"the index was last read at {isoformat(reading.read_at)}, and {why}"
    zone = facts.inventory.institution.zone_info
    start = max(
        day_start(local_date(facts.as_of, zone) - timedelta(days=requirement.required_days), zone),
        facts.as_of - requirement.required_days * DAY,
    )
    end = day_start(local_date(facts.as_of, zone), zone) - requirement.newest_lag
    if reading.scanned.close_gaps(requirement.newest_lag).gaps(start + requirement.newest_lag, end):
        return unread(facts, camera) or "the first scan of the recorder's index is not complete"
    return None


def _unknown(facts: Facts, requirement: Retention, camera: Camera, reading: RecordingFacts | None, why: str) -> Verdict:
    measured: dict[str, JsonValue] = {
        "required_days": requirement.required_days,
        "held_days": None,
        "contiguous_days": None,
        "far_edge_at": None,
        "missing_days": [],
        "gaps": [],
        "compliant_from": None,
        "breaks_on": None,
        "causes": [],
        "warnings": [],
        "over_retention": None,
    }
    reason = f"How long footage is kept is not known: {why.rstrip('.')}."
    refusal = facts.recordings_unknown.get(camera.id)
    cause = refusal.cause if refusal is not None else None
    evidence = _evidence(reading) if refusal is None else (evidence_of(refusal), *_evidence(reading))
    return Verdict(
        requirement, camera_subject(camera.id), Outcome.UNDETERMINED, "unknown", reason, facts.as_of, measured,
        evidence, cause=cause,
    )  # fmt: skip
