"""The judgement of one institution: every requirement in force, in an order where causes come first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from monitor.evaluation.alarm import judge_alarm
from monitor.evaluation.basis import Judge, Judgement, waived
from monitor.evaluation.completeness import judge_completeness
from monitor.evaluation.contradictions import contradictions, shown
from monitor.evaluation.coverage import judge_coverage, judge_forbidden
from monitor.evaluation.picture_quality import judge_picture_quality
from monitor.evaluation.recorder import judge_channels, judge_clock, judge_storage
from monitor.evaluation.retention import judge_retention
from monitor.evaluation.silence import explain_by_silence, judge_measurability, judge_silence
from monitor.evaluation.uptime import judge_uptime
from monitor.evaluation.view import judge_view
from monitor.model.calendar import local_date
from monitor.model.ledger import Facts
from monitor.model.observation import Subject
from monitor.model.regulation import Regulation, Requirements
from monitor.model.span import Millis
from monitor.model.verdict import Verdict

JUDGES: dict[str, Judge[Any]] = {
    "agent_silence": judge_silence,
    "uptime": judge_uptime,
    "view": judge_view,
    "picture_quality": judge_picture_quality,
    "zone_coverage": judge_coverage,
    "forbidden_zone": judge_forbidden,
    "retention": judge_retention,
    "recording_completeness": judge_completeness,
    "undeclared_channel": judge_channels,
    "recorder_clock": judge_clock,
    "storage_health": judge_storage,
    "alarm_system": judge_alarm,
    "measurability": judge_measurability,
}
"""Every kind of requirement and its judge; a later one may refer to the verdicts of those before it."""

BY_TIME_OWED = frozenset({"agent_silence", "uptime", "retention", "recording_completeness", "measurability"})
"""Those that reckon with the time in which something is owed, so that closures and waivers are out of it already."""


def judge(
    facts: Facts,
    regulation: Regulation,
    *,
    last_reports: Mapping[str, Millis] | None = None,
    undetermined_since: Mapping[tuple[str, Subject], Millis] | None = None,
    listening_since: Millis | None = None,
    clocks_disputed: bool = False,
) -> tuple[Verdict, ...]:
    """Judge an institution's facts by a pack, as of the facts' instant.

    `last_reports` (agent id to the instant of its newest report) is known at the centre only and enables
    `agent_silence`; `undetermined_since` is since when each (requirement, subject) has been undetermined.
    `listening_since` is since when the centre itself could be reached: before that nobody's silence counts.
    `clocks_disputed`: the centre's clock disagrees with its agents', so that no clock is judged.
    """
    judgement = Judgement(facts, regulation, last_reports, undetermined_since or {}, listening_since, clocks_disputed)
    judgement.contradictions = contradictions(facts, regulation.requirements)
    today = local_date(facts.as_of, facts.inventory.institution.zone_info)
    asked = {item.kind: item for item in regulation.requirements.all() if item.in_force(today)}
    for kind, judge_kind in JUDGES.items():
        if kind == "measurability":
            explain_by_silence(judgement)
        if kind in asked:
            for verdict in judge_kind(judgement, asked[kind]):
                judgement.verdicts[verdict.key] = _with_waivers(facts, verdict)
    shown(judgement.verdicts, judgement.contradictions)
    return tuple(judgement.verdicts.values())


def _with_waivers(facts: Facts, verdict: Verdict) -> Verdict:
    kind, subject = verdict.key
    if not facts.waivers or kind in BY_TIME_OWED:
        return verdict
    return replace(verdict, waived=tuple(waived(facts, kind, subject).tuples()))


def of_retention_alone(regulation: Regulation) -> Regulation:
    """Return what is judged of the recorders' indexes alone: whether footage is held as long as asked."""
    only = Requirements(retention=regulation.requirements.retention)
    return regulation.model_copy(update={"requirements": only})


def of_silence_alone(regulation: Regulation) -> Regulation:
    """Return what can be judged where nothing is declared: only that somebody has gone silent."""
    only = Requirements(agent_silence=regulation.requirements.agent_silence)
    return regulation.model_copy(update={"requirements": only})
