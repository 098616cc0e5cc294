"""Checks the findings as they are stored: each beside the readings that made it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from monitor.collector.packs import Packs
from monitor.evidence.readings import finding_problems
from monitor.model.regulation import Regulation, Requirement, pack_digest
from monitor.model.verdict import citation_json
from monitor.regulations.problem import PackError
from monitor.store.findings import FindingRow, changes_of, finding_ids, finding_of, orphaned_changes, reading_numbers
from monitor.store.kept_packs import kept_pack


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
        readings = changes_of(session, institution, finding_id)
        yield from finding_problems(row.to_json(), [item.to_json() for item in readings])
        for digest in dict.fromkeys(item.pack for item in readings if item.pack is not None):
            yield from _kept_problems(session, digest)
        pack = _pack(session, row, readings[0].pack if readings else None, packs)
        if pack is not None:
            yield from _pack_problems(row, pack)
    except (ValueError, TypeError, OverflowError):  # whoever edits a row may write anything
        yield "it can't be read"


def _kept_problems(session: Session, digest: str) -> Iterator[str]:
    """Say where a pack by which a reading was made is not there, or not what it was."""
    try:
        kept = kept_pack(session, digest)
    except ValueError:
        kept = ""
    if kept is None:
        yield f"the regulation {digest} by which it was judged is gone"
    elif pack_digest(kept) != digest:
        yield f"the regulation {digest} by which it was judged was edited"


def _pack(session: Session, row: FindingRow, digest: str | None, packs: Packs) -> Regulation | None:
    """Return the pack by which a finding was opened; None where it is not there. Raises ValueError where somebody edited it."""
    if digest is not None:
        kept = kept_pack(session, digest)
        return None if kept is None else Regulation.model_validate(kept)
    try:
        installed = packs.get(row.regulation)
    except PackError:
        return None
    return installed if installed.version == row.regulation_version else None


def _pack_problems(row: FindingRow, pack: Regulation) -> Iterator[str]:
    """Say where a finding doesn't cite what its pack says, in both languages."""
    if (row.regulation, row.regulation_version) != (pack.id, pack.version):
        yield f"it is said to stand on {row.regulation} version {row.regulation_version}, and was opened by {pack.id} version {pack.version}"
    requirement = getattr(pack.requirements, row.requirement, None)
    if not isinstance(requirement, Requirement):
        return
    if (citation_json(requirement, "en"), citation_json(requirement, "zh")) != (row.citation, row.citation_zh):
        yield f"it cites another text than its pack {pack.id} version {pack.version}"
