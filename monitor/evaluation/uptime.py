"""Round the clock: is each camera up, and each recorder reachable; since when not, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from pydantic import JsonValue

from monitor.evaluation.basis import Judgement, camera_subject, due_spans, hours_known, owed_spans, recorder_subject
from monitor.evaluation.outage import (
    INDEX_LAG,
    Outage,
    effective_timeline,
    outages,
    recorder_timeline,
    time_in,
    too_long,
    whole_outage,
)
from monitor.model.inventory import WITHOUT_ADDRESS, Camera
from monitor.model.ledger import Facts, StateSpan, Timeline, evidence_of
from monitor.model.observation import Evidence, StreamCause, Subject
from monitor.model.regulation import Uptime
from monitor.model.span import Basis, Millis, Spans, isoformat
from monitor.model.verdict import Cause, Episode, Outcome, Verdict

__all__ = ["effective_timeline", "judge_uptime"]


@dataclass(frozen=True)
class _Case:
    """One subject's time line beside what was due of it."""

    facts: Facts
    requirement: Uptime
    subject: Subject
    timeline: Timeline
    """As watched: the present is read from it."""
    spans: tuple[StateSpan, ...]
    """With what the index tells of the rest; from the window's start, or that of an outage in progress then."""
    due: Spans
    evidence: tuple[Evidence, ...]

    @property
    def now(self) -> StateSpan | None:
        """The present state, if it is known or has a cause."""
        return self.timeline.at(self.facts.as_of) or (_index_now(self.spans) if self.by_index_alone else None)

    @property
    def by_index_alone(self) -> bool:
        """Tell whether nobody watches the subject: where somebody does, and says nothing now, the present is unknown."""
        camera = self.facts.inventory.camera(self.subject.id) if self.subject.kind == "camera" else None
        return self.timeline.last is None or (camera is not None and not camera.has_stream)

    def verdict(self, outcome: Outcome, state: str, reason: str, began: Millis | None = None) -> Verdict:
        """Return the verdict: a look is as old as its evidence, and as new as the evaluation where there is none."""
        last, as_of = self.timeline.last, self.facts.as_of
        looked = as_of if outcome is Outcome.UNDETERMINED or last is None else min(as_of, last.end)
        cause = self.now.cause if self.now else None
        return Verdict(
            self.requirement, self.subject, outcome, state, reason, looked, self.measured(), self.evidence,
            began=began, cause=cause,
        )  # fmt: skip

    @property
    def is_free(self) -> bool:
        """Tell whether nothing is owed at present, and no outage is on that had been too long before."""
        as_of = self.facts.as_of
        return not self.due.clip(as_of - 1, as_of) and all(outage.end is not None for outage in self.exceeding)

    def not_owed(self, now: StateSpan, what: str) -> Verdict:
        """Return what is to be said of a subject that is down while nothing is owed of it: neither met nor breached."""
        began = isoformat(self.began(now))
        reason = f"{what} since {began}: {_down_text(now.cause)}. Nothing is owed now: a closed day, a waiver, or out of hours."
        found = self.verdict(Outcome.UNDETERMINED, "unknown", reason)
        return replace(found, measured={**found.measured, "not_owed_since": began})

    def began(self, now: StateSpan) -> Millis:
        """Return when the present state began: unknown time in between doesn't end an outage, being up does."""
        began = now.start
        for span in sorted((s for s in self.spans if s.start <= now.start), key=lambda s: s.start, reverse=True):
            if span.state not in (now.state, "unknown"):
                break
            if span.state == now.state:
                began = span.start
        return began

    def measured(self) -> dict[str, JsonValue]:
        """Return the window's figures."""
        up, down = (time_in(self.spans, state).intersect(self.due).total() for state in ("up", "down"))
        listed: list[JsonValue] = [
            {"start_at": isoformat(o.start), "end_at": None if o.end is None else isoformat(o.end), "cause": o.cause}
            for o in outages(self.spans)
        ]
        return {
            "window_seconds": self.requirement.window // 1000,
            "up_seconds": up // 1000,
            "down_seconds": down // 1000,
            "up_ratio": round(up / (up + down), 6) if up + down else None,
            "minimum_ratio": self.requirement.minimum_ratio,
            "outages": listed[-20:],
        }

    @cached_property
    def exceeding(self) -> tuple[Outage, ...]:
        """The outages that are longer than the pack allows."""
        down = time_in(self.spans, "down").intersect(self.due)  # once: a camera that flaps has thousands of outages
        return tuple(o for o in outages(self.spans) if too_long(o, down, self.requirement, self.facts))


def judge_uptime(judgement: Judgement, requirement: Uptime) -> list[Verdict]:
    """Judge every recorder that is a device, then every camera, which may be explained by its recorder."""
    facts = judgement.facts
    asked = [item.id for item in facts.inventory.recorders if item.driver not in WITHOUT_ADDRESS]
    recorders = {name: _recorder(facts, requirement, name) for name in asked}
    return [*recorders.values(), *(_camera(facts, requirement, item, recorders) for item in facts.inventory.cameras)]


def _recorder(facts: Facts, requirement: Uptime, recorder_id: str) -> Verdict:
    start, end = facts.as_of - requirement.window, facts.as_of
    timeline = facts.reach.get(recorder_id, Timeline())
    evidence = () if timeline.last is None else (evidence_of(timeline.last),)
    spans = recorder_timeline(facts, recorder_id, whole_outage(facts, timeline, start), end)
    subject = recorder_subject(recorder_id)
    case = _Case(
        facts, requirement, subject, timeline, spans, owed_spans(facts, "uptime", subject, start, end), evidence
    )
    now = case.now
    if now is not None and now.state == "down" and case.is_free:
        verdict = case.not_owed(now, "The recorder has not answered")
    elif now is not None and now.state == "down":
        began = case.began(now)
        reason = f"The recorder has not answered since {isoformat(began)} although the site's line is whole."
        verdict = case.verdict(Outcome.BREACHED, "unreachable", reason, began)
    elif now is not None and now.state == "up":
        verdict = case.verdict(Outcome.MET, "up", "The recorder answers.")
    else:
        reason = f"Whether the recorder runs is not known: {_why_unknown(timeline, now)}."
        verdict = case.verdict(Outcome.UNDETERMINED, _unknown_state(now), reason)
    return replace(verdict, episodes=tuple(_episode(outage, "unreachable") for outage in case.exceeding))


def _camera(facts: Facts, requirement: Uptime, camera: Camera, recorders: dict[str, Verdict]) -> Verdict:
    start, end = facts.as_of - requirement.window, facts.as_of
    timeline = facts.streams.get(camera.id, Timeline())
    reading = facts.recordings.get(camera.id)
    index = () if reading is None else (evidence_of(reading.observation, "the recorder's index"),)
    evidence = (*(() if timeline.last is None else (evidence_of(timeline.last),)), *index)
    due = due_spans(facts, requirement.due, camera, "uptime", start, end)
    spans = effective_timeline(facts, camera.id, whole_outage(facts, timeline, start, camera.id), end)
    case = _Case(facts, requirement, camera_subject(camera.id), timeline, spans, due, evidence)
    recorder = recorders.get(camera.recorder or "")
    verdict = _present(case, camera)
    episodes = _ratio_episode(case, verdict) or tuple(
        _episode(outage, "down", _explained(outage, recorder, facts.as_of)) for outage in case.exceeding
    )
    return replace(verdict, episodes=episodes, because_of=_because_of(case, verdict, recorder))


def _present(case: _Case, camera: Camera) -> Verdict:
    requirement, now = case.requirement, case.now
    if not hours_known(case.facts, requirement.due, camera):
        reason = "Opening hours are not declared, so what is due is not known: write hours in site.yaml."
        return case.verdict(Outcome.UNDETERMINED, "unknown", reason)
    if now is None or now.state not in {"up", "down"}:
        reason = f"Whether the camera runs is not known: {_why_unknown(case.timeline, now)}."
        return case.verdict(Outcome.UNDETERMINED, _unknown_state(now), reason)
    if now.state == "down" and case.is_free:
        return case.not_owed(now, _missing(now.cause))
    if now.state == "down":
        began = case.began(now)
        state = "site_power" if now.cause == StreamCause.SITE_POWER else "down"
        reason = f"{_missing(now.cause)} since {isoformat(began)}: {_down_text(now.cause)}."
        return case.verdict(Outcome.BREACHED, state, reason, began)
    return _by_ratio(case)


def _by_ratio(case: _Case) -> Verdict:
    """Judge a camera that is up now by its share of the window.

    It is breached only when it would be so even if all that is unknown were up: a few minutes of watching prove no
    monthly ratio.
    """
    requirement = case.requirement
    down, owed = time_in(case.spans, "down").intersect(case.due).total(), case.due.total()
    if owed and down / owed > 1 - requirement.minimum_ratio:
        first = next(span.start for span in case.spans if span.state == "down" and case.due.clip(span.start, span.end))
        share, need = f"{1 - down / owed:.2%}", f"{requirement.minimum_ratio:.2%}"
        reason = f"Up for at most {share} of the window's due time; {need} are required."
        return case.verdict(Outcome.BREACHED, "down", reason, first)
    known = _known_ratio(case)
    if known is not None and known < requirement.minimum_known_ratio:
        need = f"{requirement.minimum_known_ratio:.1%}"
        reason = f"Up now, but only {known:.1%} of the window is known; {need} are needed for a verdict."
        return case.verdict(Outcome.UNDETERMINED, "unknown", reason)
    by_index = case.now is not None and case.now.basis is Basis.INDEX
    seen = "The recorder's index has footage up to now." if by_index else "Frames with moving timestamps arrive."
    return case.verdict(Outcome.MET, "up", seen)


def _known_ratio(case: _Case) -> float | None:
    """Return the known share of due time since something was first known of the camera."""
    first = next((span.start for span in case.spans if span.state != "unknown"), None)
    owed = case.due.clip(case.facts.as_of if first is None else first, case.facts.as_of)
    return time_in(case.spans, "up", "down").intersect(owed).total() / owed.total() if owed else None


def _ratio_episode(case: _Case, verdict: Verdict) -> tuple[Episode, ...]:
    """A camera that is up and yet breached falls short over the whole window: one case, not one an outage."""
    now = case.now
    by_ratio = verdict.outcome is Outcome.BREACHED and now is not None and now.state == "up"
    return (Episode("down", verdict.began or case.facts.as_of, None),) if by_ratio else ()


def _episode(outage: Outage, state: str, because_of: Cause | None = None) -> Episode:
    named = "site_power" if outage.cause == StreamCause.SITE_POWER else state
    return Episode(named, outage.start, outage.end, outage.cause, because_of)


def _explained(outage: Outage, recorder: Verdict | None, as_of: Millis) -> Cause | None:
    """Return the recorder's case when it was out for most of the camera's outage."""
    if recorder is None:
        return None
    stop = as_of if outage.end is None else outage.end
    shared = sum(
        max(0, min(stop, as_of if item.ended is None else item.ended) - max(outage.start, item.began))
        for item in recorder.episodes or ()
    )
    return Cause("uptime", recorder.subject) if 2 * shared >= max(1, stop - outage.start) else None


def _because_of(case: _Case, verdict: Verdict, recorder: Verdict | None) -> Cause | None:
    """A camera that is unknown because its recorder is gone, full or closed to us says so."""
    if recorder is None or recorder.outcome is Outcome.MET or verdict.outcome is Outcome.MET:
        return None
    mine = case.now.cause if case.now else None
    out = recorder.outcome is Outcome.BREACHED or "not_owed_since" in recorder.measured
    gone = out and verdict.outcome is Outcome.UNDETERMINED and "not_owed_since" not in verdict.measured
    same = verdict.outcome is Outcome.UNDETERMINED and mine in {recorder.cause, StreamCause.CREDENTIALS_HELD, None}
    return Cause("uptime", recorder.subject) if gone or same else None


def _index_now(spans: tuple[StateSpan, ...]) -> StateSpan | None:
    """Return the present state of a camera that only its index tells of: the newest known span, if it is fresh."""
    known = next((span for span in reversed(spans) if span.state != "unknown"), None)
    return known if known is not None and known.end > spans[-1].end - 2 * INDEX_LAG else None


def _unknown_state(now: StateSpan | None) -> str:
    return "recorder_full" if now is not None and now.cause == StreamCause.RECORDER_FULL else "unknown"


def _cause_text(cause: str | None) -> str:
    return (cause or "no cause seen").replace("_", " ")


def _missing(cause: str | None) -> str:
    """Return what is not there: a recorder that lost its camera may go on sending frames, those of its placeholder."""
    return "No picture of the camera" if cause == StreamCause.CHANNEL_OFFLINE else "No frames"


def _down_text(cause: str | None) -> str:
    if cause == StreamCause.CHANNEL_OFFLINE:
        return "the recorder lists the channel off line, and frames that still come are its placeholder"
    return _cause_text(cause)


def _why_unknown(timeline: Timeline, now: StateSpan | None) -> str:
    if now is not None and now.cause is not None:
        return _cause_text(now.cause)
    if timeline.last is None:
        return "nothing has been seen of it yet"
    return f"nothing has been heard since {isoformat(timeline.last.end)}"
