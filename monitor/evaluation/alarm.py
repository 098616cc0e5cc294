"""The alarm system: what a person's dated test says of it, until it expires."""

from __future__ import annotations

from monitor.evaluation.basis import Judgement, institution
from monitor.model.ledger import evidence_of
from monitor.model.observation import Observation
from monitor.model.regulation import AlarmSystem
from monitor.model.span import isoformat
from monitor.model.verdict import Outcome, Verdict


def judge_alarm(judgement: Judgement, requirement: AlarmSystem) -> list[Verdict]:
    """Judge the institution by the newest attested alarm test."""
    facts, subject = judgement.facts, institution(judgement.facts)
    tests = [item for item in facts.attestations.get(("alarm_test", subject), ()) if item.start <= facts.as_of]
    if not tests:
        reason = "No device reports the alarm system, and no alarm test has been attested."
        return [Verdict(requirement, subject, Outcome.UNDETERMINED, "not_offered", reason, facts.as_of)]
    newest = max(tests, key=Observation.sort_key)
    evidence = (evidence_of(newest, f"tested by {newest.facts.get('by')}"),)
    tested = isoformat(newest.start)
    measured = {"tested_at": tested, "valid_until": isoformat(newest.expires)}
    if newest.state == "fault":
        outcome, state, reason = Outcome.BREACHED, "fault", f"The alarm test of {tested} found a fault."
    elif newest.state != "ok":
        outcome, state, reason = Outcome.UNDETERMINED, "unknown", f"The alarm test of {tested} has no result."
    elif newest.expires < facts.as_of:
        outcome, state = Outcome.BREACHED, "untested"
        reason = f"The last alarm test, of {tested}, has expired."
    else:
        outcome, state, reason = Outcome.MET, "ok", f"Tested on {tested}."
    looked = newest.start if state in {"ok", "fault"} else facts.as_of
    began = newest.expires if state == "untested" else newest.start
    return [Verdict(requirement, subject, outcome, state, reason, looked, dict(measured), evidence, began=began)]
