"""The ledger: any order and any copies give the same rows, and their fold is that of the observations themselves."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, event, select

from agents.run import clock_set
from monitor.model.kept import KeptIndexes
from monitor.model.ledger import fold
from monitor.model.observation import Kind, Observation, Source, Subject
from monitor.model.span import DAY, MINUTE, SECOND, Basis
from monitor.store import ledger
from monitor.store.cursor import CursorError, encode
from monitor.store.engine import reading, writing
from monitor.store.given import run_given
from monitor.store.indexes import load_indexes
from monitor.store.instants import put_together
from monitor.store.ledger import Entry, Piece, add_entries, ledger_page
from monitor.store.tables import FootageRow, InstantRow, SpanRow
from monitor.store.told import load_told
from support.centre import NOW, Centre, declared, instant, make_centre, span

AHEAD = NOW + 1_000_000
SET_TO = (Kind.TIME_SYNC, Kind.ALARM_INPUTS, Kind.FAULT_NOTICES, Kind.STORAGE_MODE, Kind.IDENTITY)
OF_AGENTS = (Kind.STORAGE, Kind.DROPPED)
OF_CAMERAS = (Kind.RECORDING_MODE, Kind.EXPIRY, Kind.IDENTITY, Kind.FOOTAGE_LOST, Kind.TWIN)


WORDS = (
    ("up", None), ("ok", None), ("down", "refused"), ("down", "covered"), ("covered", None), ("covered", "up"), ("looped", None),
    ("unknown", None), ("unknown", "clock_set"),
)  # fmt: skip
SUBJECTS = (
    ("camera/gate", Kind.STREAM), ("camera/gate", Kind.VIEW), ("camera/room1", Kind.STREAM), ("recorder/nvr", Kind.REACH),
)  # fmt: skip


@st.composite
def spans(draw: st.DrawFn) -> Observation:
    start = NOW + draw(st.integers(0, 40)) * SECOND
    end = start + draw(st.integers(0, 12)) * SECOND
    state, cause = draw(st.sampled_from(WORDS))
    who, kind = draw(st.sampled_from(SUBJECTS))
    expires = end + draw(st.integers(-60, 60)) * SECOND
    basis, source = draw(st.sampled_from([*Basis, None])), draw(st.sampled_from([Source.PROBE, Source.RECORDER]))
    facts = {"n": draw(st.integers(0, 2))}
    return span(
        who, state, start, end, kind=kind, cause=cause, basis=basis, source=source, expires=expires, facts=facts
    )


@st.composite
def instants(draw: st.DrawFn) -> Observation:
    at = NOW + draw(st.integers(0, 40)) * SECOND
    return instant("recorder/nvr", Kind.CLOCK, at, {"offset_seconds": draw(st.integers(-3, 3))})


@st.composite
def lives(draw: st.DrawFn) -> Observation:
    """Agents that run, and whose clocks are set back, or ahead."""
    start, name = NOW + draw(st.integers(0, 40)) * SECOND, draw(st.sampled_from(["box", "spare"]))
    if draw(st.booleans()):
        return clock_set(Subject(kind="agent", id=name), NOW + draw(st.integers(0, 60)) * SECOND, start)
    return span(f"agent/{name}", "up", start, start + draw(st.integers(0, 12)) * SECOND, kind=Kind.AGENT)


observations = st.lists(st.one_of(spans(), instants(), lives()), min_size=1, max_size=14)


def rows(engine: Engine) -> list[tuple[Any, ...]]:
    with reading(engine) as session:
        found: list[tuple[Any, ...]] = [
            (row.kind, row.subject_id, row.lane, row.start_at, row.end_at, row.newest, row.lasting)
            for row in session.scalars(select(SpanRow))
        ]
        found += [(row.digest, row.body) for row in session.scalars(select(InstantRow))]
        return sorted(found, key=repr)


def facts(engine: Engine, as_of: int, kept: KeptIndexes | None = None) -> Any:
    with reading(engine) as session:
        indexes = load_indexes(session, "wj-0001", as_of, kept or KeptIndexes())
        told = load_told(session, "wj-0001", as_of)
        seen = [declared(NOW - DAY), *told.observations]
        return fold(seen, as_of, indexes=indexes, stretches=told.stretches, twice=told.twice)


def store(engine: Engine, batches: list[list[Observation]]) -> list[tuple[Any, ...]]:
    with writing(engine) as session:
        session.execute(delete(SpanRow))
        session.execute(delete(InstantRow))
        session.execute(delete(FootageRow))
    for batch in batches:
        with writing(engine) as session:
            add_entries(session, {"wj-0001": [Entry.of(item) for item in batch]})
    return rows(engine)


@pytest.fixture
def centre(engine: Engine) -> Any:
    made = make_centre(engine)
    made.add()
    return made


@pytest.mark.parametrize("near", [ledger.MOST_NEAR, 0])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data(), seen=observations)
def test_order_and_copies_change_nothing(
    centre: Centre, engine: Engine, monkeypatch: pytest.MonkeyPatch, near: int, data: st.DataObject, seen: Any
) -> None:
    monkeypatch.setattr(ledger, "MOST_NEAR", near)
    once = store(engine, [seen])
    shuffled = data.draw(st.permutations([*seen, *data.draw(st.lists(st.sampled_from(seen), max_size=4))]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    edges = [0, *cuts, len(shuffled)]
    batches = [list(shuffled[a:b]) for a, b in itertools.pairwise(edges)]
    assert store(engine, batches) == once

    assert facts(engine, AHEAD) == fold([declared(NOW - DAY), *seen], AHEAD)
    as_of = NOW + data.draw(st.integers(0, 60_000))
    found, wanted = facts(engine, as_of), fold([declared(NOW - DAY), *seen], as_of)
    assert wanted is not None
    for part, kind in (("streams", Kind.STREAM), ("views", Kind.VIEW), ("reach", Kind.REACH), ("agents", Kind.AGENT)):
        lines, others = getattr(found, part), getattr(wanted, part)
        assert lines.keys() == others.keys()
        for name, line in lines.items():
            other = others[name]
            assert (line.spans, line.denied, line.at(as_of)) == (other.spans, other.denied, other.at(as_of))
            # Of a row that goes on after the instant the evidence is that of its end, which is all that is kept.
            ends = [item.end for item in seen if (item.kind, item.subject.id) == (kind, name) and item.start <= as_of]
            assert line == other or max(ends) > as_of
    assert found.inventory_seen == wanted.inventory_seen


@st.composite
def readings(draw: st.DrawFn) -> Observation:
    """A reading of an index, of the recorder's disks, or a refusal."""
    at = NOW + draw(st.integers(0, 30)) * SECOND
    kind = draw(
        st.sampled_from(
            [Kind.RECORDINGS] * 4 + [Kind.DISKS, Kind.CHANNELS, Kind.CLOCK, *SET_TO, *OF_CAMERAS, *OF_AGENTS]
        )
    )
    refused = draw(st.integers(0, 5)) == 0
    if kind in OF_CAMERAS:
        of_camera = {} if refused else {"days": draw(st.integers(0, 9)), "first_day": "2026-11-01", "mode": "motion"}
        return instant("camera/gate", kind, at, of_camera, state="unknown" if refused else "read")
    if kind in OF_AGENTS:
        return instant("agent/box", kind, at, {"n": draw(st.integers(0, 2))}, state="ok")
    if kind is not Kind.RECORDINGS:
        facts_of = (
            {}
            if refused
            else {"inputs": [], "mode": "quota", "offset_seconds": draw(st.integers(0, 9)), "disks": [], "channels": []}
        )
        return instant("recorder/nvr", kind, at, facts_of, state="unknown" if refused else "read")
    low = draw(st.integers(0, 50))
    high = low + draw(st.integers(1, 50))
    edges = sorted(set(draw(st.lists(st.integers(low, high), max_size=6))))
    spans_of = [[NOW - DAY + a, NOW - DAY + b] for a, b in zip(edges[::2], edges[1::2], strict=False)]
    content = {"window": [NOW - DAY + low, NOW - DAY + high], "spans": spans_of[:-1], "locked": spans_of[-1:]}
    return instant(
        "camera/gate", Kind.RECORDINGS, at, {} if refused else content, state="unknown" if refused else "read"
    )


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seen=st.lists(readings(), min_size=1, max_size=16), data=st.data())
def test_what_was_put_together_tells_the_same(
    centre: Centre, engine: Engine, seen: list[Observation], data: Any
) -> None:
    """Whether it is read again or kept in memory, over late readings, looks at the past and what is put together anew."""
    store(engine, [])
    kept = KeptIndexes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monitor.store.instants.COMPACT_AFTER", 1)
        for number, item in enumerate(seen):
            store_more(engine, item)
            if data.draw(st.integers(0, 4)) == 0:
                as_of = NOW + data.draw(st.integers(0, 40)) * SECOND
                told = [past for past in seen[: number + 1] if past.start <= as_of]
                assert facts(engine, as_of, kept) == fold([declared(NOW - DAY), *told], as_of)
            if data.draw(st.booleans()):
                with writing(engine) as session:
                    put_together(session, "wj-0001")
    for as_of in (AHEAD, NOW + 15 * SECOND):
        past = [item for item in seen if item.start <= as_of]
        assert facts(engine, as_of) == facts(engine, as_of, kept) == fold([declared(NOW - DAY), *past], as_of)


@pytest.mark.parametrize("together", [False, True])
def test_of_what_is_kept_only_the_names_are_read(centre: Centre, engine: Engine, *, together: bool) -> None:
    store(engine, [])
    kept = KeptIndexes()
    for minute in range(65):
        store_more(engine, reading_at(NOW + minute * MINUTE))
    if together:
        with writing(engine) as session:
            assert put_together(session, "wj-0001") == 1
    assert bodies_read(engine, kept) == (["footage", "instant"] if together else ["instant"])
    assert bodies_read(engine, kept) == []
    store_more(engine, reading_at(NOW + 65 * MINUTE))
    assert bodies_read(engine, kept) == ["instant"]
    assert bodies_read(engine, kept) == []


def test_readings_of_many_cameras_are_named_by_one_statement(centre: Centre, engine: Engine) -> None:
    store(engine, [])
    for number in range(5):
        store_more(engine, *(reading_at(NOW + minute, f"camera/c{number}") for minute in range(number + 1)))
    kept, asked = KeptIndexes(), []
    with reading(engine) as session:
        assert len(load_indexes(session, "wj-0001", AHEAD, kept)) == 5

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        with reading(engine) as session:
            load_indexes(session, "wj-0001", AHEAD, kept)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len([statement for statement in asked if re.search(r"(FROM|JOIN) instant\b", statement)]) == 2


def reading_at(at: int, camera: str = "camera/gate") -> Observation:
    return instant(camera, Kind.RECORDINGS, at, {"window": [at - 9, at], "spans": [[at - 9, at]], "locked": []})


def bodies_read(engine: Engine, kept: KeptIndexes) -> list[str]:
    """Return of which tables the content of readings was read."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.extend(table for table in ("instant", "footage") if f"{table}.body" in statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        with reading(engine) as session:
            load_indexes(session, "wj-0001", AHEAD * 2, kept)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return asked


def test_touching_spans_of_one_state_are_one_row(centre: Centre, engine: Engine) -> None:
    steps = [span("camera/gate", "up", NOW + i * SECOND, NOW + (i + 1) * SECOND) for i in range(5)]
    for step in (steps[0], steps[4], steps[2], steps[1]):
        store_more(engine, step)
    assert [(row[3] - NOW, row[4] - NOW) for row in rows(engine)] == [(0, 3000), (4000, 5000)]
    store_more(engine, steps[3])
    assert [(row[3] - NOW, row[4] - NOW) for row in rows(engine)] == [(0, 5000)]


def store_more(engine: Engine, *seen: Any) -> Any:
    with writing(engine) as session:
        add_entries(session, {"wj-0001": [Entry.of(item) for item in seen]})


def test_a_small_report_has_little_read_whatever_lies_between_its_instants(
    centre: Centre, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a million spans there, each such report kept the database for seconds, and all who waited with it."""
    count = 2 * ledger.MOST_NEAR
    store_more(engine, *(span("camera/gate", "up", NOW + 2 * n, NOW + 2 * n + 1) for n in range(count)))
    read: list[int] = []

    def reads(*given: Any) -> Any:
        found = run_given(*given)
        read.append(len(found))
        return found

    monkeypatch.setattr(ledger, "run_given", reads)
    ends = (NOW - MINUTE, NOW + 2 * count)
    store_more(engine, *(span("camera/gate", "up", at, at + 1) for at in ends), span("camera/room1", "up", *ends))
    assert read == [ledger.MOST_NEAR + 1, 0]
    assert len(rows(engine)) == count + 3
    store_more(engine, span("camera/gate", "up", NOW + 1, NOW + 2), span("camera/room1", "down", *ends))
    assert read[2:] == [ledger.MOST_NEAR + 1, 2]
    assert len(rows(engine)) == count + 3, "two are one now"


def test_what_is_near_is_looked_up_in_an_index_however_many_institutions_report_at_once(
    centre: Centre, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL read the whole table for each group of reports, where each of some dozen institutions had much of it."""
    names = [f"wj-{number:04}" for number in range(1, 21)]
    for name in names[1:]:
        centre.add(name)
    many = (
        "INSERT INTO span (institution_id, kind, subject_kind, subject_id, lane, start_at, end_at, newest)"
        " WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1999)"
        " SELECT id, 'stream', 'camera', 'gate', 'up', 2 * n, 2 * n + 1, 'x' FROM numbers CROSS JOIN institution"
    )
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, given: Any, *_more: Any) -> None:
        if "CROSS JOIN" in statement:
            asked.append((statement, given))

    with engine.begin() as connection:
        connection.exec_driver_sql(many)
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE span")
    monkeypatch.setattr(ledger, "MOST_NEAR", -1)
    event.listen(engine, "before_cursor_execute", note)
    with writing(engine) as session:
        add_entries(session, {name: [Entry.of(span("camera/gate", "up", NOW, NOW + 1))] for name in names})
    event.remove(engine, "before_cursor_execute", note)
    assert len(asked) == 2, "by time, and by lanes"
    explain = {"postgresql": "EXPLAIN", "sqlite": "EXPLAIN QUERY PLAN"}[engine.dialect.name]
    with engine.connect() as connection:
        for statement, values in asked:
            plan = "\n".join(map(str, connection.exec_driver_sql(f"{explain} {statement}", values)))
            assert not re.search(r"Seq Scan on span|SCAN s\b", plan), plan


@pytest.mark.parametrize("were", [(1, 20), (20, 1), (5, 20, 3, 40, 7)])
def test_of_two_steps_of_a_clock_to_one_instant_none_is_forgotten(
    centre: Centre, engine: Engine, were: tuple[int, ...]
) -> None:
    """Else what was told of one could be made untold by another that comes later."""
    box = Subject(kind="agent", id="box")
    seen = [clock_set(box, NOW + was * SECOND, NOW) for was in were]
    seen += [span("camera/gate", "up", NOW, NOW + 60 * SECOND), span("camera/gate", "down", NOW, NOW + 50 * SECOND)]
    for item in seen:
        store_more(engine, item)
    found = facts(engine, AHEAD)
    assert found == fold([declared(NOW - DAY), *seen], AHEAD)
    assert found.streams["gate"].where("unknown").end == NOW + max(were) * SECOND


def test_what_was_seen_holds_as_long_as_it_was_seen_whatever_is_said_of_it_later(
    centre: Centre, engine: Engine
) -> None:
    """Else the centre judged otherwise than a bundle of the same reports: it keeps the last word on a stretch alone."""
    seen = [
        span("camera/gate", "down", NOW, NOW + MINUTE, expires=NOW + DAY),
        span("camera/gate", "down", NOW + MINUTE, NOW + 2 * MINUTE, expires=0),
    ]
    store_more(engine, *seen)
    for as_of in (NOW + SECOND, NOW + MINUTE, NOW + 2 * MINUTE):
        found, wanted = facts(engine, as_of), fold([declared(NOW - DAY), *seen], as_of)
        assert wanted is not None
        assert found.streams["gate"].at(as_of) == wanted.streams["gate"].at(as_of)
        assert found.streams["gate"].at(as_of).state == "down"


def test_little_is_held_of_what_was_said_however_much_was(centre: Centre, engine: Engine) -> None:
    """Clocks that are set, causes that all hold now, troubles of the agent's own: a report may tell of twenty thousand of each."""
    box = Subject(kind="agent", id="box")
    store_more(
        engine,
        *(clock_set(box, NOW + n + 1, NOW + n) for n in range(1500)),
        *(span("camera/gate", "down", NOW, NOW + MINUTE + n % 3, cause=f"c{n}") for n in range(1500)),
        *(instant("agent/box", Kind.STORAGE, NOW + n, {"n": n}) for n in range(1500)),
        *(instant("agent/box", Kind.DROPPED, NOW + n, {"n": n}) for n in range(1500)),
    )
    for as_of in (AHEAD, NOW + MINUTE):
        with reading(engine) as session:
            told = load_told(session, "wj-0001", as_of)
        assert len(told.observations) < 10
        assert told.twice.tuples() == [(NOW, NOW + 1500)]
    assert facts(engine, AHEAD).streams["gate"].last.cause == "c1001", "of those that end last the first by name"


def test_institutions_are_kept_apart(centre: Centre, engine: Engine) -> None:
    centre.add("wj-0002")
    store_more(engine, span("camera/gate", "up", NOW, NOW + SECOND))
    with writing(engine) as session:
        add_entries(session, {"wj-0002": [Entry.of(span("camera/gate", "up", NOW + SECOND, NOW + 2 * SECOND))]})
    assert len(rows(engine)) == 2
    with reading(engine) as session:
        assert len(load_told(session, "wj-0002", AHEAD).observations) == 1


def test_what_comes_later_is_left_out(centre: Centre, engine: Engine) -> None:
    store_more(engine, span("camera/gate", "up", NOW, NOW + SECOND), span("camera/gate", "down", NOW + SECOND, AHEAD))
    with reading(engine) as session:
        told = load_told(session, "wj-0001", NOW + SECOND // 2)
    assert [item.state for item in told.stretches] == ["up"]
    assert [(item.state, item.end) for item in told.observations] == [("up", NOW + SECOND)]


def page_through(engine: Engine, **filters: Any) -> Any:
    found, after = [], None
    with reading(engine) as session:
        while True:
            page = ledger_page(session, "wj-0001", after=after, **filters)
            found += page.items
            if page.next is None:
                return found
            after = page.next


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_tile_the_ledger(centre: Centre, engine: Engine, limit: int) -> None:
    seen = [
        span(f"camera/{name}", "up", NOW + i * 5 * SECOND, NOW + i * 5 * SECOND + 1) for name in "ab" for i in range(3)
    ]
    seen += [instant("recorder/nvr", Kind.CLOCK, NOW + i, {"offset_seconds": i}) for i in range(3)]
    store_more(engine, *seen)
    everything = page_through(engine, limit=limit)
    assert len({item["digest"] for item in everything}) == len(everything) == 9
    assert everything == page_through(engine, limit=100)


def test_pages_filter_by_time_and_kind(centre: Centre, engine: Engine) -> None:
    store_more(engine, span("camera/gate", "up", NOW, NOW + 10), span("camera/gate", "down", NOW + 10, NOW + 20))
    store_more(engine, instant("recorder/nvr", Kind.CLOCK, NOW + 15, {"offset_seconds": 0}))
    kinds = [item["kind"] for item in page_through(engine, start=NOW + 10, limit=10)]
    assert kinds == ["stream", "clock"]
    assert [item["state"] for item in page_through(engine, end=NOW + 10, limit=10)] == ["up"]
    assert [item["kind"] for item in page_through(engine, kind=Kind.CLOCK, limit=10)] == ["clock"]
    assert len(page_through(engine, kind=Kind.STREAM, limit=1)) == 2


@pytest.mark.parametrize(
    "cursor", ["", "x", "W10", encode("span"), encode("other", 1, "x"), encode("span", 1, "x"), "é"]
)
def test_a_strange_cursor_is_refused(centre: Centre, engine: Engine, cursor: str) -> None:
    with reading(engine) as session, pytest.raises(CursorError):
        ledger_page(session, "wj-0001", after=cursor or "!")


@given(
    st.text(max_size=20), st.none() | st.text(min_size=1, max_size=9), st.text(min_size=1, max_size=9),
    st.dictionaries(st.text(max_size=5), st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner, max_size=3)), max_size=3),
    st.sampled_from([None, *Basis]), st.sampled_from([*Source]),
)  # fmt: skip
@settings(max_examples=60)
def test_an_observation_is_written_down_as_its_digest_says(
    detail: str, cause: str | None, state: str, said: dict[str, Any], basis: Basis | None, source: Source
) -> None:
    item = span("camera/gate", state, NOW, NOW + 1, cause=cause, detail=detail, facts=said, basis=basis, source=source)
    entry = Entry.of(item)
    assert entry.digest == item.digest
    assert json.loads(entry.text) == item.model_dump(mode="json")


def test_many_stretches_of_one_lane_are_not_each_held_against_all_stored_ones(
    centre: Centre, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report may tell of twenty thousand: sent again with other words they kept a worker, and the institution's row, for seconds."""
    count, compared = 300, 0

    def comparing(name: str) -> Callable[[Piece, object], Any]:
        def compare(piece: Piece, other: object) -> Any:
            nonlocal compared
            compared += 1
            return getattr(tuple, name)(piece, other)

        return compare

    seen = [span("camera/gate", "up", NOW + 2 * n * SECOND, NOW + (2 * n + 1) * SECOND) for n in range(count)]
    store_more(engine, *seen)
    for name in ("__eq__", "__ne__"):
        monkeypatch.setattr(Piece, name, comparing(name), raising=False)
    store_more(engine, *(item.model_copy(update={"expires": item.expires + 1}) for item in seen))
    assert len(rows(engine)) == count
    assert count <= compared < 4 * count
