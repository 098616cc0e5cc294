"""The register: jurisdictions, institutions with how they stand, what is approved of them, and waivers."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from monitor.model.calendar import Waiver
from monitor.model.inventory import Institution, Inventory, Jurisdiction, Level
from monitor.model.span import Millis, isoformat
from monitor.store import cursor as cursors
from monitor.store.journal import note
from monitor.store.stored import readable
from monitor.store.tables import InstitutionRow, JurisdictionRow, WaiverRow
from monitor.store.upsert import table_of, upsert

_INSTITUTION, _WAIVER = table_of(InstitutionRow), table_of(WaiverRow)
_ENTRY_COLUMNS = ("id", "name", "timezone", "regulation", "approved_inventory", "evaluation", "journal")
_ENTRY = select(*(_INSTITUTION.c[name] for name in _ENTRY_COLUMNS)).where(_INSTITUTION.c.id == bindparam("who"))
_WAIVERS = (
    select(_WAIVER.c.body)
    .where(_WAIVER.c.institution_id == bindparam("who"))
    .order_by(_WAIVER.c.created_at, _WAIVER.c.id)
)
_WAIVERS_UNTIL = _WAIVERS.where(_WAIVER.c.created_at <= bindparam("until"))


class RegisterError(ValueError):
    """An entry that can't be made as asked for; the sentence says why."""


@dataclass(frozen=True)
class InstitutionSummary:
    """An institution, and how it stood at its last evaluation. Instants are UTC milliseconds."""

    id: str
    name: str
    jurisdiction: str | None
    regulation: str
    breached: int
    undetermined: int
    met: int
    open_findings: int
    last_report_at: Millis | None
    silent: bool
    views_waiting: int
    evaluated_at: Millis | None
    timezone: str

    def to_json(self) -> dict[str, object]:
        """Return the API's form."""
        instants = ("last_report_at", "evaluated_at")
        texts = {name: None if (at := getattr(self, name)) is None else isoformat(at) for name in instants}
        return {**self.__dict__, **texts}


def add_jurisdiction(session: Session, jurisdiction: Jurisdiction) -> None:
    """Enter a node of the tree, or change the one of the same code.

    Levels fall strictly from each node to those below it, so that no circle can come about. Raises RegisterError when
    the parent is unknown or the node itself, or when a level doesn't fit the parent's or a child's.
    """
    code, level = jurisdiction.code, jurisdiction.level
    if jurisdiction.parent == code:
        raise RegisterError(f"jurisdiction {code} can't be its own parent; name the area above it")
    if jurisdiction.parent is not None:
        parent = session.get(JurisdictionRow, jurisdiction.parent)
        if parent is None:
            raise RegisterError(f"jurisdiction {jurisdiction.parent} is not in the register; add it first")
        _fits(parent.code, Level(parent.level), code, level)
    for child in session.scalars(select(JurisdictionRow).where(JurisdictionRow.parent == code)):
        _fits(code, level, child.code, Level(child.level))
    upsert(session, JurisdictionRow, [jurisdiction.model_dump(mode="json")])
    session.expire_all()


def _fits(parent: str, upper: Level, child: str, lower: Level) -> None:
    if not upper.is_above(lower):
        raise RegisterError(
            f"jurisdiction {parent} ({upper}) can't stand above {child} ({lower}): the levels from the top are {', '.join(Level)}"
        )


def jurisdictions(session: Session) -> list[Jurisdiction]:
    """Return the tree, by code."""
    rows = session.scalars(select(JurisdictionRow).order_by(JurisdictionRow.code))
    return [Jurisdiction(code=row.code, name=row.name, level=Level(row.level), parent=row.parent) for row in rows]


def add_institution(
    session: Session, institution: Institution, regulation: str, now: Millis, jurisdiction: str | None = None
) -> None:
    """Enter an institution. Raises RegisterError when its id is taken or its jurisdiction is unknown."""
    if session.get(InstitutionRow, institution.id) is not None:
        raise RegisterError(
            f"institution {institution.id} is in the register already; change it with `collector institution set {institution.id}`, or choose another id"
        )
    if jurisdiction is not None and session.get(JurisdictionRow, jurisdiction) is None:
        raise RegisterError(f"jurisdiction {jurisdiction} is not in the register; add it first")
    session.add(
        InstitutionRow(
            id=institution.id,
            name=institution.name,
            timezone=institution.timezone,
            jurisdiction=jurisdiction,
            regulation=regulation,
            created_at=now,
        )
    )
    note(session, institution.id, InstitutionRow, InstitutionRow.id == institution.id)


def change_institution(
    session: Session, changed: Institution, regulation: str, now: Millis, jurisdiction: str | None = None
) -> None:
    """Change an institution's entry; another pack or time zone makes it due for evaluation at once.

    Raises RegisterError when it or its jurisdiction is unknown.
    """
    row = session.get(InstitutionRow, changed.id)
    if row is None:
        raise RegisterError(f"institution {changed.id} is not in the register; add it first")
    if jurisdiction is not None and session.get(JurisdictionRow, jurisdiction) is None:
        raise RegisterError(f"jurisdiction {jurisdiction} is not in the register; add it first")
    if (row.regulation, row.timezone) != (regulation, changed.timezone):
        row.evaluate_due_at = now
    row.name, row.timezone, row.regulation, row.jurisdiction = changed.name, changed.timezone, regulation, jurisdiction
    note(session, changed.id, InstitutionRow, InstitutionRow.id == changed.id)


def institution(session: Session, institution_id: str) -> InstitutionSummary | None:
    """Return one institution, None when it is not in the register."""
    row = session.get(InstitutionRow, institution_id)
    return None if row is None else _summary(row)


@dataclass(frozen=True)
class Entry:
    """What an evaluation needs of an institution's entry."""

    id: str
    name: str
    timezone: str
    regulation: str
    approved_inventory: str | None
    """As JSON."""
    evaluation: int
    """So many evaluations have been written of it."""
    journal: int
    """So many entries its journal has."""

    def inventory(self, session: Session) -> Inventory | None:
        """Return the approved inventory, None where none has been approved, or none that can be read: what is declared stands then."""
        return None if self.approved_inventory is None else readable(session, Inventory, self.approved_inventory)


def entry(session: Session, institution_id: str) -> Entry | None:
    """Return an institution's entry, None when it is not in the register."""
    found = session.execute(_ENTRY, {"who": institution_id}).first()
    return None if found is None else Entry(*found)


def known_entry(session: Session, institution_id: str) -> Entry:
    """Return an institution's entry. Raises RegisterError when it is not in the register."""
    found = entry(session, institution_id)
    if found is None:
        raise unknown(institution_id)
    return found


def unknown(institution_id: str) -> RegisterError:
    """Return what to raise for an institution that is not in the register."""
    return RegisterError(f"institution {institution_id} is not in the register")


def known_institution(session: Session, institution_id: str) -> InstitutionSummary:
    """Return one institution. Raises RegisterError when it is not in the register."""
    found = institution(session, institution_id)
    if found is None:
        raise unknown(institution_id)
    return found


def institution_rows(
    session: Session,
    *,
    jurisdiction: str | None = None,
    views_wait: bool = False,
    after: str | None = None,
    limit: int = 50,
) -> list[InstitutionSummary]:
    """Return institutions, the worst first: by open findings, then breached, then undetermined; then by id.

    `jurisdiction` takes in all that lies below it, `views_wait` those alone of which a proposed view waits for an officer. `after` is cursor_of the last one of the page before. Raises
    CursorError when it is not a cursor of this list.
    """
    conditions: list[ColumnElement[bool]] = [InstitutionRow.views_waiting > 0] if views_wait else []
    if jurisdiction is not None:
        conditions.append(within(jurisdiction))
    if after is not None:
        conditions.append(_beyond(*cursors.decode(after, int, int, int, str)))
    order = (
        InstitutionRow.open_findings.desc(), InstitutionRow.breached.desc(), InstitutionRow.undetermined.desc(),
        InstitutionRow.id,
    )  # fmt: skip
    return [
        _summary(row)
        for row in session.scalars(select(InstitutionRow).where(*conditions).order_by(*order).limit(limit))
    ]


def within(jurisdiction: str) -> ColumnElement[bool]:
    """Return the condition that an institution lies in a jurisdiction, or in one below it."""
    tree = select(JurisdictionRow.code).where(JurisdictionRow.code == jurisdiction).cte("tree", recursive=True)
    below = select(JurisdictionRow.code).join(tree, JurisdictionRow.parent == tree.c.code)
    return InstitutionRow.jurisdiction.in_(select(tree.union(below).c.code))


def _beyond(
    found: cursors.Value, breached: cursors.Value, undetermined: cursors.Value, last: cursors.Value
) -> ColumnElement[bool]:
    """Rows after the cursor's, in an order of which one column rises and the others fall."""
    row = InstitutionRow
    return or_(
        row.open_findings < found,
        and_(row.open_findings == found, row.breached < breached),
        and_(row.open_findings == found, row.breached == breached, row.undetermined < undetermined),
        and_(row.open_findings == found, row.breached == breached, row.undetermined == undetermined, row.id > last),
    )


def cursor_of(row: InstitutionSummary) -> str:
    """Return the cursor that continues after this institution."""
    return cursors.encode(row.open_findings, row.breached, row.undetermined, row.id)


def _summary(row: InstitutionRow) -> InstitutionSummary:
    return InstitutionSummary(
        id=row.id,
        name=row.name,
        jurisdiction=row.jurisdiction,
        regulation=row.regulation,
        breached=row.breached,
        undetermined=row.undetermined,
        met=row.met,
        open_findings=row.open_findings,
        last_report_at=row.last_report_at,
        silent=row.silent,
        views_waiting=row.views_waiting,
        evaluated_at=row.evaluated_at,
        timezone=row.timezone,
    )


def is_known(session: Session, institution_id: str) -> bool:
    """Tell whether an institution is in the register."""
    return session.get(InstitutionRow, institution_id) is not None


def institution_ids(session: Session) -> list[str]:
    """Return the ids of all institutions."""
    return list(session.scalars(select(InstitutionRow.id).order_by(InstitutionRow.id)))


def regulations_in_use(session: Session) -> dict[str, str]:
    """Return each institution's pack."""
    return dict(session.execute(select(InstitutionRow.id, InstitutionRow.regulation)).all())


def count_by_regulation(session: Session) -> dict[str, int]:
    """Return how many institutions are judged by each pack in use."""
    query = select(InstitutionRow.regulation, func.count()).group_by(InstitutionRow.regulation)
    return dict(session.execute(query).all())


def approve_inventory(session: Session, inventory: Inventory) -> None:
    """Put an inventory into the approved register: from now on it wins over what the agent declares.

    Raises RegisterError when the institution is unknown.
    """
    text = json.dumps(inventory.model_dump(mode="json", by_alias=True), ensure_ascii=False)
    here = InstitutionRow.id == inventory.institution.id
    changed = update(InstitutionRow).where(here).values(approved_inventory=text).returning(InstitutionRow.id)
    if session.execute(changed).first() is None:
        raise RegisterError(f"institution {inventory.institution.id} is not in the register")
    note(session, inventory.institution.id, InstitutionRow, here)


def approved_inventory(session: Session, institution_id: str) -> Inventory | None:
    """Return the same by the institution's id."""
    found = entry(session, institution_id)
    return None if found is None else found.inventory(session)


def add_waiver(session: Session, institution_id: str, waiver: Waiver, now: Millis) -> str:
    """Grant a waiver; return its id. Raises RegisterError when the institution is unknown."""
    if session.get(InstitutionRow, institution_id) is None:
        raise RegisterError(f"institution {institution_id} is not in the register")
    waiver_id = secrets.token_hex(16)
    body = waiver.model_dump_json()
    session.add(WaiverRow(institution_id=institution_id, id=waiver_id, created_at=now, body=body))
    note(session, institution_id, WaiverRow, WaiverRow.institution_id == institution_id, WaiverRow.id == waiver_id)
    return waiver_id


def waivers(session: Session, institution_id: str, until: Millis | None = None) -> tuple[Waiver, ...]:
    """Return an institution's waivers, oldest first; those alone that had been granted by `until`, where it is given.

    Without those that can't be read.
    """
    if until is None:
        bodies = session.execute(_WAIVERS, {"who": institution_id}).scalars()
    else:
        bodies = session.execute(_WAIVERS_UNTIL, {"who": institution_id, "until": until}).scalars()
    return tuple(waiver for body in bodies if (waiver := readable(session, Waiver, body)) is not None)


def count_views_waiting(session: Session, jurisdiction: str | None = None) -> int:
    """Return how many institutions (of a jurisdiction) have proposed views that wait for an officer."""
    query = select(func.count()).select_from(InstitutionRow).where(InstitutionRow.views_waiting > 0)
    return session.scalars(query if jurisdiction is None else query.where(within(jurisdiction))).one()


def count_institutions(session: Session) -> int:
    """Return how many institutions are in the register."""
    return session.scalars(select(func.count()).select_from(InstitutionRow)).one()
