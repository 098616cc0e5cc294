"""What only pages ask: institutions by part of their name, and the inventories that give subjects their names."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from monitor.model.inventory import ChangedThreshold, Inventory
from monitor.model.observation import Kind
from monitor.model.span import Millis
from monitor.store.registry import InstitutionSummary, institution, within
from monitor.store.stored import readable
from monitor.store.tables import InstantRow, InstitutionRow


@dataclass(frozen=True)
class Totals:
    """How many institutions there are, and how many of them stand how: each counts once, as the worst of it."""

    institutions: int
    with_findings: int
    breached: int
    """Without an open finding yet."""
    not_known: int
    """Neither, and something isn't known, or nothing is."""

    @property
    def in_order(self) -> int:
        """How many are in order."""
        return self.institutions - self.with_findings - self.breached - self.not_known


def totals(session: Session, judged_since: Millis, jurisdiction: str | None = None) -> Totals:
    """Return how the institutions of a jurisdiction stand, or all; of one that was not judged since then it isn't known."""
    row = InstitutionRow
    found = (row.open_findings > 0) | row.silent.is_(True)
    unknown = (row.undetermined > 0) | (row.met == 0) | (func.coalesce(row.evaluated_at, 0) < judged_since)
    counts = [
        func.count(),
        func.sum(case((found, 1), else_=0)),
        func.sum(case((~found & (row.breached > 0), 1), else_=0)),
        func.sum(case((~found & (row.breached == 0) & unknown, 1), else_=0)),
    ]
    query = select(*counts).where(*([] if jurisdiction is None else [within(jurisdiction)]))
    return Totals(*(int(count or 0) for count in session.execute(query).one()))


def search_institutions(
    session: Session, text: str, *, jurisdiction: str | None = None, offset: int = 0, limit: int = 50
) -> list[InstitutionSummary]:
    """Return institutions whose name or id holds `text`, in either case, the worst first; those of a jurisdiction or all."""
    row = InstitutionRow
    query = (
        select(row.id)
        .where(*([] if jurisdiction is None else [within(jurisdiction)]))
        .where(or_(row.name.icontains(text, autoescape=True), row.id.icontains(text, autoescape=True)))
        .order_by(row.open_findings.desc(), row.breached.desc(), row.undetermined.desc(), row.id)
    )
    ids = session.scalars(query.offset(offset).limit(limit)).all()
    found = summaries(session, ids)
    return [found[item] for item in ids if item in found]


def summaries(session: Session, institution_ids: Iterable[str]) -> dict[str, InstitutionSummary]:
    """Return the institutions of these ids that are in the register, by one query."""
    ids = sorted(set(institution_ids))
    rows = session.scalars(select(InstitutionRow).where(InstitutionRow.id.in_(ids))).all()
    # The session knows the rows now: what `institution` asks of each is answered without another query.
    return {row.id: found for row in rows if (found := institution(session, row.id)) is not None}


def inventories(session: Session, institution_ids: Iterable[str]) -> dict[str, Inventory]:
    """Return the inventory of each institution: the approved one, else the one that was declared last."""
    ids = sorted(set(institution_ids))
    found: dict[str, Inventory] = {}
    approved = select(InstitutionRow.id, InstitutionRow.approved_inventory).where(InstitutionRow.id.in_(ids))
    for institution_id, text in session.execute(approved):
        inventory = None if text is None else readable(session, Inventory, text)
        if inventory is not None:
            found[institution_id] = inventory
    missing = [item for item in ids if item not in found]
    here = (InstantRow.institution_id.in_(missing), InstantRow.kind == Kind.INVENTORY.value)
    newest = (
        select(InstantRow.institution_id, func.max(InstantRow.at).label("at"))
        .where(*here)
        .group_by(InstantRow.institution_id)
        .subquery()
    )
    joined = select(InstantRow.institution_id, InstantRow.body).join(
        newest, (newest.c.institution_id == InstantRow.institution_id) & (newest.c.at == InstantRow.at)
    )
    for institution_id, body in session.execute(joined.where(*here)):
        try:
            found[institution_id] = Inventory.model_validate(json.loads(body).get("facts"))
        except (ValueError, AttributeError, RecursionError):
            continue  # what this version can't read gives no names: pages show ids
    return found


def changed_thresholds(session: Session, institution_id: str) -> tuple[ChangedThreshold, ...]:
    """Return which thresholds the site has changed, as it declared last: those are in force, whatever is approved."""
    row = InstantRow
    here = (row.institution_id == institution_id, row.kind == Kind.INVENTORY.value)
    body = session.scalars(select(row.body).where(*here).order_by(row.at.desc(), row.digest).limit(1)).one_or_none()
    try:
        return () if body is None else Inventory.model_validate(json.loads(body).get("facts")).thresholds
    except (ValueError, AttributeError, RecursionError):
        return ()  # a newer agent may declare what this version can't read


def packs_in_use(session: Session) -> list[str]:
    """Return the ids of the packs by which institutions are judged."""
    return list(session.scalars(select(InstitutionRow.regulation).distinct().order_by(InstitutionRow.regulation)))
