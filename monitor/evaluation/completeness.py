"""Recording completeness: yesterday's recorded minutes against its due minutes, no hole forgiven."""

from __future__ import annotations

from datetime import timedelta

from pydantic import JsonValue

from monitor.evaluation.basis import Judgement, camera_subject, due_spans, hours_known
from monitor.model.calendar import day_start, local_date
from monitor.model.inventory import Camera
from monitor.model.ledger import evidence_of
from monitor.model.regulation import RecordingCompleteness
from monitor.model.verdict import Cause, Outcome, Verdict


def judge_completeness(judgement: Judgement, requirement: RecordingCompleteness) -> list[Verdict]:
    """Judge every camera; where retention already says the same, it is the cause."""
    return [_judge(judgement, requirement, camera) for camera in judgement.facts.inventory.cameras]


def _judge(judgement: Judgement, requirement: RecordingCompleteness, camera: Camera) -> Verdict:
    facts, subject = judgement.facts, camera_subject(camera.id)
    zone = facts.inventory.institution.zone_info
    today = local_date(facts.as_of, zone)
    yesterday = today - timedelta(days=1)
    start, end = day_start(yesterday, zone), day_start(today, zone)
    reading, retention = facts.recordings.get(camera.id), judgement.of("retention", subject)
    refusal = facts.recordings_unknown.get(camera.id)

    def undetermined(why: str) -> Verdict:
        because = Cause("retention", subject) if retention and retention.outcome is Outcome.UNDETERMINED else None
        measured: dict[str, JsonValue] = {"day": yesterday.isoformat(), "recorded_ratio": None}
        reason = f"How much of {yesterday.isoformat()} was recorded is not known: {why.rstrip('.')}."
        evidence = () if refusal is None else (evidence_of(refusal),)
        return Verdict(
            requirement, subject, Outcome.UNDETERMINED, "unknown", reason, facts.as_of, measured, evidence,
            because_of=because, cause=refusal.cause if refusal else None,
        )  # fmt: skip

    if reading is None or reading.expires < facts.as_of:
        return undetermined((refusal.detail or refusal.cause or "no answer") if refusal else "the index was not read")
    if not hours_known(facts, requirement.due, camera):
        return undetermined("opening hours are not declared: write hours in site.yaml")
    due = due_spans(facts, requirement.due, camera, "recording_completeness", start, end)
    if retention is not None and retention.state in {"maturing", "short"} and reading.footage.start is not None:
        due = due.clip(reading.footage.start, end)
    lag = 180_000
    if reading.scanned.gaps(start, end - lag):
        return undetermined("the index was read only in part")
    recorded = reading.footage.union(reading.locked).intersect(due).total()
    ratio = recorded / due.total() if due else 1.0
    measured: dict[str, JsonValue] = {
        "day": yesterday.isoformat(),
        "due_seconds": due.total() // 1000,
        "recorded_seconds": recorded // 1000,
        "recorded_ratio": round(ratio, 6),
        "minimum_ratio": requirement.minimum_ratio,
    }
    evidence = (evidence_of(reading.observation),)
    share = f"{ratio:.2%} of the due minutes of {yesterday.isoformat()} recorded"
    if ratio >= requirement.minimum_ratio:
        return Verdict(requirement, subject, Outcome.MET, "complete", f"{share}.", reading.read_at, measured, evidence)
    same = retention is not None and yesterday.isoformat() in _missing(retention)
    same = same or (retention is not None and retention.state == "short" and not retention.measured["held_days"])
    return Verdict(
        requirement, subject, Outcome.BREACHED, "incomplete", f"{share}; {requirement.minimum_ratio:.2%} are required.",
        reading.read_at, measured, evidence, because_of=Cause("retention", subject) if same else None, began=start,
    )  # fmt: skip


def _missing(retention: Verdict) -> list[JsonValue]:
    days = retention.measured.get("missing_days")
    return days if isinstance(days, list) else []
