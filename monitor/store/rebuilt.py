"""An institution's ledger made again from its reports, and held against the one that is stored."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    Column,
    ColumnElement,
    Engine,
    MetaData,
    Table,
    and_,
    create_engine,
    event,
    func,
    insert,
    select,
    text,
    union,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column

from monitor.model.envelope import Place
from monitor.model.numbers import Numbers
from monitor.model.observation import Kind, Observation, digest_of_text
from monitor.model.span import Millis, isoformat
from monitor.store.engine import writing
from monitor.store.instants import footage_of, newest_that_says, says_the_same
from monitor.store.ledger import Entry, add_entries
from monitor.store.reports import Position
from monitor.store.tables import FootageRow, InstantRow, SpanRow
from monitor.store.upsert import insert_new, insert_rows

_PAGE = 500
_LEDGER = cast("tuple[Table, ...]", (SpanRow.__table__, InstantRow.__table__))
_FOOTAGE = cast("Table", FootageRow.__table__)
_TABLES = (*_LEDGER, _FOOTAGE)
_HELD = MetaData()
"""The stored rows, beside those that are made again."""


class _Scratch(DeclarativeBase):
    """What only the scratch file has."""


class _Told(_Scratch):
    """Which report tells an observation: the first of them."""

    __tablename__ = "told"

    digest: Mapped[str] = mapped_column(primary_key=True)
    agent: Mapped[str]
    boot: Mapped[str]
    sequence: Mapped[int]


class _Link(_Scratch):
    """A report's place in its agent's chain, and the one that it follows."""

    __tablename__ = "link"

    agent: Mapped[str] = mapped_column(primary_key=True)
    boot: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str]
    after_boot: Mapped[str | None]
    after_sequence: Mapped[int | None]
    after_digest: Mapped[str | None]


class _Late(_Scratch):
    """What a report tells that came in after the newest evaluation."""

    __tablename__ = "late"

    id: Mapped[int] = mapped_column(primary_key=True)
    agent: Mapped[str]
    boot: Mapped[str]
    sequence: Mapped[int]
    texts: Mapped[str]
    """Its observations' canonical JSON, as a list."""


@dataclass(frozen=True)
class BootKnown:
    """What the stored reports tell of one boot of an agent."""

    seen: Numbers = field(default_factory=Numbers)
    upto: int = 0
    """The largest number that a report has or follows."""
    skipped: Numbers = field(default_factory=Numbers)
    """Numbers that no report had: the next one follows the one before them."""

    @property
    def missing(self) -> Numbers:
        """The numbers that were written and aren't there."""
        return Numbers.of([(1, self.upto)]) - self.seen - self.skipped


@dataclass(frozen=True)
class Follows:
    """A report of an agent beside the one that it follows, which isn't there as it should be."""

    position: Position
    after: Place
    here: str | None
    """The digest of what is there in its place; None: nothing is."""


@dataclass(frozen=True)
class Difference:
    """A row of the ledger that isn't what the reports say."""

    what: str
    """edited | dropped | added."""
    row: str
    """Which one, in words."""
    columns: tuple[str, ...] = ()
    """Of an edited row: which of its columns."""
    told_by: tuple[str, Position] | None = None
    """The agent and the report that tell it; None where no stored report does."""


class Rebuilt:
    """The ledger of one institution, made in a scratch file, so that memory doesn't grow with it."""

    def __init__(self, engine: Engine, institution: str) -> None:
        """Take the scratch file's engine."""
        self._engine = engine
        self._institution = institution

    def add(self, agent: str, told: Sequence[tuple[Position, Sequence[Entry]]]) -> None:
        """Take what some reports of an agent tell."""
        by = [
            {"digest": entry.digest, "agent": agent, "boot": boot, "sequence": sequence}
            for (boot, sequence), entries in told
            for entry in entries
        ]
        with writing(self._engine) as session:
            insert_new(session, _Told, by)
            add_entries(session, {self._institution: (entry for _, entries in told for entry in entries)})

    def put_off(self, agent: str, told: Sequence[tuple[Position, Sequence[Entry]]]) -> None:
        """Take what some reports of an agent tell that an evaluation hadn't: it is added by `add_late`."""
        rows = [
            {"agent": agent, "boot": boot, "sequence": sequence, "texts": json.dumps([entry.text for entry in entries])}
            for (boot, sequence), entries in told
        ]
        with writing(self._engine) as session:
            insert_rows(session, _Late, rows)

    def add_late(self) -> None:
        """Add what was put off."""
        query = select(_Late.id, _Late.agent, _Late.boot, _Late.sequence, _Late.texts).order_by(_Late.id)
        last = 0
        while True:
            with Session(self._engine) as session:
                page = session.execute(query.where(_Late.id > last).limit(_PAGE)).all()
            if not page:
                return
            for number, agent, boot, sequence, texts in page:
                entries = [Entry(Observation.read_stored(text), text) for text in json.loads(texts)]
                self.add(agent, [((boot, sequence), entries)])
                last = number

    def link(self, agent: str, reports: Sequence[tuple[Position, str, Place | None]]) -> None:
        """Take where some reports of an agent stand: (place, digest, what it follows)."""
        rows = [
            {
                "agent": agent,
                "boot": boot,
                "sequence": sequence,
                "digest": digest,
                "after_boot": None if after is None else after.boot,
                "after_sequence": None if after is None else after.sequence,
                "after_digest": None if after is None else after.digest,
            }
            for (boot, sequence), digest, after in reports
        ]
        with writing(self._engine) as session:
            insert_new(session, _Link, rows)

    def put_together(self, stored: Session, until: Millis) -> None:
        """Put readings of indexes together as far as the stored ones are, so that they aren't folded again and again.

        One that says something has to be left beside them, up to `until`.
        """
        heads = stored.execute(
            select(FootageRow.camera_id, FootageRow.upto_at).where(FootageRow.institution_id == self._institution)
        ).all()
        for camera_id, upto in heads:
            with writing(self._engine) as session:
                since = newest_that_says(session, self._institution, camera_id, upto, until)
                made = None if since is None else footage_of(session, self._institution, camera_id, upto)
                if since is not None and made is not None:
                    made.since_at = since
                    session.add(made)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session over the ledger as it has been made so far."""
        with Session(self._engine) as session:
            yield session

    def has(self, agent: str, position: Position) -> bool:
        """Tell whether an agent's report is there."""
        with Session(self._engine) as session:
            return session.get(_Link, (agent, *position)) is not None

    def numbers(self, agent: str, boot: str) -> Numbers:
        """Return which of an agent's reports of a boot are there."""
        query = select(_Link.sequence).where(_Link.agent == agent, _Link.boot == boot).order_by(_Link.sequence)
        with Session(self._engine) as session:
            found = session.scalars(query.execution_options(yield_per=_PAGE))
            return Numbers.of_series(found)

    def boots(self, agent: str) -> set[str]:
        """Return the boots of which an agent's reports tell: their own, and those that they follow."""
        own, before = select(_Link.boot), select(_Link.after_boot).where(_Link.after_boot.is_not(None))
        here = _Link.agent == agent
        with Session(self._engine) as session:
            return {str(name) for name in session.scalars(union(own.where(here), before.where(here)))}

    def known(self, agent: str, boot: str) -> BootKnown:
        """Return what an agent's reports tell of one boot."""
        follows = (_Link.agent == agent, _Link.after_boot == boot)
        within = select(_Link.after_sequence, _Link.sequence).where(*follows, _Link.boot == boot)
        seen = self.numbers(agent, boot)
        with Session(self._engine) as session:
            followed = session.scalars(select(func.max(_Link.after_sequence)).where(*follows)).one() or 0
            jumps = session.execute(within.where(_Link.after_sequence < _Link.sequence - 1))
            skipped = Numbers.of((int(after or 0) + 1, number - 1) for after, number in jumps)
        return BootKnown(seen, max([followed, *(last for _, last in seen.ranges[-1:])]), skipped)

    def forks(self, agent: str) -> int:
        """Return how many of an agent's reports follow what another one follows, too."""
        follow = (_Link.agent == agent, _Link.after_boot.is_not(None))
        places = select(_Link.after_boot, _Link.after_sequence).where(*follow).distinct().subquery()
        with Session(self._engine) as session:
            followed = session.scalars(select(func.count()).select_from(places)).one()
            return session.scalars(select(func.count()).select_from(_Link).where(*follow)).one() - followed

    def beginnings(self, agent: str) -> int:
        """Return how many of an agent's reports follow none."""
        query = select(func.count()).select_from(_Link).where(_Link.agent == agent, _Link.after_boot.is_(None))
        with Session(self._engine) as session:
            return session.scalars(query).one()

    def unfollowed(self, agent: str) -> Iterator[Follows]:
        """Give the reports of an agent whose predecessor is gone or another one, in the order in which they came."""
        before = aliased(_Link)
        there = and_(
            before.agent == _Link.agent,
            before.boot == _Link.after_boot,
            before.sequence == _Link.after_sequence,
        )
        columns = (_Link.boot, _Link.sequence, _Link.after_boot, _Link.after_sequence, _Link.after_digest)
        query = select(*columns, before.digest).outerjoin(before, there).where(_Link.agent == agent)
        wrong = _Link.after_digest.is_not(None) & before.digest.is_distinct_from(_Link.after_digest)
        with Session(self._engine) as session:
            rows = session.execute(query.where(wrong).order_by(text("link.rowid")).execution_options(yield_per=_PAGE))
            for boot, sequence, after_boot, after_sequence, after_digest, here in rows:
                after = Place(boot=str(after_boot), sequence=int(after_sequence or 0), digest=str(after_digest))
                yield Follows((boot, sequence), after, here)

    def hold(self, stored: Session) -> int:
        """Take the rows that are stored; return how many there are."""
        count = 0
        for table in _TABLES:
            rows = stored.execute(
                select(*table.columns)
                .where(table.c.institution_id == self._institution)
                .execution_options(yield_per=_PAGE)
            )
            for page in rows.mappings().partitions():
                with writing(self._engine) as session:
                    session.execute(insert(_held(table)), [dict(row) for row in page])
                count += len(page)
        return count

    def differences(self) -> Iterator[Difference]:
        """Say where the stored rows are others than those made again. One is named for each row."""
        for table in _LEDGER:
            yield from self._rows(table)
        yield from self._footage()

    def _rows(self, table: Table) -> Iterator[Difference]:
        held = _held(table)
        with Session(self._engine) as session:
            for made, there in _pairs(session, table, held, _unequal(table, held)):
                columns = tuple(name for name in made if made[name] != there[name])
                yield Difference("edited", _name(made), columns, _told_by(session, made))
            for made, _ in _pairs(session, table, held, _missing(held)):
                yield Difference("dropped", _name(made), (), _told_by(session, made))
            for there, _ in _pairs(session, held, table, _missing(table)):
                yield Difference("added", _name(there), (), _told_by(session, there))

    def _footage(self) -> Iterator[Difference]:
        """Judge what was put together of index readings by those readings themselves, one camera at a time."""
        held = _held(_FOOTAGE)
        with Session(self._engine) as session:
            for row in session.execute(select(*held.columns).execution_options(yield_per=_PAGE)).mappings():
                camera_id, upto, since = row["camera_id"], row["upto_at"], row["since_at"]
                name = f"what was put together of the index of camera/{camera_id}"
                wanted = session.get(FootageRow, (self._institution, camera_id))
                if wanted is None or wanted.upto_at != upto:
                    wanted = footage_of(session, self._institution, camera_id, upto)
                ends = _readings_at(session, camera_id, (upto, since))
                if wanted is None:
                    yield Difference("added", name)
                elif not says_the_same(wanted.body, row["body"]):
                    yield Difference("edited", name, ("body",))
                elif digest_of_text(row["body"]) != row["digest"]:
                    yield Difference("edited", name, ("digest",))
                elif len(ends) < 2 or since <= upto:
                    yield Difference("edited", name, ("upto_at", "since_at"))


@contextmanager
def rebuilding(institution: str) -> Iterator[Rebuilt]:
    """Give an empty ledger in a file of its own, which is gone afterwards. It may become as large as the stored one twice."""
    with tempfile.TemporaryDirectory(prefix="cradlewatch-verify-") as folder:
        engine = create_engine(f"sqlite:///{Path(folder) / 'ledger.sqlite'}")
        event.listen(engine, "connect", _unsafe)
        for table in _TABLES:
            _held(table)
        SpanRow.metadata.create_all(engine, tables=list(_TABLES))
        _HELD.create_all(engine)
        _Scratch.metadata.create_all(engine)
        try:
            yield Rebuilt(engine, institution)
        finally:
            engine.dispose()


def _unsafe(connection: Any, _record: Any) -> None:
    """Sync nothing: the file is thrown away."""
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "foreign_keys=OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _held(table: Table) -> Table:
    """Return the table for stored rows: the same columns and key, no reference to others."""
    name = f"held_{table.name}"
    if name not in _HELD.tables:
        columns = (Column(item.name, item.type, primary_key=item.primary_key) for item in table.columns)
        Table(name, _HELD, *columns)
    return _HELD.tables[name]


def _same_row(table: Table, other: Table) -> ColumnElement[bool]:
    return and_(*(column == other.c[column.name] for column in table.primary_key))


def _unequal(table: Table, held: Table) -> ColumnElement[bool]:
    rest = [column for column in table.columns if not column.primary_key]
    return and_(
        held.c.institution_id.is_not(None),
        ~and_(*(column.is_not_distinct_from(held.c[column.name]) for column in rest)),
    )


def _missing(other: Table) -> ColumnElement[bool]:
    return other.c.institution_id.is_(None)


def _pairs(
    session: Session, table: Table, other: Table, where: ColumnElement[bool]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Give the rows of a table, each beside its counterpart of the same key (None in each column without one)."""
    joined = table.outerjoin(other, _same_row(table, other))
    query = select(*table.columns, *(other.c[column.name].label(f"other_{column.name}") for column in table.columns))
    names = [column.name for column in table.columns]
    for row in session.execute(query.select_from(joined).where(where).execution_options(yield_per=_PAGE)):
        yield dict(zip(names, row[: len(names)], strict=True)), dict(zip(names, row[len(names) :], strict=True))


def _told_by(session: Session, row: dict[str, Any]) -> tuple[str, Position] | None:
    """Return the report that tells the newest observation of a row."""
    digest = str(row["digest"]) if "digest" in row else digest_of_text(str(row["newest"]))
    found = session.get(_Told, digest)
    return None if found is None else (found.agent, (found.boot, found.sequence))


def _readings_at(session: Session, camera_id: str, instants: tuple[Millis, Millis]) -> set[Millis]:
    """Return at which of the instants the camera's index was read."""
    row = InstantRow
    query = select(row.at).where(row.kind == Kind.RECORDINGS.value, row.subject_id == camera_id, row.at.in_(instants))
    return set(session.scalars(query))


def _name(row: dict[str, Any]) -> str:
    subject = f"{row['kind']} of {row['subject_kind']}/{row['subject_id']}"
    if "lane" in row:
        return f"span {subject}, {row['lane']}, from {moment(row['start_at'])}"
    return f"instant {subject} at {moment(row['at'])}"


def moment(at: Millis) -> str:
    """Return an instant of a row as people read it, or what stands there where that is none."""
    try:
        return isoformat(at)
    except (OverflowError, ValueError, TypeError):  # whoever edits a row may write anything
        return str(at)
