"""The agent's silence, and everything that stays unknown for too long: unknown is no hiding place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from pydantic import JsonValue

from monitor.evaluation.basis import Judgement, camera_subject, duration_text, owed_spans, recorder_subject
from monitor.model.observation import StreamCause, Subject
from monitor.model.regulation import AgentSilence, Measurability, Requirement
from monitor.model.span import Millis, isoformat
from monitor.model.verdict import Cause, Outcome, Verdict

APPROVALS = frozenset({"camera_present_only", "no_baseline"})
"""States that wait for a person's approval: owed by people, never held against the machine."""

CREDENTIALS = frozenset({StreamCause.UNAUTHORIZED, StreamCause.CREDENTIALS_HELD})


def judge_silence(judgement: Judgement, requirement: AgentSilence) -> list[Verdict]:
    """Judge each agent by when the centre last received a report of it. On site nobody can be silent."""
    verdicts = []
    for agent_id, last in sorted((judgement.last_reports or {}).items()):
        subject = Subject(kind="agent", id=agent_id)
        measured: dict[str, JsonValue] = {
            "last_report_at": isoformat(last),
            "silent_after_seconds": requirement.silent_after // 1000,
        }
        listening = judgement.listening_since
        if _owed(judgement, requirement, subject, last) > requirement.silent_after:
            if listening is not None and judgement.as_of - listening <= requirement.silent_after:
                continue  # the centre was away itself: whether the agent is silent is not to be told yet
            reason = f"No report since {isoformat(last)}."
            verdict = Verdict(
                requirement, subject, Outcome.BREACHED, "silent", reason, judgement.as_of, measured, began=last
            )
        elif judgement.as_of - last > requirement.silent_after:
            continue  # on closed days the box may be off: neither silent nor reporting
        else:
            reason = f"Last report at {isoformat(last)}."
            verdict = Verdict(requirement, subject, Outcome.MET, "reporting", reason, last, measured)
        verdicts.append(verdict)
    return verdicts


def silent_agent(judgement: Judgement) -> Cause | None:
    """Return the cause of all that is unknown when every agent of the institution is silent."""
    found = [verdict for (kind, _), verdict in judgement.verdicts.items() if kind == "agent_silence"]
    if found and all(verdict.outcome is Outcome.BREACHED for verdict in found):
        return Cause("agent_silence", found[0].subject)
    return None


def explain_by_silence(judgement: Judgement) -> None:
    """Say of every undetermined verdict that the agent's silence is why, where it is."""
    cause = silent_agent(judgement)
    if cause is None:
        return
    for key, verdict in judgement.verdicts.items():
        if verdict.outcome is Outcome.UNDETERMINED and verdict.state not in APPROVALS:
            judgement.verdicts[key] = replace(verdict, because_of=cause)


def judge_measurability(judgement: Judgement, requirement: Measurability) -> list[Verdict]:
    """Judge every recorder, then every camera: what stays undetermined longer than the pack allows is a case.

    A camera that is unknown because its recorder is takes no case of its own.
    """
    inventory, owing = judgement.facts.inventory, _owing(judgement, requirement)
    recorders = {
        item.id: _judge(judgement, requirement, subject := recorder_subject(item.id), owing.get(subject, ()))
        for item in inventory.recorders
    }
    verdicts = list(recorders.values())
    for camera in inventory.cameras:
        subject = camera_subject(camera.id)
        verdict = _judge(judgement, requirement, subject, owing.get(subject, ()))
        recorder = recorders.get(camera.recorder or "")
        # The recorder may have become unknown a moment later than its camera: its case is the one to come.
        unknown = recorder is not None and bool(recorder.measured["undetermined"])
        if recorder is not None and unknown and verdict.outcome is Outcome.BREACHED:
            verdict = replace(verdict, because_of=Cause("measurability", recorder.subject))
        verdicts.append(verdict)
    return verdicts


Owing = tuple[Millis, Verdict]
"""Since when a verdict has been undetermined, and it."""


def _owing(judgement: Judgement, requirement: Measurability) -> dict[Subject, list[Owing]]:
    """Return what is held against each subject: gone through once, for thousands of cameras have tens of thousands of verdicts."""
    found: dict[Subject, list[Owing]] = defaultdict(list)
    for key, verdict in judgement.verdicts.items():
        if _counts(judgement, requirement, verdict):
            found[key[1]].append((judgement.undetermined_since.get(key, judgement.as_of), verdict))
    return found


def _judge(judgement: Judgement, requirement: Measurability, subject: Subject, owing: Sequence[Owing]) -> Verdict:
    allowed_millis = requirement.max_undetermined
    late = [(at, verdict) for at, verdict in owing if _owed(judgement, requirement, subject, at) > allowed_millis]
    allowed = duration_text(requirement.max_undetermined)
    measured: dict[str, JsonValue] = {
        "undetermined": [verdict.requirement.kind for _, verdict in owing],
        "max_undetermined_seconds": requirement.max_undetermined // 1000,
        "cause": None,
    }
    if not late:
        reason = f"Nothing has stayed undetermined for more than {allowed}."
        return Verdict(requirement, subject, Outcome.MET, "ok", reason, judgement.as_of, measured)
    first, cause = min(since for since, _ in late), _cause([verdict for _, verdict in late])
    measured["cause"] = cause
    named = ", ".join(verdict.requirement.kind for _, verdict in late)
    reason = f"{named} undetermined since {isoformat(first)}, longer than {allowed}: {cause.replace('_', ' ')}."
    evidence = next((verdict.evidence for _, verdict in late if verdict.evidence), ())
    return Verdict(
        requirement, subject, Outcome.BREACHED, "unmeasured", reason, judgement.as_of, measured, evidence,
        began=first, cause=cause,
    )  # fmt: skip


def _owed(judgement: Judgement, requirement: Requirement, subject: Subject, since: Millis) -> Millis:
    """Return how long since then something was owed of the subject: closed days and waived time are nobody's silence."""
    facts = judgement.facts
    if not facts.waivers and not facts.inventory.closures:
        return judgement.as_of - since
    return owed_spans(facts, requirement.kind, subject, since, judgement.as_of).total()


def _counts(judgement: Judgement, requirement: Measurability, verdict: Verdict) -> bool:
    """Tell whether an undetermined verdict is held against the subject: not approvals, not what has a case already."""
    if verdict.outcome is not Outcome.UNDETERMINED or verdict.state in APPROVALS or verdict.state == "maturing":
        return False
    if verdict.cause == StreamCause.NO_STREAM and "view" not in requirement.must_offer:
        return False
    if verdict.state == "not_offered" or verdict.cause == "not_offered":
        return verdict.requirement.kind in requirement.must_offer
    if verdict.because_of is None:
        return True
    behind = judgement.of(verdict.because_of.requirement, verdict.because_of.subject)
    return behind is None or behind.outcome is not Outcome.BREACHED


def _cause(late: list[Verdict]) -> str:
    """Name the cause: credentials, permission, recorder full, unreachable, not offered, or what was seen."""
    causes = [verdict.cause for verdict in late]
    named = (
        ("credentials", CREDENTIALS),
        ("permission", {StreamCause.NOT_PERMITTED}),
        ("recorder_full", {StreamCause.RECORDER_FULL}),
        ("unreachable", {StreamCause.RECORDER_UNREACHABLE}),
        ("not_offered", {"not_offered"}),
    )
    for name, matching in named:
        if any(cause in matching for cause in causes):
            return name
    return next((cause for cause in causes if cause), "not_seen")
