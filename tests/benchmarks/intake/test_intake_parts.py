"""The auditor sees what is lost, double or counted wrongly; the load reads answers; both sides of B10 and B13 write."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.intake import enqueue, raw
from benchmarks.intake.auditor import Audit
from benchmarks.intake.load import Driven, whole_answer
from benchmarks.intake.reports import enrol
from monitor.collector.context import Context
from monitor.collector.ingest import ingest
from monitor.store.engine import open_engine


@pytest.fixture
def file(sqlite_template: Path, tmp_path: Path) -> Path:
    path = tmp_path / "centre.db"
    path.write_bytes(sqlite_template.read_bytes())
    return path


def taken_in(file: Path, reports: int) -> Audit:
    """Let a collector take reports in, and the auditor know what was answered."""
    engine = open_engine(f"sqlite:///{file}")
    (sender,) = enrol(engine, 1)
    receipts = ingest(Context(engine), [sender.envelope() for _ in range(reports)]).receipts
    engine.dispose()
    assert [receipt.status for receipt in receipts] == ["stored"] * reports
    audit = Audit()
    audit.answered(Driven(stored=[(sender.institution, 1, reports)]))
    return audit


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("UPDATE agent SET reports = reports", []),
        ("DELETE FROM report WHERE sequence = 2", ["report 2 of site-00000 was answered and is lost"]),
        (
            "UPDATE report SET sequence = 9 WHERE sequence = 3",
            ["report 9 of site-00000 is stored and was not answered"],
        ),
        ("UPDATE agent SET reports = 4", ["site-00000: 4 reports are counted, 3 are stored"]),
        ("UPDATE span SET end_at = end_at - 1 WHERE subject_id = 'camera-7'", ["the longest of 179999 ms"]),
        ("DELETE FROM span WHERE subject_id = 'camera-7'", ["14 cameras"]),
    ],
)
def test_the_auditor_sees_what_is_wrong(file: Path, spoil: str, said: list[str]) -> None:
    audit = taken_in(file, 3)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(spoil)
    problems = audit.problems(f"sqlite:///{file}")
    assert all(any(text in problem for problem in problems) for text in said), problems
    assert bool(problems) == bool(said)


def test_answers_are_read_however_they_come() -> None:
    answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nhello"
    got = bytearray()
    for number, byte in enumerate(answer, 1):
        got.append(byte)
        found = whole_answer(got)
        assert found == ((503, b"hello") if number == len(answer) else None)
    assert not got


def test_the_bare_side_writes_as_many_rows_as_the_collector(file: Path) -> None:
    audit = taken_in(file, 3)
    engine = open_engine(f"sqlite:///{file}")
    (other,) = enrol(engine, 1, "bench")
    engine.dispose()
    raw.write(file, [other.institution], other.envelope(), together=3, rounds=2, first=1)
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT institution_id, count(*) FROM report GROUP BY 1").fetchall()
        spans = connection.execute("SELECT institution_id, count(*) FROM span GROUP BY 1").fetchall()
    assert (rows, spans) == ([("bench-00000", 6), ("site-00000", 3)], [("bench-00000", 15), ("site-00000", 15)])
    assert audit.problems(f"sqlite:///{file}") == []


def test_both_sides_of_the_outbox_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enqueue, "WAITING", 5)
    enqueue.bench(reports=5, runs=1)
    said = capsys.readouterr().out
    assert "B10, 0 reports waiting" in said
    assert "B10, 5 reports waiting" in said
    assert said.count("times the disk") == 2
