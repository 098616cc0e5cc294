"""When each institution is to be evaluated, who does it, and how it stood afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from monitor.model.span import MINUTE, Millis
from monitor.store.findings import OPEN
from monitor.store.tables import InstitutionRow
from monitor.store.upsert import table_of

_INSTITUTION = table_of(InstitutionRow)
_WHO = _INSTITUTION.c.id == bindparam("who")
_OPEN = OPEN.scalar_subquery()
_CLAIM = (
    update(_INSTITUTION)
    .where(_WHO, _INSTITUTION.c.evaluate_due_at == bindparam("due"))
    .values(evaluate_due_at=bindparam("until"))
    .returning(_INSTITUTION.c.id)
)
_HOLD = select(_INSTITUTION.c.id).where(_WHO).with_for_update()
_COUNTED = ("breached", "undetermined", "met", "silent", "views_waiting", "unreadable")
_FINISH = (
    update(_INSTITUTION)
    .where(_WHO, _INSTITUTION.c.evaluation == bindparam("read"))
    .values(
        evaluation=_INSTITUTION.c.evaluation + 1, evaluated_at=bindparam("as_of"), open_findings=_OPEN,
        **{name: bindparam(f"new_{name}") for name in _COUNTED},
    )
    .returning(_INSTITUTION.c.open_findings)
)  # fmt: skip
_RECOUNT = update(_INSTITUTION).where(_WHO).values(open_findings=_OPEN).returning(_INSTITUTION.c.open_findings)


@dataclass(frozen=True)
class Standing:
    """How an institution stands after an evaluation."""

    open_findings: int
    breached: int
    undetermined: int
    met: int
    silent: bool
    views_waiting: int = 0


def due_evaluations(session: Session, now: Millis, limit: int = 100) -> list[tuple[str, Millis]]:
    """Return (institution, when it was due) of those that are due, the longest due first."""
    row = InstitutionRow
    query = select(row.id, row.evaluate_due_at).where(row.evaluate_due_at <= now)
    found = session.execute(query.order_by(row.evaluate_due_at).limit(limit))
    return [(institution_id, due) for institution_id, due in found if due is not None]


def claim(session: Session, institution_id: str, due: Millis, until: Millis) -> bool:
    """Take a due evaluation on, by moving it to when it is due again; False when another process was first."""
    return session.execute(_CLAIM, {"who": institution_id, "due": due, "until": until}).first() is not None


def is_any_due_after(session: Session, latest: Millis) -> bool:
    """Tell whether an evaluation is due after an instant: an index look-up."""
    query = select(InstitutionRow.id).where(InstitutionRow.evaluate_due_at > latest).limit(1)
    return session.execute(query).first() is not None


def due_by(session: Session, now: Millis, latest: Millis) -> list[str]:
    """Evaluations that are due after `latest`, by a clock that has been set back since, are due now; return whose."""
    moved = update(InstitutionRow).where(InstitutionRow.evaluate_due_at > latest).values(evaluate_due_at=now)
    return list(session.scalars(moved.returning(InstitutionRow.id)))


def make_due(session: Session, institution_id: str, now: Millis) -> None:
    """Let an institution be evaluated now: something was decided that changes how it is judged."""
    session.execute(update(InstitutionRow).where(InstitutionRow.id == institution_id).values(evaluate_due_at=now))


def hold(session: Session, institution_id: str) -> bool:
    """Wait for reports of an institution that are being stored, and keep others out until the transaction ends.

    False when it is not in the register.
    """
    return session.execute(_HOLD, {"who": institution_id}).first() is not None


def finish(
    session: Session, institution_id: str, number_read: int, as_of: Millis, standing: Standing, unreadable: int
) -> int | None:
    """Begin to write an evaluation that was computed on `number_read`: note, for lists, how the institution stands by it.

    Its open findings are counted as they are stored, and returned: who moves findings then recounts them. None when another
    evaluation was written since. `unreadable`: so many stored rows it couldn't read, for the metrics.
    """
    counts = {**standing.__dict__, "unreadable": unreadable}
    new = {f"new_{name}": counts[name] for name in _COUNTED}
    return session.execute(_FINISH, {"who": institution_id, "read": number_read, "as_of": as_of, **new}).scalar()


def recount(session: Session, institution_id: str) -> int:
    """Count an institution's open findings anew, after some have moved; return how many."""
    return int(session.execute(_RECOUNT, {"who": institution_id}).scalar_one())


def with_unreadable(session: Session) -> list[tuple[str, int]]:
    """Return the institutions whose newest evaluation couldn't read all rows, and how many it couldn't."""
    row = InstitutionRow
    return [
        (name, rows)
        for name, rows in session.execute(select(row.id, row.unreadable).where(row.unreadable > 0).order_by(row.id))
    ]


def stands(session: Session, institution_id: str) -> tuple[int, Millis | None, Standing] | None:
    """Return how many evaluations were written of an institution, when the last was made, and how it stands by it.

    None when it is not in the register.
    """
    row = InstitutionRow
    columns = (row.open_findings, row.breached, row.undetermined, row.met, row.silent, row.views_waiting)
    query = select(row.evaluation, row.evaluated_at, *columns).where(row.id == institution_id)
    found = session.execute(query).one_or_none()
    return None if found is None else (found[0], found[1], Standing(*found[2:]))


def count_late(session: Session, now: Millis, every: Millis) -> int:
    """Return how many institutions should have been evaluated more than five minutes ago, or were tried and weren't.

    One that fails is due again soon, each time: what tells is how long its last evaluation lies before that. `every` is the
    time between two that go well.
    """
    row, within = InstitutionRow, 2 * (every + 5 * MINUTE)
    last = func.coalesce(row.evaluated_at, row.created_at)
    late = or_(row.evaluate_due_at < now - 5 * MINUTE, row.evaluate_due_at - last > within)
    return session.scalars(select(func.count()).select_from(row).where(late)).one()
