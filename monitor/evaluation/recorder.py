"""What a recorder says of itself: its clock, its disks, and channels that nobody declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from monitor.evaluation.basis import Judgement, duration_text, instant_of, recorder_subject
from monitor.evaluation.declared import seen_before_commissioned
from monitor.model.clock_offsets import offset_seconds
from monitor.model.inventory import Recorder
from monitor.model.ledger import Instant, evidence_of
from monitor.model.observation import Kind
from monitor.model.regulation import RecorderClock, Requirement, StorageHealth, UndeclaredChannel
from monitor.model.span import SECOND
from monitor.model.verdict import Cause, Outcome, Verdict

DISK_STATES = ("failed", "missing", "read_only", "degraded")
"""Faults of a disk, the worst first. A full disk is none: a healthy recorder overwrites for ever."""


def judge_clock(judgement: Judgement, requirement: RecorderClock) -> list[Verdict]:
    """Judge each recorder's clock by its newest offset."""
    return [_clock(judgement, requirement, item) for item in judgement.facts.inventory.recorders]


def judge_storage(judgement: Judgement, requirement: StorageHealth) -> list[Verdict]:
    """Judge each recorder's disks."""
    return [_storage(judgement, requirement, item) for item in judgement.facts.inventory.recorders]


def judge_channels(judgement: Judgement, requirement: UndeclaredChannel) -> list[Verdict]:
    """Judge whether each recorder has channels that the site doesn't declare."""
    return [_channels(judgement, requirement, item) for item in judgement.facts.inventory.recorders]


def _newest(judgement: Judgement, kind: Kind, recorder: Recorder) -> Instant | None:
    return judgement.facts.instant(kind, recorder_subject(recorder.id))


def _unknown(
    judgement: Judgement, requirement: Requirement, recorder: Recorder, newest: Instant | None, measured: dict[str, Any]
) -> Verdict:
    subject = recorder_subject(recorder.id)
    observation = newest.observation if newest else None
    cause = observation.cause if observation else None
    if observation is None:
        why = "the recorder was not asked yet"
    elif observation.state == "unknown":
        why = observation.detail or (cause or "no answer").replace("_", " ")
    else:
        why = "its last answer has expired"
    uptime = judgement.of("uptime", subject)
    gone = uptime is not None and uptime.outcome is Outcome.BREACHED
    reason = f"Not known ({requirement.title.en.rstrip('.')}): {why.rstrip('.')}."
    evidence = () if observation is None else (evidence_of(observation),)
    return Verdict(
        requirement, subject, Outcome.UNDETERMINED, "unknown", reason, judgement.as_of, measured, evidence,
        because_of=Cause("uptime", subject) if gone else None, cause=cause,
    )  # fmt: skip


def _clock(judgement: Judgement, requirement: RecorderClock, recorder: Recorder) -> Verdict:
    newest = _newest(judgement, Kind.CLOCK, recorder)
    offset = offset_seconds(newest.observation) if newest and newest.readable else None
    tolerance = requirement.tolerance / SECOND
    if newest is None or offset is None:
        measured: dict[str, JsonValue] = {"offset_seconds": None, "tolerance_seconds": tolerance}
        measured |= _time_server(judgement, recorder)
        return _unknown(judgement, requirement, recorder, newest, measured)
    measured = {"offset_seconds": round(offset, 1), "tolerance_seconds": tolerance, **_time_server(judgement, recorder)}
    subject, evidence = recorder_subject(recorder.id), (evidence_of(newest.observation),)
    seen = newest.observation.start
    if judgement.clocks_disputed:
        reason = (
            "Not known: the collector's clock and its agents' disagree, so that no clock can be called right or wrong."
        )
        return Verdict(
            requirement, subject, Outcome.UNDETERMINED, "unknown", reason, judgement.as_of, measured, evidence
        )
    if abs(offset) > tolerance:
        way = "ahead" if offset > 0 else "behind"
        reason = f"The recorder's clock is {duration_text(round(abs(offset) * SECOND))} {way}."
        return Verdict(requirement, subject, Outcome.BREACHED, "off", reason, seen, measured, evidence)
    reason = f"The recorder's clock is within {tolerance:g} s."
    return Verdict(requirement, subject, Outcome.MET, "ok", reason, seen, measured, evidence)


def _list_of(newest: Instant | None, key: str) -> list[Mapping[str, Any]] | None:
    """Return a list of objects from the facts, or None when the answer is not one."""
    value = newest.observation.facts.get(key) if newest and newest.readable else None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return None
    return [item for item in value if isinstance(item, dict)]


def _storage(judgement: Judgement, requirement: StorageHealth, recorder: Recorder) -> Verdict:
    newest = _newest(judgement, Kind.DISKS, recorder)
    disks = _list_of(newest, "disks")
    if newest is None or disks is None:
        return _unknown(judgement, requirement, recorder, newest, {"capacity_bytes": None, "disks": []})
    subject, evidence, seen = (
        recorder_subject(recorder.id),
        (evidence_of(newest.observation),),
        newest.observation.start,
    )
    arrays = any(disk.get("kind") == "array" for disk in disks)
    present = [disk for disk in disks if disk.get("state") != "missing"]
    sizes = [disk.get("capacity_bytes") for disk in present if not (arrays and _is_member(disk))]
    known = [size for size in sizes if type(size) is int and size >= 0]
    gone = _gone(judgement, recorder, newest.observation.facts)
    listed: list[JsonValue] = [{"id": str(disk.get("id")), "state": str(disk.get("state"))} for disk in disks]
    listed += [{"id": str(disk.get("id")), "state": "missing"} for disk in gone]
    measured: dict[str, JsonValue] = {
        "capacity_bytes": sum(known) if len(known) == len(sizes) and sizes else None,
        "disks": listed,
        **_tells(judgement, recorder),
    }
    if not disks:
        reason = "The recorder lists no disk at all."
        return Verdict(requirement, subject, Outcome.BREACHED, "missing", reason, seen, measured, evidence)
    for state in DISK_STATES:
        bad = [str(disk.get("id")) for disk in disks if disk.get("state") == state]
        bad += [str(disk.get("id")) for disk in gone] if state == "missing" else []
        if bad:
            reason = f"Disk {', '.join(bad)}: {state.replace('_', ' ')}."
            return Verdict(requirement, subject, Outcome.BREACHED, state, reason, seen, measured, evidence)
    if any(disk.get("state") != "ok" for disk in disks):
        reason = "A disk is in a state that the driver does not know."
        return Verdict(
            requirement, subject, Outcome.UNDETERMINED, "unknown", reason, judgement.as_of, measured, evidence
        )
    reason = f"{len(disks)} disk{'' if len(disks) == 1 else 's'}, no fault."
    return Verdict(requirement, subject, Outcome.MET, "ok", reason, seen, measured, evidence)


def _is_member(disk: Mapping[str, Any]) -> bool:
    """Tell whether a disk is listed by its state alone: its capacity is that of its array."""
    return disk.get("kind") == "disk" and disk.get("capacity_bytes") is None


def _gone(judgement: Judgement, recorder: Recorder, facts: Mapping[str, JsonValue]) -> list[Mapping[str, Any]]:
    """Return the disks that were listed before and aren't any more, unless a person has attested the storage since."""
    subject = recorder_subject(recorder.id)
    word = [item for item in judgement.facts.attestations.get(("storage", subject), ()) if item.state == "ok"]
    attested = max((item.start for item in word), default=0)
    value = facts.get("gone")
    gone = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    return [item for item in gone if (at := instant_of(item.get("last_seen_at"))) is not None and at > attested]


def _tells(judgement: Judgement, recorder: Recorder) -> dict[str, JsonValue]:
    """Return whether the recorder would tell anyone of a fault: for information, null where it isn't known."""
    newest = _newest(judgement, Kind.FAULT_NOTICES, recorder)
    facts = newest.observation.facts if newest is not None and newest.readable else {}
    armed, mail = facts.get("armed"), facts.get("mail")
    return {
        "faults_told": [item for item in armed if isinstance(item, str)] if isinstance(armed, list) else None,
        "tells_by_mail": mail if isinstance(mail, bool) else None,
    }


def _time_server(judgement: Judgement, recorder: Recorder) -> dict[str, JsonValue]:
    """Return whether a time server sets the clock; null where it isn't known."""
    newest = _newest(judgement, Kind.TIME_SYNC, recorder)
    facts = newest.observation.facts if newest is not None and newest.readable else {}
    enabled, server = facts.get("enabled"), facts.get("has_server")
    if enabled is False or server is False:
        return {"time_server": False}
    return {"time_server": True if enabled is True and (server is True or server is None) else None}


def _channels(judgement: Judgement, requirement: UndeclaredChannel, recorder: Recorder) -> Verdict:
    newest = _newest(judgement, Kind.CHANNELS, recorder)
    channels = _list_of(newest, "channels")
    early = seen_before_commissioned(judgement.facts, recorder)
    declared = {c.channel or c.id for c in judgement.facts.inventory.cameras if c.recorder == recorder.id}
    stray = [item for item in channels or () if str(item.get("id")) not in declared]
    listed: list[JsonValue] = [{"id": str(c.get("id")), "name": str(c.get("name") or "")} for c in stray]
    measured: dict[str, JsonValue] = {
        "channels": listed,
        "declared": len(declared),
        "found": None if channels is None else len(channels),
        "commissioned_later": early,
    }
    if not early and (newest is None or channels is None):
        return _unknown(judgement, requirement, recorder, newest, {"channels": []})
    subject = recorder_subject(recorder.id)
    evidence = () if newest is None else (evidence_of(newest.observation),)
    seen = judgement.as_of if newest is None else newest.observation.start
    if early and not stray:
        # Known from the cameras alone: a recorder whose channels can't be listed is no way around it.
        reason = f"{_early_text(early)}: another camera is declared than the one that was there."
        return Verdict(requirement, subject, Outcome.BREACHED, "found", reason, seen, measured, evidence)
    if stray:
        named = ", ".join(f"{c.get('id')} ({c.get('name')})" if c.get("name") else str(c.get("id")) for c in stray)
        reason = f"The recorder has channels that the site does not declare: {named}."
        return Verdict(requirement, subject, Outcome.BREACHED, "found", reason, seen, measured, evidence)
    reason = "Every channel of the recorder is declared."
    return Verdict(requirement, subject, Outcome.MET, "none", reason, seen, measured, evidence)


def _early_text(early: list[JsonValue]) -> str:
    items = [item for item in early if isinstance(item, dict)]
    named = ", ".join(
        f"camera {item['id']} worked on {str(item['worked_at'])[:10]} and is declared as commissioned on {item['commissioned']}"
        for item in items
    )
    return named[:1].upper() + named[1:]
