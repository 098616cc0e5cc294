"""The journal: what comes out of it folds to the same facts as what went in, and it stays small."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agents import database
from agents.database import DatabaseError
from agents.journal import KEEP, Journal
from monitor.model.inventory import Inventory
from monitor.model.ledger import fold
from monitor.model.observation import Kind, Observation, Source, Subject
from monitor.model.span import DAY, HOUR, MINUTE, Basis, Millis
from support.damage import damage

NOW: Millis = 1_790_000_000_000
GATE = Subject(kind="camera", id="gate")
NVR = Subject(kind="recorder", id="nvr")
SITE = Inventory.model_validate(
    {
        "institution": {"id": "a"},
        "zones": [],
        "cameras": [{"id": "gate", "zones": [], "recorder": "nvr"}],
        "recorders": [{"id": "nvr", "driver": "files"}],
    }
)


def stream(start: Millis, end: Millis, state: str = "up", cause: str | None = None, expires: Millis = 0) -> Observation:
    return Observation(
        subject=GATE, kind=Kind.STREAM, start=start, end=end, state=state, cause=cause, basis=Basis.WATCHED, expires=expires or end + MINUTE,
    )  # fmt: skip


def instant(kind: Kind, at: Millis, state: str = "read", subject: Subject = NVR, **facts: JsonValue) -> Observation:
    return Observation(subject=subject, kind=kind, start=at, end=at, state=state, expires=at + HOUR, facts=facts)


def reading(at: Millis, window: tuple[Millis, Millis], *spans: tuple[Millis, Millis]) -> Observation:
    return instant(Kind.RECORDINGS, at, "read", GATE, window=list(window), spans=[list(s) for s in spans], locked=[])


def test_spans_that_touch_become_one_with_the_latest_expiry(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    for minute in range(10):
        journal.append([stream(NOW + minute * MINUTE, NOW + (minute + 1) * MINUTE)])
    (kept,) = journal.all(NOW + HOUR)
    assert (kept.start, kept.end, kept.expires) == (NOW, NOW + 10 * MINUTE, NOW + 11 * MINUTE)


def test_other_states_causes_and_holes_stay_apart(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.append(
        [
            stream(NOW, NOW + MINUTE),
            stream(NOW + MINUTE, NOW + 2 * MINUTE, "down", "refused"),
            stream(NOW + 2 * MINUTE, NOW + 3 * MINUTE, "down", "timeout"),
            stream(NOW + 4 * MINUTE, NOW + 5 * MINUTE, "down", "timeout"),
        ]
    )
    assert len(journal.all(NOW + HOUR)) == 4


def test_what_was_seen_later_is_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.append([stream(NOW, NOW + MINUTE), instant(Kind.DISKS, NOW + 1)])
    assert journal.all(NOW - 1) == []
    assert len(journal.all(NOW)) == 1


def test_repeated_answers_leave_the_first_and_the_last(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.append([instant(Kind.IDENTITY, NOW + hour * HOUR, serial_digest="a") for hour in range(20)])
    journal.append([instant(Kind.IDENTITY, NOW + 20 * HOUR, serial_digest="b")])
    assert [item.start for item in journal.all(NOW + DAY)] == [NOW, NOW + 19 * HOUR, NOW + 20 * HOUR]


def test_index_readings_that_were_read_again_are_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.append([reading(NOW, (0, 100)), reading(NOW + 1, (100, 200)), reading(NOW + 2, (50, 150))])
    assert len(journal.all(NOW + 9)) == 3
    journal.append([reading(NOW + 3, (0, 300))])
    assert [item.start for item in journal.all(NOW + 9)] == [NOW + 3]
    journal.append([instant(Kind.RECORDINGS, NOW + at, "unknown", GATE) for at in (4, 5)])
    assert [item.start for item in journal.all(NOW + 9)] == [NOW + 3, NOW + 5]


def test_first_seen_outlives_what_is_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.append([stream(NOW - KEEP - DAY, NOW - KEEP - HOUR), stream(NOW, NOW + 1), instant(Kind.DISKS, NOW)])
    assert journal.prune(NOW) == 1
    assert journal.first_seen() == {GATE: NOW - KEEP - DAY, NVR: NOW}
    assert [item.start for item in journal.all(NOW)] == [NOW, NOW]


def test_the_last_word_and_statements_that_hold_are_not_pruned(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    old = NOW - 2 * KEEP
    walks = [
        Observation(
            subject=Subject(kind="zone", id="z"), kind=Kind.ATTESTATION, start=old + at, end=old + at, state="ok",
            source=Source.PERSON, expires=expires, facts={"what": "coverage_walk", "by": "x"},
        )
        for at, expires in ((0, old + DAY), (1, NOW), (2, old + DAY))
    ]  # fmt: skip
    journal.append([stream(old, old + HOUR), instant(Kind.CHANNELS, old), *walks])
    assert journal.prune(NOW) == 1
    assert len(journal.all(NOW)) == 4


def test_the_journal_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first = Journal(path)
    first.append([stream(NOW, NOW + MINUTE)])
    first.close()
    assert Journal(path).all(NOW) == [stream(NOW, NOW + MINUTE)]


def test_a_day_is_as_few_spans_cut_at_its_edges(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    low, high = NOW // DAY * DAY, NOW // DAY * DAY + DAY
    starts = [low + minute * MINUTE for minute in range(-5, 24 * 60 + 5)]
    down = low + 100 * MINUTE
    journal.append([stream(start, start + MINUTE, "down" if start == down else "up") for start in starts])
    first, fault, last = journal.spans_between(low, high)
    assert (first.start, first.end, first.state) == (low, low + 100 * MINUTE, "up")
    assert (fault.start, fault.end, fault.state) == (low + 100 * MINUTE, low + 101 * MINUTE, "down")
    assert (last.end, last.expires) == (high, high), "what comes after midnight is the next day's to say"


def test_a_damaged_journal_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    journal = Journal(path)
    assert journal.all(NOW) == []
    assert len(journal.set_aside) == 1


def test_no_damage_stops_the_agent(tmp_path: Path) -> None:
    """What can't be read any more is unknown, and the journal goes on."""
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    journal.append([stream(NOW + 2 * i, NOW + 2 * i + 1, detail) for i in range(40) for detail in ("up", "down")])
    journal.append([reading(NOW + i, (i, i + 2), (i, i + 1)) for i in range(40)])
    journal.close()
    content = path.read_bytes()
    seeded = random.Random(3)
    left = []
    for _ in range(40):
        for file in tmp_path.iterdir():
            file.unlink()
        path.write_bytes(damage(content, seeded))
        journal = Journal(path)
        journal.append([stream(NOW + HOUR, NOW + HOUR + 1), reading(NOW + HOUR, (0, 5))])
        left.append(len(journal.all(NOW + DAY)))
        journal.first_seen()
        journal.prune(NOW + DAY)
        journal.close()
    assert max(left) > 100


STREAMS = st.builds(
    lambda start, length, state: stream(NOW + start, NOW + start + length, state),
    st.integers(0, 50),
    st.integers(0, 20),
    st.sampled_from(["up", "down", "unknown"]),
)
READINGS = st.builds(
    lambda at, low, length, edges: reading(
        NOW + at, (low, low + length), *((low + min(edge, length), low + min(edge + 5, length)) for edge in edges)
    ),
    st.integers(0, 50),
    st.integers(0, 60),
    st.integers(1, 60),
    st.lists(st.integers(0, 60), max_size=3),
)
CLOCKS = st.builds(
    lambda at, offset: instant(Kind.CLOCK, NOW + at, offset_seconds=offset),
    st.integers(0, 50),
    st.sampled_from([0, 3600]),
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(STREAMS | READINGS | CLOCKS, max_size=12), st.randoms(use_true_random=False))
def test_it_folds_to_the_same_facts_in_any_order_and_with_copies(
    tmp_path: Path, seen: list[Observation], mixed: random.Random
) -> None:
    for file in tmp_path.iterdir():
        file.unlink()
    journal = Journal(tmp_path / "journal.sqlite")
    shuffled = [*seen, *seen[:3]]
    mixed.shuffle(shuffled)
    for item in shuffled:
        journal.append([item])
    as_of = NOW + HOUR
    expected, found = fold(seen, as_of, inventory=SITE), fold(journal.all(as_of), as_of, inventory=SITE)
    journal.close()
    assert expected is not None
    assert found is not None
    for name, line in expected.streams.items():
        for state in ("up", "down", "unknown"):
            assert found.streams[name].where(state) == line.where(state)
    assert {key: (value.footage, value.scanned) for key, value in found.recordings.items()} == {
        key: (value.footage, value.scanned) for key, value in expected.recordings.items()
    }


def test_who_reads_waits_for_no_writer_and_no_writer_for_who_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`agent check` reads all of it beside a service, whose cameras nobody watches while it waits."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    path = tmp_path / "journal.sqlite"
    service, check = Journal(path), Journal(path)
    service.append([stream(NOW, NOW + MINUTE)])
    later = stream(NOW + HOUR, NOW + HOUR + MINUTE)

    def reading_all(connection: sqlite3.Connection) -> int:
        rows = connection.execute("SELECT said FROM span")
        first = rows.fetchone()
        service.append([later])
        return len([first, *rows])

    def writing(connection: sqlite3.Connection) -> list[Observation]:
        connection.execute("DELETE FROM span")
        return check.all(NOW + DAY)

    assert check._database.read(reading_all) == 1
    assert service._database.run(writing) == [stream(NOW, NOW + MINUTE), later]
    assert check.all(NOW + DAY) == []


def test_that_it_can_be_read_does_not_say_that_it_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    path = tmp_path / "journal.sqlite"
    journal, other = Journal(path), Journal(path)

    def meanwhile(_: sqlite3.Connection) -> None:
        with pytest.raises(DatabaseError):
            journal.append([stream(NOW, NOW + MINUTE)])
        assert journal.all(NOW + DAY) == []

    other._database.run(meanwhile)
    assert journal.problem is not None
    journal.append([stream(NOW, NOW + MINUTE)])
    assert journal.problem is None


def test_what_is_old_goes_in_portions_and_the_newest_word_stays(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    flaps = [stream(NOW + n * MINUTE, NOW + n * MINUTE + 1, "down" if n % 2 else "up") for n in range(25)]
    journal.append([*flaps, instant(Kind.CLOCK, NOW, offset_seconds=0), instant(Kind.CLOCK, NOW + 9, offset_seconds=2)])
    went: list[int] = []
    while not went or went[-1]:
        went.append(journal.prune(NOW + KEEP + DAY, most=10))
    assert went == [11, 10, 4, 0]
    assert [(item.kind, item.start) for item in journal.all(NOW + DAY)] == [
        (Kind.STREAM, flaps[-1].start),
        (Kind.CLOCK, NOW + 9),
    ]


def test_what_holds_over_time_can_be_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.append([stream(NOW, NOW + MINUTE), instant(Kind.CLOCK, NOW, offset_seconds=0)])
    assert [item.kind for item in journal.all(NOW + DAY, spans=False)] == [Kind.CLOCK]


def test_a_span_that_cannot_be_read_any_more_is_counted_where_it_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    journal.append([stream(NOW, NOW + MINUTE), stream(NOW + HOUR, NOW + HOUR + 1)])
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE span SET said = '{' WHERE start = ?", (NOW,))
    assert [item.start for item in journal.spans_between(NOW, NOW + DAY)] == [NOW + HOUR]
    assert journal.unreadable_spans == 1
    journal.spans_between(NOW + MINUTE + 1, NOW + DAY)
    assert journal.unreadable_spans == 0
