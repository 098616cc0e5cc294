"""The alarm system: a person's dated test until it expires, and what devices say of their alarm inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from monitor.evaluation.basis import Judgement, instant_of, institution, recorder_subject
from monitor.model.ledger import evidence_of
from monitor.model.observation import Evidence, Kind, Observation
from monitor.model.regulation import AlarmSystem
from monitor.model.span import Millis, isoformat
from monitor.model.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Inputs:
    """What the recorders' alarm inputs say: which are armed, and which were once and aren't any more."""

    armed: tuple[str, ...] = ()
    disarmed: tuple[tuple[str, Millis], ...] = ()
    listed: int = 0
    evidence: tuple[Evidence, ...] = ()
    read_at: Millis | None = None
    refused: tuple[Observation, ...] = ()
    """Answers that might have told and could not be had: a right is missing, nobody answered."""


def judge_alarm(judgement: Judgement, requirement: AlarmSystem) -> list[Verdict]:
    """Judge the institution: a fault wins over everything, an expired test over what devices say, devices over silence.

    An armed input is what a device can show; that the siren sounds, only a person's test can.
    """
    facts, subject = judgement.facts, institution(judgement.facts)
    inputs = _inputs(judgement)
    tests = [item for item in facts.attestations.get(("alarm_test", subject), ()) if item.start <= facts.as_of]
    newest = max(tests, key=Observation.sort_key, default=None)
    measured: dict[str, JsonValue] = {
        "tested_at": None if newest is None else isoformat(newest.start),
        "valid_until": None if newest is None else isoformat(newest.expires),
        "test_result": None if newest is None else newest.state,
        "armed_inputs": [*inputs.armed],
        "disarmed_inputs": [name for name, _ in inputs.disarmed],
    }
    evidence = inputs.evidence
    if newest is not None:
        evidence = (evidence_of(newest, f"tested by {newest.facts.get('by')}"), *evidence)

    def verdict(
        outcome: Outcome, state: str, reason: str, looked: Millis, began: Millis | None = None, cause: str | None = None
    ) -> list[Verdict]:
        return [
            Verdict(requirement, subject, outcome, state, reason, looked, measured, evidence, began=began, cause=cause)
        ]

    if newest is not None and newest.state == "fault":
        reason = f"The alarm test of {isoformat(newest.start)} found a fault."
        return verdict(Outcome.BREACHED, "fault", reason, newest.start, newest.start)
    if inputs.disarmed and inputs.read_at is not None:
        since = min(at for _, at in inputs.disarmed)
        reason = f"Alarm input {', '.join(name for name, _ in inputs.disarmed)} was armed and no longer is, since {isoformat(since)}."
        return verdict(Outcome.BREACHED, "fault", reason, inputs.read_at, since)
    if newest is not None:
        return _by_test(newest, facts.as_of, verdict)
    if inputs.armed and inputs.read_at is not None:
        reason = f"Alarm input {', '.join(inputs.armed)} is armed; no alarm test has been attested."
        return verdict(Outcome.MET, "ok", reason, inputs.read_at)
    if inputs.listed:
        reason = "Alarm inputs are there but none is known to be armed, and no alarm test has been attested."
        return verdict(Outcome.UNDETERMINED, "unknown", reason, facts.as_of)
    if inputs.refused:
        refusal = inputs.refused[0]
        reason = f"Whether the alarm system works is not known: {(refusal.detail or refusal.cause or 'no answer').rstrip('.')}."
        return verdict(Outcome.UNDETERMINED, "unknown", reason, facts.as_of, cause=refusal.cause)
    reason = "No device reports the alarm system, and no alarm test has been attested."
    return verdict(Outcome.UNDETERMINED, "not_offered", reason, facts.as_of)


def _by_test(newest: Observation, as_of: Millis, verdict: Any) -> list[Verdict]:
    """Judge by a person's test alone."""
    tested = isoformat(newest.start)
    found: list[Verdict]
    if newest.state != "ok":
        found = verdict(
            Outcome.UNDETERMINED, "unknown", f"The alarm test of {tested} has no result.", as_of, newest.start
        )
    elif newest.expires < as_of:
        reason = f"The last alarm test, of {tested}, has expired."
        found = verdict(Outcome.BREACHED, "untested", reason, as_of, newest.expires)
    else:
        found = verdict(Outcome.MET, "ok", f"Tested on {tested}.", newest.start, newest.start)
    return found


def _inputs(judgement: Judgement) -> Inputs:
    """Put together what all recorders say of their alarm inputs."""
    facts, recorders = judgement.facts, judgement.facts.inventory.recorders
    armed: list[str] = []
    disarmed: list[tuple[str, Millis]] = []
    listed, evidence, refused, read_at = 0, [], [], None
    for recorder in recorders:
        newest = facts.instant(Kind.ALARM_INPUTS, recorder_subject(recorder.id))
        if newest is None:
            continue
        observation = newest.observation
        if observation.state == "unknown" or newest.expired:
            refused += [observation] if observation.cause != "not_offered" else []
            continue
        where = f"{recorder.id}/" if len(recorders) > 1 else ""
        inputs = _named(observation.facts.get("inputs"))
        if inputs is None:
            refused.append(observation)
            continue
        listed += len(inputs)
        armed += [f"{where}{item.get('id')}" for item in inputs if item.get("armed") is True]
        for item in _objects(observation.facts.get("disarmed")):
            since = instant_of(item.get("since_at"))
            disarmed += [(f"{where}{item.get('id')}", since)] if since is not None else []
        evidence += [evidence_of(observation)] if inputs else []
        read_at = observation.start if read_at is None else max(read_at, observation.start)
    return Inputs(tuple(armed), tuple(disarmed), listed, tuple(evidence), read_at, tuple(refused))


def _named(value: JsonValue) -> list[Mapping[str, JsonValue]] | None:
    """Return a list of objects that each have a name; None for anything else: an answer in part proves nothing."""
    if not isinstance(value, list) or not all(
        isinstance(item, dict) and isinstance(item.get("id"), str) for item in value
    ):
        return None
    return _objects(value)


def _objects(value: JsonValue) -> list[Mapping[str, JsonValue]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
