"""The picture: does each camera show something usable, and what it is meant to show, as the agent's looks tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from pydantic import JsonValue

from monitor.evaluation.basis import Judgement, camera_subject
from monitor.model.calendar import lit_time
from monitor.model.inventory import Camera
from monitor.model.ledger import Facts, StateSpan, Timeline, evidence_of
from monitor.model.observation import StreamCause
from monitor.model.regulation import View
from monitor.model.span import Millis, Spans, isoformat
from monitor.model.verdict import Cause, Episode, Outcome, Verdict
from monitor.model.view import PREFIX, Approval

CONDITIONS = (
    "signal_lost", "black", "corrupt", "frozen", "looped", "covered", "moved", "blurred", "dark", "bright", "noisy",
    "striped", "colour_cast",
)  # fmt: skip
"""What can be wrong with a picture; where several hold at once, the first in this order is named."""

AGAINST_APPROVED = frozenset({"covered", "moved", "blurred"})
"""Faults that are seen by comparison with the approved view: approving another view makes them go away unmended."""

UNLIT = "unlit"
"""A dark picture at a time when no light is owed: no fault, and no evidence that an earlier fault is over."""


@dataclass(frozen=True)
class Run:
    """A stretch of one state; `end` is None while nothing shows that it is over."""

    state: str
    start: Millis
    end: Millis | None = None


def judge_view(judgement: Judgement, requirement: View) -> list[Verdict]:
    """Judge every camera that has a stream: the index alone shows no picture."""
    facts = judgement.facts
    lit = lit_since(facts, facts.views.values())
    return [_judge(judgement, requirement, item, lit) for item in facts.inventory.cameras]


def _judge(judgement: Judgement, requirement: View, camera: Camera, lit: Spans) -> Verdict:
    facts, subject = judgement.facts, camera_subject(camera.id)
    timeline = facts.views.get(camera.id, Timeline())
    present, last = timeline.at(facts.as_of), timeline.last
    runs = view_runs(judged_spans(timeline, lit, facts.as_of), facts.approvals.get(camera.id, ()))
    evidence = () if last is None else (evidence_of(last),)
    measured: dict[str, JsonValue] = dict(last.facts) if last is not None else {}
    episodes = tuple(Episode(run.state, run.start, run.end, run.state) for run in runs if run.state != "ok")
    looked = min(facts.as_of, last.end) if last is not None else facts.as_of
    if present is None or present.state not in (*CONDITIONS, "ok"):
        because, cause, why = _why_unknown(judgement, camera, timeline)
        reason = f"What the camera shows is not known: {why}."
        return Verdict(
            requirement, subject, Outcome.UNDETERMINED, "unknown", reason, facts.as_of, measured, evidence,
            because_of=because, episodes=episodes, cause=cause,
        )  # fmt: skip
    fault = _present_fault(present, runs)
    if fault is not None:
        reason = f"The picture is {fault.state.replace('_', ' ')} since {isoformat(fault.start)}."
        return Verdict(
            requirement, subject, Outcome.BREACHED, fault.state, reason, looked, measured, evidence,
            began=fault.start, episodes=episodes, cause=fault.state,
        )  # fmt: skip
    outcome, state, reason = Outcome.MET, "ok", "The picture is usable."
    if present.state == "dark":
        measured["usable_night_picture"] = False
        reason = "The room is dark outside its lit hours: no usable night picture."
    if requirement.approved_view_required and not facts.approvals.get(camera.id):
        outcome, state, reason = Outcome.UNDETERMINED, "no_baseline", "No view of this camera has been approved yet."
    return Verdict(requirement, subject, outcome, state, reason, looked, measured, evidence, episodes=episodes)


def _why_unknown(judgement: Judgement, camera: Camera, timeline: Timeline) -> tuple[Cause | None, str | None, str]:
    """Return the verdict behind it, its cause, and why nothing is known, in words."""
    subject = camera_subject(camera.id)
    uptime = judgement.of("uptime", subject)
    out = uptime is not None and uptime.outcome is not Outcome.MET
    because = (uptime.because_of or Cause("uptime", subject)) if uptime is not None and out else None
    if not camera.has_stream:
        return because, StreamCause.NO_STREAM, "the camera is known by its recorder's index alone"
    last = timeline.last
    why = "no picture has been looked at" if last is None else f"no picture since {isoformat(last.end)}"
    return because, uptime.cause if uptime else None, why


def _present_fault(present: StateSpan, runs: Sequence[Run]) -> Run | None:
    """Return the fault that is seen now, or that a room without light hides: nobody has seen it mended."""
    newest = runs[-1] if runs else None
    if newest is None or newest.state == "ok" or newest.end is not None:
        return None
    return None if present.state == "ok" else newest  # a look is what it is; whether a fault is over, episodes tell


def lit_since(facts: Facts, timelines: Iterable[Timeline]) -> Spans:
    """Return when light was owed, from the first dark look of all these cameras on: once for a whole site."""
    dark = [span.start for item in timelines for span in item.spans if span.state == "dark"]
    return lit_time(facts.inventory, min(dark), facts.as_of + 1) if dark else Spans.empty()


def judged_spans(timeline: Timeline, lit: Spans, as_of: Millis) -> list[StateSpan]:
    """Return the looks as they count, in order of time; `lit` is when light was owed since the first dark look.

    Darkness is a fault while a room has to be lit. At other times it is `unlit`, and so is the time in which nobody
    looked then: what was dark before closing is no fault of the night.
    """
    spans = timeline.spans
    dark = [span for span in spans if span.state == "dark"]
    if not dark:
        return list(spans)
    start, end = dark[0].start, as_of + 1
    others = [span for span in spans if span.state != "dark"]
    shown = Spans.of([(span.start, span.end) for span in others if span.state in (*CONDITIONS, "ok")])
    unlit = lit.gaps(start, end).subtract(shown)
    return sorted((*others, *_in(dark, lit), *(StateSpan(a, b, UNLIT) for a, b in unlit.tuples())), key=_start)


def _in(spans: Iterable[StateSpan], time: Spans) -> Iterator[StateSpan]:
    for span in spans:
        yield from (replace(span, start=a, end=b) for a, b in time.clip(span.start, span.end).tuples())


def _start(span: StateSpan) -> Millis:
    return span.start


def view_runs(spans: Sequence[StateSpan], approvals: Sequence[Approval]) -> list[Run]:
    """Return stretches of one state, from judged spans in order of time; not looking in between doesn't end one.

    A fault seen against an approved view ends only when the camera agrees with a view that was approved before the
    fault began, or when an officer said that the new view settles it.
    """
    runs: list[Run] = []
    for index, span in enumerate(spans):
        if span.state not in (*CONDITIONS, "ok", UNLIT):
            continue
        current = runs[-1] if runs and runs[-1].end is None else None
        if span.state == UNLIT:
            if current is not None and current.state == "dark":
                runs[-1] = Run("dark", current.start, span.start)
            continue
        if current is not None:
            if current.state == span.state:
                continue
            end = _end(current, span, islice(spans, index), approvals)
            if end is None:
                continue
            runs[-1] = Run(current.state, current.start, end)
        runs.append(Run(span.state, span.start))
    return runs


def _end(run: Run, span: StateSpan, before: Iterable[StateSpan], approvals: Sequence[Approval]) -> Millis | None:
    """Return when `span`, which shows something else, ends the run; None when it is no evidence that it is over."""
    if run.state not in AGAINST_APPROVED or span.state != "ok":
        return span.start
    view = span.cause if span.cause is not None and span.cause.startswith(PREFIX) else None
    if view is None:  # nothing says which view it agrees with: then no view may have been approved meanwhile
        return None if any(run.start < item.at <= span.start for item in approvals) else span.start
    seen = any(item.state == "ok" and item.cause == view and item.start < run.start for item in before)
    if seen or any(item.view == view and item.at <= run.start for item in approvals):
        return span.start
    settled = [item.settled_at for item in approvals if item.view == view and item.settled_at is not None]
    return max(span.start, min(settled)) if settled else None
