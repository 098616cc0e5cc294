"""Rows are written alike on both databases, however many there are."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import IntegrityError

from monitor.store.engine import reading, with_patience, writing
from monitor.store.given import NUMBER, TEXT, run_given, run_last, send_last
from monitor.store.patience import REQUEST, UNHURRIED, Patience
from monitor.store.tables import CollectorKeyRow, DisputedReportRow, InstitutionRow, JurisdictionRow
from monitor.store.upsert import insert_new, insert_rows, upsert
from support.centre import make_centre

Row = dict[str, object]


def rows(first: int, last: int, value: str) -> list[Row]:
    return [{"name": f"key-{number:03}", "value": value, "created_at": number} for number in range(first, last + 1)]


def stored(engine: Engine) -> list[tuple[str, str]]:
    with reading(engine) as session:
        found = session.execute(select(CollectorKeyRow.name, CollectorKeyRow.value).order_by(CollectorKeyRow.name))
        return [(name, value) for name, value in found]


@pytest.mark.parametrize("count", [1, 16, 17, 100])
def test_any_number_of_rows_is_written_kept_or_replaced(engine: Engine, count: int) -> None:
    with writing(engine) as session:
        insert_rows(session, CollectorKeyRow, rows(1, count, "first"))
        insert_new(session, CollectorKeyRow, rows(count, count + 60, "kept"))
        upsert(session, CollectorKeyRow, rows(count + 1, count + 40, "replaced"))
    words = ["first"] * count + ["replaced"] * 40 + ["kept"] * 20
    assert stored(engine) == [(f"key-{number:03}", word) for number, word in enumerate(words, 1)]


def test_nothing_is_written_where_one_of_many_is_there_already(engine: Engine) -> None:
    with writing(engine) as session:
        insert_rows(session, CollectorKeyRow, rows(20, 20, "first"))
    with pytest.raises(IntegrityError), writing(engine) as session:
        insert_rows(session, CollectorKeyRow, rows(1, 20, "second"))
    assert stored(engine) == [("key-020", "first")]


_RENAMED = "UPDATE collector_key SET value = given.value FROM {given} WHERE collector_key.name = given.name"
_COLUMNS = {"name": TEXT, "value": TEXT}


@pytest.mark.parametrize("turns", [1, 8])  # psycopg prepares what it has seen five times
def test_what_goes_with_the_end_of_the_transaction_is_written_in_order(engine: Engine, turns: int) -> None:
    for turn in range(turns):
        with writing(engine) as session:
            insert_rows(session, CollectorKeyRow, rows(10 * turn + 1, 10 * turn + 10, "first"), last=True)
            upsert(session, CollectorKeyRow, rows(10 * turn + 9, 10 * turn + 10, "replaced"), last=True)
            run_last(session, _RENAMED, _COLUMNS, [(f"key-{10 * turn + 10:03}", "named"), ("key-999", "nobody")])
            run_last(session, _RENAMED, _COLUMNS, [])
    words = ["first"] * 8 + ["replaced", "named"]
    assert stored(engine) == [(f"key-{number:03}", words[(number - 1) % 10]) for number in range(1, 10 * turns + 1)]


def test_on_postgresql_it_goes_no_sooner(engine: Engine) -> None:
    """Else each statement were a way there and back by itself."""
    with writing(engine) as session:
        insert_rows(session, CollectorKeyRow, rows(1, 3, "first"), last=True)
        seen = len(session.execute(select(CollectorKeyRow.name)).all())
    assert seen == (0 if engine.dialect.name == "postgresql" else 3)
    assert len(stored(engine)) == 3


@pytest.mark.timeout(30)
@pytest.mark.parametrize("patience", [UNHURRIED, REQUEST], ids=["unhurried", "request"])
def test_it_may_be_more_than_the_line_takes_at_once(engine: Engine, patience: Patience) -> None:
    """A backlog's group of reports is: psycopg's pipeline waited for an answer to what it had not sent, and so did the server."""
    used = with_patience(engine, patience)
    for turn in range(2):
        with writing(used) as session:
            insert_rows(session, CollectorKeyRow, rows(100 * turn, 100 * turn + 15, "x" * 1024 * 1024), last=True)
            upsert(session, CollectorKeyRow, rows(100 * turn + 50, 100 * turn + 51, "behind"), last=True)
    assert len(stored(engine)) == 2 * 18
    if used is not engine:
        used.dispose()


def test_without_a_transaction_nothing_waits_for_its_end(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(RuntimeError):
        send_last(connection, "DELETE FROM collector_key", ())


def test_where_it_fails_nothing_is_committed_and_the_connection_goes_on(engine: Engine) -> None:
    with writing(engine) as session:
        insert_rows(session, CollectorKeyRow, rows(20, 20, "first"))

    def write(*, broken_off: bool = False) -> None:
        with writing(engine) as session:
            insert_rows(session, CollectorKeyRow, rows(1, 3, "before"))
            insert_rows(session, CollectorKeyRow, rows(4, 5, "put off"), last=True)
            if broken_off:
                raise KeyError
            insert_rows(session, CollectorKeyRow, rows(19, 21, "there already"), last=True)
            upsert(session, CollectorKeyRow, rows(6, 7, "behind"), last=True)

    for _ in range(8):
        with pytest.raises(IntegrityError):
            write()
    with pytest.raises(KeyError):
        write(broken_off=True)
    with writing(engine) as session:
        insert_rows(session, CollectorKeyRow, rows(40, 40, "second"))
    assert stored(engine) == [("key-020", "first"), ("key-040", "second")]


def test_what_is_absent_and_what_has_marks_of_the_driver_is_written_as_it_is(engine: Engine) -> None:
    odd = "50 % %s :name \\ ' \" 示范"
    nodes: list[Row] = [{"code": "32", "name": odd, "level": "province", "parent": None}]
    with writing(engine) as session:
        upsert(session, JurisdictionRow, nodes)
        upsert(session, JurisdictionRow, [{**nodes[0], "code": "3205", "parent": "32"}])
    with reading(engine) as session:
        assert [(node.name, node.parent) for node in session.scalars(select(JurisdictionRow))] == [
            (odd, None),
            (odd, "32"),
        ]


def test_bytes_are_written_as_they_are(engine: Engine) -> None:
    odd = [b"", b"\x00", bytes(range(256)), b'\\x41"{},NULL', "示范".encode(), b"%b %s"]
    make_centre(engine).add()
    who = {"institution_id": "wj-0001", "agent_id": "box", "boot": "b", "received_at": 0}
    given: list[Row] = [{**who, "sequence": number, "digest": "d", "envelope": data} for number, data in enumerate(odd)]
    with writing(engine) as session:
        insert_rows(session, DisputedReportRow, given)
    with reading(engine) as session:
        query = select(DisputedReportRow.envelope).order_by(DisputedReportRow.sequence)
        assert [bytes(data) for data in session.scalars(query)] == odd


def test_columns_that_are_left_out_have_their_defaults_and_are_never_replaced(engine: Engine) -> None:
    row: Row = {"id": "wj-0001", "name": "a", "timezone": "UTC", "regulation": "x", "created_at": 0}
    with writing(engine) as session:
        insert_new(session, InstitutionRow, [row])
        session.execute(update(InstitutionRow).values(open_findings=3))
        upsert(session, InstitutionRow, [{**row, "name": "b"}])
    with reading(engine) as session:
        (found,) = session.scalars(select(InstitutionRow))
        assert (found.name, found.open_findings, found.silent) == ("b", 3, False)


def test_what_a_statement_is_given_comes_back_as_it_was(engine: Engine) -> None:
    """Marks of the driver, of arrays and of SQL, absent values, and more rows than SQLite takes at once."""
    odd = ["", "NULL", "a,b", "{}", '"', "\\", "\\x00", "%s", "?", " :a ", "'", "\t\n", "示范", "null"]
    rows: list[tuple[object, ...]] = [(text, number) for number, text in enumerate(odd)]
    rows += [("absent", None), *(("many", number) for number in range(20_000))]
    columns = {"word": TEXT, "number": NUMBER}
    with reading(engine) as session:
        found = run_given(session, "SELECT given.word, given.number FROM {given}", columns, rows)
        assert [tuple(row) for row in found] == rows
        assert run_given(session, "SELECT 1 FROM {given}", columns, []) == []
