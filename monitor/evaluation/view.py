"""The picture: does each camera show something usable, as the agent's confirmed looks tell."""

from __future__ import annotations

from pydantic import JsonValue

from monitor.evaluation.basis import Judgement, camera_subject
from monitor.model.inventory import Camera
from monitor.model.ledger import StateSpan, Timeline, evidence_of
from monitor.model.observation import StreamCause
from monitor.model.regulation import View
from monitor.model.span import Millis, isoformat
from monitor.model.verdict import Cause, Episode, Outcome, Verdict

CONDITIONS = (
    "signal_lost", "black", "corrupt", "frozen", "looped", "covered", "moved", "blurred", "dark", "bright", "noisy",
    "striped", "colour_cast",
)  # fmt: skip
"""What can be wrong with a picture; where several hold at once, the first in this order is named."""


def judge_view(judgement: Judgement, requirement: View) -> list[Verdict]:
    """Judge every camera that has a stream: the index alone shows no picture."""
    return [_judge(judgement, requirement, item) for item in judgement.facts.inventory.cameras]


def _judge(judgement: Judgement, requirement: View, camera: Camera) -> Verdict:
    facts, subject = judgement.facts, camera_subject(camera.id)
    timeline = facts.views.get(camera.id, Timeline())
    now, last = timeline.at(facts.as_of), timeline.last
    evidence = () if last is None else (evidence_of(last),)
    measured: dict[str, JsonValue] = dict(last.facts) if last is not None else {}
    episodes = _episodes(timeline)
    uptime = judgement.of("uptime", subject)
    if now is None or now.state not in (*CONDITIONS, "ok"):
        because = (
            uptime.because_of or Cause("uptime", subject) if uptime and uptime.outcome is not Outcome.MET else None
        )
        cause = uptime.cause if uptime else None
        why = "no picture has been looked at" if last is None else f"no picture since {isoformat(last.end)}"
        if not camera.has_stream:
            why, cause = "the camera is known by its recorder's index alone", StreamCause.NO_STREAM
        reason = f"What the camera shows is not known: {why}."
        return Verdict(
            requirement, subject, Outcome.UNDETERMINED, "unknown", reason, facts.as_of, measured, evidence,
            because_of=because, episodes=episodes, cause=cause,
        )  # fmt: skip
    looked = min(facts.as_of, last.end) if last is not None else facts.as_of
    if now.state == "ok":
        reason = "The picture is usable."
        return Verdict(requirement, subject, Outcome.MET, "ok", reason, looked, measured, evidence, episodes=episodes)
    began = _began(timeline, now)
    reason = f"The picture is {now.state.replace('_', ' ')} since {isoformat(began)}."
    return Verdict(
        requirement, subject, Outcome.BREACHED, now.state, reason, looked, measured, evidence,
        began=began, episodes=episodes, cause=now.state,
    )  # fmt: skip


def _runs(timeline: Timeline) -> list[tuple[str, Millis, Millis | None]]:
    """Return (state, start, end) of stretches of one state; not looking in between doesn't end one."""
    runs: list[tuple[str, Millis, Millis | None]] = []
    for span in timeline.spans:
        if span.state == "unknown":
            continue
        if runs and runs[-1][0] == span.state:
            continue
        if runs:
            runs[-1] = (runs[-1][0], runs[-1][1], span.start)
        runs.append((span.state, span.start, None))
    return runs


def _episodes(timeline: Timeline) -> tuple[Episode, ...]:
    """Every faulty stretch is a case: the agent confirmed it before it said so."""
    return tuple(Episode(state, a, b, state) for state, a, b in _runs(timeline) if state != "ok")


def _began(timeline: Timeline, now: StateSpan) -> Millis:
    return next((start for state, start, _ in reversed(_runs(timeline)) if state == now.state), now.start)
