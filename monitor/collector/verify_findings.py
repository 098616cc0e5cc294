"""Checks the findings as they are stored: each beside the readings that made it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from monitor.collector.packs import Packs
from monitor.evidence.readings import finding_problems
from monitor.model.regulation import Requirement
from monitor.model.verdict import citation_json
from monitor.regulations.problem import PackError
from monitor.store.findings import FindingRow, changes_of, finding_ids, finding_of, orphaned_changes, reading_numbers


@dataclass
class FindingsChecked:
    """How an institution's findings were found."""

    findings: int = 0
    problems: list[str] = field(default_factory=list)
    """One sentence each, naming the finding."""


def check_findings(session: Session, institution: str, packs: Packs) -> FindingsChecked:
    """Hold each finding against its readings, its id against the first of them, and its citation against the pack."""
    checked = FindingsChecked()
    for finding_id in finding_ids(session, institution):
        checked.findings += 1
        texts = _problems(session, institution, finding_id, packs)
        checked.problems += [f"{institution}: finding {finding_id}: {text}" for text in texts]
    for finding_id in orphaned_changes(session, institution):
        checked.problems.append(f"{institution}: finding {finding_id} is gone: readings of it are stored")
    return checked


def _problems(session: Session, institution: str, finding_id: str, packs: Packs) -> Iterator[str]:
    numbers, count = reading_numbers(session, institution, finding_id)
    if numbers != list(range(1, count + 1)):
        yield f"{count} readings were made of it, and {len(numbers)} are stored"
    try:
        row = finding_of(session, institution, finding_id)
        readings = [item.to_json() for item in changes_of(session, institution, finding_id)]
        yield from finding_problems(row.to_json(), readings)
        cited = _citations(row, packs)
        if cited is not None and cited != (row.citation, row.citation_zh):
            yield f"it cites another text than its pack {row.regulation} version {row.regulation_version}"
    except (ValueError, TypeError, OverflowError):  # whoever edits a row may write anything
        yield "it can't be read"


def _citations(row: FindingRow, packs: Packs) -> tuple[dict[str, str], dict[str, str]] | None:
    """Return what a finding has to cite, in both languages; None where its pack, or that version of it, is not there."""
    try:
        pack = packs.get(row.regulation)
    except PackError:
        return None
    requirement = getattr(pack.requirements, row.requirement, None)
    if pack.version != row.regulation_version or not isinstance(requirement, Requirement):
        return None
    return citation_json(requirement, "en"), citation_json(requirement, "zh")
