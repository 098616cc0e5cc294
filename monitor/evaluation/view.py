"""The picture: does each camera show something usable, and what it is meant to show, as the agent's looks tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from monitor.evaluation.basis import Judgement, camera_subject
from monitor.model.calendar import lit_time
from monitor.model.inventory import Camera
from monitor.model.ledger import Facts, StateSpan, Timeline, evidence_of
from monitor.model.observation import StreamCause, Subject
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

_SAID = {
    "signal_lost": "“No video” has been shown",
    "black": "The picture has been black",
    "corrupt": "The picture has been corrupt",
    "frozen": "The picture has been frozen",
    "looped": "A recording has been played as live",
    "covered": "The lens has been covered",
    "moved": "The camera has been turned away",
    "blurred": "The picture has been out of focus",
    "dark": "The picture has been too dark",
    "bright": "The picture has been too bright",
    "noisy": "The picture has been full of noise",
    "striped": "The picture has had stripes",
    "colour_cast": "The picture has had a colour cast",
}
"""What is wrong with a picture, up to the word since; the pages say it likewise, in two languages."""

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
    looked = min(facts.as_of, last.end) if last is not None else facts.as_of
    episodes = tuple(
        Episode(run.state, run.start, run.end, run.state, _gone(judgement, subject, run, looked))
        for run in runs
        if run.state != "ok"
    )
    if present is None or present.state not in (*CONDITIONS, "ok"):
        because, cause, why = _why_unknown(judgement, camera, timeline)
        reason = f"What the camera shows is not known: {why}."
        return Verdict(
            requirement, subject, Outcome.UNDETERMINED, "unknown", reason, facts.as_of, measured, evidence,
            because_of=because, episodes=episodes, cause=cause,
        )  # fmt: skip
    fault = _present_fault(present, runs)
    if fault is not None:
        reason = f"{_SAID[fault.state]} since {isoformat(fault.start)}."
        return Verdict(
            requirement, subject, Outcome.BREACHED, fault.state, reason, looked, measured, evidence,
            because_of=_gone(judgement, subject, fault, looked), began=fault.start, episodes=episodes, cause=fault.state,
        )  # fmt: skip
    outcome, state, reason = Outcome.MET, "ok", "The picture is usable."
    if present.state == "dark":
        measured["usable_night_picture"] = False
        reason = "The room is dark outside its lit hours: no usable night picture."
    if requirement.approved_view_required and not facts.approvals.get(camera.id):
        outcome, state, reason = Outcome.UNDETERMINED, "no_baseline", "No view of this camera has been approved yet."
    return Verdict(requirement, subject, outcome, state, reason, looked, measured, evidence, episodes=episodes)


def _gone(judgement: Judgement, subject: Subject, run: Run, looked: Millis) -> Cause | None:
    """Return the outage behind a placeholder: for most of the run the recorder said that the camera was off line."""
    uptime = judgement.of("uptime", subject)
    if run.state != "signal_lost" or uptime is None:
        return None
    stop = max(run.start + 1, looked if run.end is None else run.end)
    line = judgement.facts.streams.get(subject.id, Timeline()).spans
    out = [span for span in line if span.state == "down" and span.cause == StreamCause.CHANNEL_OFFLINE]
    shared = Spans.of([(span.start, span.end) for span in out]).clip(run.start, stop).total()
    return uptime.because_of or Cause("uptime", subject) if 2 * shared >= stop - run.start else None


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
    if present.state == "ok":  # a look is what it is; whether a fault is over, episodes tell
        return None
    faults = [run for run in runs if run.end is None and run.state != "ok"]
    seen = [run for run in faults if run.state == present.state]
    known = seen or faults
    return known[-1] if known else None


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
        yield from (span._replace(start=a, end=b) for a, b in time.clip(span.start, span.end).tuples())


def _start(span: StateSpan) -> Millis:
    return span.start


def view_runs(spans: Sequence[StateSpan], approvals: Sequence[Approval]) -> list[Run]:
    """Return stretches of one state, from judged spans in order of time; not looking in between doesn't end one.

    A fault seen against an approved view ends only when the camera agrees with a view that was approved before the
    fault began, or when an officer said that the new view settles it. Where a view was approved meanwhile, another
    fault doesn't end it either: it goes on behind that one, so runs of different states may overlap.
    """
    laid = _Laid(approvals)
    for span in spans:
        if span.state == UNLIT:
            laid.unlit(span)
        elif span.state in (*CONDITIONS, "ok"):
            laid.look(span)
    return laid.done()


class _Laid:
    """Runs as they are laid, look after look."""

    def __init__(self, approvals: Sequence[Approval]) -> None:
        self._approvals = approvals
        self._runs: list[Run] = []
        self._shown: int | None = None
        """Which run the last look belongs to."""
        self._hidden: list[int] = []
        """Runs seen against an approved view that another fault hides: no good look has told whether they are over."""
        self._agreed: dict[str, Millis] = {}
        """When the camera agreed with each view first."""

    def unlit(self, span: StateSpan) -> None:
        if self._shown is not None and self._runs[self._shown].state == "dark":
            self._end_at(self._shown, span.start)
            self._shown = None

    def look(self, span: StateSpan) -> None:
        if span.state == "ok" and span.cause is not None:
            self._agreed.setdefault(span.cause, span.start)
        goes_on = self._uncover(span)
        if self._shown is not None and not self._is_over(self._shown, span):
            return
        if goes_on is None:
            self._runs.append(Run(span.state, span.start))
            goes_on = len(self._runs) - 1
        self._shown = goes_on

    def done(self) -> list[Run]:
        for index in self._hidden:
            if self._approved_since(self._runs[index]):
                self._end_at(index, None)
        return self._runs

    def _uncover(self, span: StateSpan) -> int | None:
        """Take note of what the look tells of hidden runs, and return which of them it shows again."""
        hidden, again = self._hidden, None
        self._hidden = []
        for index in hidden:
            run, end = self._runs[index], None
            approved = self._approved_since(run, span.start)
            if span.state == "ok":
                end = self._good_look_ends(run, span)
            elif not approved and span.state in AGAINST_APPROVED:
                continue  # the case is that fault's from now on
            if approved:
                self._end_at(index, end)
            if approved and span.state == run.state:
                again = index
            elif end is None:
                self._hidden.append(index)
        return again

    def _is_over(self, index: int, span: StateSpan) -> bool:
        """Tell whether the look, as far as it tells, shows another run than this one, which is then ended or hidden."""
        run = self._runs[index]
        if run.state == span.state:
            return False
        if run.state in AGAINST_APPROVED and span.state == "ok":
            end = self._good_look_ends(run, span)
            if end is None:
                return False
        elif run.state in AGAINST_APPROVED and self._approved_since(run, span.start):
            end = None
            self._hidden.append(index)
        else:
            end = span.start
            if run.state in AGAINST_APPROVED and span.state not in AGAINST_APPROVED:
                self._hidden.append(index)
        self._end_at(index, end)
        return True

    def _good_look_ends(self, run: Run, span: StateSpan) -> Millis | None:
        """Return when a good look ends a run seen against an approved view; None when it is no evidence of that."""
        view = span.cause if span.cause is not None and span.cause.startswith(PREFIX) else None
        if view is None:  # nothing says which view it agrees with: then no view may have been approved meanwhile
            return None if self._approved_since(run, span.start) else span.start
        if self._agreed.get(view, run.start) < run.start:
            return span.start
        of_view = [item for item in self._approvals if item.view == view]
        if any(item.at <= run.start for item in of_view):
            return span.start
        settled = [item.settled_at for item in of_view if item.settled_at is not None]
        return max(span.start, min(settled)) if settled else None

    def _approved_since(self, run: Run, until: Millis | None = None) -> bool:
        return any(run.start < item.at and (until is None or item.at <= until) for item in self._approvals)

    def _end_at(self, index: int, end: Millis | None) -> None:
        self._runs[index] = replace(self._runs[index], end=end)
