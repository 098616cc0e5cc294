"""Recording completeness: yesterday's recorded minutes against its due minutes, no hole forgiven."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from pydantic import JsonValue

from monitor.evaluation.basis import Judgement, camera_subject, due_spans, hours_known, unread
from monitor.evaluation.causes import recording_mode
from monitor.model.calendar import day_start, local_date
from monitor.model.inventory import Camera
from monitor.model.ledger import evidence_of
from monitor.model.regulation import RecordingCompleteness
from monitor.model.span import MINUTE, Millis, Spans
from monitor.model.verdict import Cause, Outcome, Verdict

CLIPS = 10
"""So few clips a day, or fewer, tell nothing of how it is recorded."""

CLIP: Millis = 5 * MINUTE
"""Half of what is recorded on motion is shorter than this; what is recorded all the time is as long as its outages leave it."""

PAUSE: Millis = MINUTE
"""Clips with shorter pauses between them are one."""


def on_motion_only(recorded: Spans, due: Spans) -> bool:
    """Tell whether a day's footage has the pattern of motion: many short clips over most of the day, and pauses between.

    A recorder that starts again and again leaves no pauses; one that was off leaves few, long pieces.
    """
    clips = recorded.close_gaps(PAUSE).intersect(due)
    if len(clips) <= CLIPS or not due:
        return False
    lengths = clips.pairs[:, 1] - clips.pairs[:, 0]
    spread = int(clips.pairs[-1, 1] - clips.pairs[0, 0])
    return bool(np.median(lengths) <= CLIP) and spread * 2 >= due.total()


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
        return undetermined(unread(facts, camera) or "the index was read only in part")
    footage = reading.footage.intersect(due).union(reading.locked.intersect(due))
    recorded = footage.total()
    ratio = recorded / due.total() if due else 1.0
    measured: dict[str, JsonValue] = {
        "day": yesterday.isoformat(),
        "due_seconds": due.total() // 1000,
        "recorded_seconds": recorded // 1000,
        "recorded_ratio": round(ratio, 6),
        "minimum_ratio": requirement.minimum_ratio,
        "recording_mode": (mode := recording_mode(facts, camera)),
    }
    evidence = (evidence_of(reading.observation),)
    share = f"{ratio:.2%} of the due minutes of {yesterday.isoformat()} recorded"
    if ratio >= requirement.minimum_ratio:
        return Verdict(requirement, subject, Outcome.MET, "complete", f"{share}.", reading.read_at, measured, evidence)
    motion = mode == "motion" or (mode != "continuous" and on_motion_only(footage, due))
    state = "motion_only" if motion else "incomplete"
    why = ", on motion only" if motion else ""
    same = retention is not None and yesterday.isoformat() in _missing(retention)
    same = same or (retention is not None and retention.state == "short" and not retention.measured["held_days"])
    return Verdict(
        requirement, subject, Outcome.BREACHED, state, f"{share}{why}; {requirement.minimum_ratio:.2%} are required.",
        reading.read_at, measured, evidence, because_of=Cause("retention", subject) if same else None, began=start,
    )  # fmt: skip


def _missing(retention: Verdict) -> list[JsonValue]:
    days = retention.measured.get("missing_days")
    return days if isinstance(days, list) else []
