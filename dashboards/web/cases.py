"""A finding as pages show it: on lists, and on its own page with clause, figures, evidence and history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from dashboards.web.figures import Figure, Words, figures
from dashboards.web.noted import noted
from dashboards.web.sentences import reason
from dashboards.web.times import read_instant
from dashboards.web.words import EVIDENCE, SOURCES, STAGES, STATUS_HINTS, STATUSES, STRENGTHS, SUBJECTS
from monitor.model.regulation import Regulation, Status, Strength
from monitor.model.span import Millis, isoformat
from monitor.store.findings import FindingRow, Reading


@dataclass(frozen=True)
class Cited:
    """Where a requirement stands, in the page's language."""

    title: str
    clause: str
    strength: str
    status: str | None
    """How sure the wording is; None for our own settings, which have no text that could be verified."""
    status_code: str
    hint: str | None
    note: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class EvidenceLine:
    """One piece of evidence."""

    kind: str
    source: str
    at: Markup | str
    text: str
    in_english: bool
    """Whether the text is as it was noted, in words that the page's language doesn't know."""
    digest: str


@dataclass(frozen=True)
class Change:
    """One reading in a finding's history."""

    at: Markup
    text: str


@dataclass(frozen=True)
class Case:
    """A finding, ready to be shown."""

    id: str
    institution: str
    institution_name: str
    requirement: str
    label: str
    state_text: str
    subject_kind: str
    subject_id: str
    subject_name: str
    subject_url: str | None
    open: bool
    stage: str
    reason: str
    began: Markup
    opened: Markup
    ended: Markup | None
    lasting: str
    clause: str
    citation: Cited
    regulation: str
    regulation_version: int
    figures: Sequence[Figure] = ()
    evidence: Sequence[EvidenceLine] = ()
    history: Sequence[Change] = ()


def case(row: FindingRow, institution_name: str, words: Words, now: Millis, *, pack: Regulation | None = None) -> Case:
    """Return a finding as lists show it."""
    times = words.times
    lasting = words.translate("lasting %(duration)s") % {
        "duration": times.duration((now if row.ended is None else row.ended) - row.began)
    }
    name = institution_name if row.subject.kind == "institution" else words.name(row.subject.kind, row.subject.id)
    found = cited(row.citation_zh if times.language.value == "zh" else row.citation, words, pack, row.requirement)
    return Case(
        id=row.id,
        institution=row.institution,
        institution_name=institution_name,
        requirement=row.requirement,
        label=words.requirement(row.requirement),
        state_text=words.state(row.state),
        subject_kind=words.translate(SUBJECTS.get(row.subject.kind, row.subject.kind)),
        subject_id=row.subject.id,
        subject_name=name,
        subject_url=_url(row),
        open=row.ended is None,
        stage=words.translate(STAGES.get(row.stage, row.stage)),
        reason=_reason(row, words, row.state, row.measured, row.began, row.ended, row.reason),
        began=times.element(row.began, seconds=True),
        opened=times.element(row.opened, seconds=True),
        ended=None if row.ended is None else times.element(row.ended, seconds=True),
        lasting=lasting,
        clause=found.clause,
        citation=found,
        regulation=row.regulation,
        regulation_version=row.regulation_version,
    )


def _url(row: FindingRow) -> str | None:
    if row.subject.kind not in {"camera", "zone", "recorder"}:
        return f"/institutions/{row.institution}#site"
    return f"/institutions/{row.institution}#{row.subject.kind}-{row.subject.id}"


def _reason(
    row: FindingRow,
    words: Words,
    state: str,
    measured: dict[str, Any],
    began: Millis,
    ended: Millis | None,
    own: str,
) -> str:
    return reason(row.requirement, state, measured, words, began=began, ended=ended, fallback=own)


def cited(citation: dict[str, str], words: Words, pack: Regulation | None, requirement: str) -> Cited:
    """Return a citation (the contract's form) in words; the pack adds its note."""
    strength, status = Strength(citation["strength"]), Status(citation["status"])
    asked = None if pack is None else getattr(pack.requirements, requirement, None)
    note = None if asked is None or asked.citation.note is None else asked.citation.note
    return Cited(
        title=citation["title"],
        clause=citation["clause"],
        strength=words.translate(STRENGTHS[strength]),
        status=None if strength is Strength.INTERNAL else words.translate(STATUSES[status]),
        status_code=status.value,
        hint=None if strength is Strength.INTERNAL else words.translate(STATUS_HINTS[status]),
        note=None if note is None else getattr(note, words.times.language.value),
    )


def details(row: FindingRow, words: Words) -> tuple[Sequence[Figure], Sequence[EvidenceLine]]:
    """Return what a finding's own page adds: its figures in words, and its evidence."""
    return figures(_closed(row.measured, row.ended), words), [_evidence(item, words) for item in row.evidence]


def _closed(measured: Mapping[str, Any], ended: Millis | None) -> Mapping[str, Any]:
    """End an outage with its finding: what was measured last, while it lasted, would say that it still does."""
    outages = measured.get("outages")
    if ended is None or not isinstance(outages, list):
        return measured
    return {**measured, "outages": [_ended(item, ended) for item in outages]}


def _ended(outage: object, ended: Millis) -> object:
    if not isinstance(outage, dict) or outage.get("end_at") is not None:
        return outage
    start = read_instant(outage.get("start_at"))
    return outage if start is None or start > ended else {**outage, "end_at": isoformat(ended)}


def _evidence(item: dict[str, Any], words: Words) -> EvidenceLine:
    at = read_instant(item.get("at"))
    kind, source, note = str(item.get("kind")), str(item.get("source")), str(item.get("text") or "")
    said = noted(note, words)
    return EvidenceLine(
        kind=words.translate(EVIDENCE[kind]) if kind in EVIDENCE else kind,
        source=words.translate(SOURCES[source]) if source in SOURCES else source,
        at=words.times.element(at, seconds=True) if at is not None else words.translate("unknown"),
        text=note if said is None else said,
        in_english=said is None,
        digest=str(item.get("digest") or ""),
    )


def history(row: FindingRow, readings: Sequence[Reading], words: Words) -> list[Change]:
    """Return a finding's readings in order, as sentences."""
    return [
        Change(
            words.times.element(item.at, seconds=True),
            _reason(row, words, item.state, item.measured, item.began, item.ended, item.reason),
        )
        for item in readings
    ]
