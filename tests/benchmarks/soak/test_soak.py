"""The soak's short form, and its auditor against journals that are wrong in each way."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.processes import MIB, Footprint
from benchmarks.soak.auditor import Bounds, Done, Span, audit, spans_of, told
from benchmarks.soak.plan import FAULTS, HURRIED, REAL, episodes, script
from benchmarks.soak.run import Played, Reading, Soak, judge, play


@pytest.mark.long
@pytest.mark.timeout(180)
def test_every_fault_stands_in_the_journal_and_nothing_is_left_behind(tmp_path: Path) -> None:
    soak = Soak(len(FAULTS), 20.0, HURRIED, seed=1)
    played = play(soak, tmp_path)
    judged = judge(soak, played)
    assert judged.wrong == []
    assert {done.fault for done in played.done} == set(FAULTS)


BOUNDS = Bounds(10.0, 88.0, 10.2, 36.0)
DEAD = Done("a", "die", 1000.0, 1100.0)
BLACK = Done("b", "black", 1000.0, 1100.0)
DOWN = Span("a", "stream", "down", "refused", 999.8, 1130.0)
SEEN = Span("b", "view", "black", "", 1008.0, 1112.0)
WELL = [
    Span("a", "stream", "up", "", 900.0, 999.8), DOWN, Span("a", "stream", "up", "", 1130.0, 2000.0),
    Span("b", "view", "ok", "", 900.0, 1008.0), SEEN, Span("b", "view", "ok", "", 1112.0, 2000.0),
]  # fmt: skip


def wrong(*spans: Span) -> list[str]:
    """Return what is wrong with these spans, where the stream is up between them."""
    lane = sorted((span for span in spans if (span.camera, span.kind) == ("a", "stream")), key=lambda span: span.start)
    between = [
        Span("a", "stream", "up", "", before.end, after.start)
        for before, after in pairwise(lane)
        if before.end < after.start
    ]
    return audit([DEAD, BLACK], [*spans, *between], BOUNDS).wrong


def test_a_journal_that_is_right_has_nothing_wrong() -> None:
    found = audit([DEAD, BLACK], WELL, BOUNDS)
    assert (found.matched, found.wrong) == (2, [])
    assert found.lateness == {"die": [-0.2], "black": [8.0]}


@pytest.mark.parametrize(
    ("instead", "words"),
    [
        ([], "nothing in the journal"),
        ([replace(DOWN, start=1010.5)], "began +10.5 s"),
        ([replace(DOWN, start=990.0)], "began -10.0 s"),
        ([replace(DOWN, end=1190.0)], "ended +90.0 s"),
        ([replace(DOWN, end=1050.0)], "ended -50.0 s"),
        ([replace(DOWN, end=1098.0)], "ended -2.0 s"),
        ([replace(DOWN, cause="stalled")], "it says down stalled"),
        ([replace(DOWN, state="unknown", cause="blind")], "it says unknown blind"),
        ([replace(DOWN, end=1040.0), replace(DOWN, start=1050.0)], "in pieces"),
        ([DOWN, replace(DOWN, start=1500.0, end=1501.0)], "was nobody's doing"),
        ([DOWN, replace(SEEN, camera="a", state="covered", start=1400.0, end=1450.0)], "was nobody's doing"),
    ],
)
def test_a_journal_that_is_wrong_is_found_out(instead: list[Span], words: str) -> None:
    found = wrong(*instead, SEEN)
    assert len(found) == 1
    assert words in found[0]


def test_a_view_that_is_well_again_before_it_is_is_found_out() -> None:
    assert [item.split(": ", 1)[1] for item in wrong(DOWN, replace(SEEN, end=1065.0))] == ["ended -35.0 s"]


@pytest.mark.parametrize(
    ("spans", "words"),
    [
        ([*WELL, Span("a", "stream", "up", "", 1010.0, 1090.0)], ["down and up at a time"]),
        (
            [span for span in WELL if span.end != 2000.0] + [Span("a", "stream", "up", "", 1140.0, 2000.0)],
            ["nothing is said"],
        ),
        ([DOWN, SEEN, replace(WELL[0], end=990.0)], ["nothing is said"]),
    ],
)
def test_a_stream_of_which_two_things_are_said_or_nothing_is_found_out(spans: list[Span], words: list[str]) -> None:
    found = audit([DEAD, BLACK], spans, BOUNDS).wrong
    assert len(found) >= len(words)
    assert all(any(word in item for item in found) for word in words)


def test_a_view_that_begins_later_than_the_next_look_is_found_out() -> None:
    late = wrong(DOWN, replace(SEEN, start=SEEN.start + 2.5))
    assert [item.split(": ", 1)[1] for item in late] == ["began +10.5 s"]


def test_a_view_that_is_named_otherwise_is_found_out() -> None:
    assert [item.split(": ", 1)[1] for item in wrong(DOWN, replace(SEEN, state="dark"))] == ["it says dark "]


def test_one_cause_after_another_is_one_run() -> None:
    assert wrong(replace(DOWN, cause="closed", end=1003.0), replace(DOWN, start=1003.0), SEEN) == []


def test_the_auditor_reads_the_journal_s_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE span (subject_kind, subject, kind, state, cause, start, "end")')
        connection.execute("INSERT INTO span VALUES ('camera', 'a', 'stream', 'down', 'refused', 999800, 1130000)")
        connection.execute("INSERT INTO span VALUES ('agent', 'a', 'agent', 'up', '', 0, 1130000)")
    connection.close()
    assert spans_of(path) == [DOWN]


def test_what_was_done_is_what_the_devices_tell() -> None:
    events = [
        {"event": "go", "at": "2026-11-25T20:00:00.000Z"},
        {"event": "done", "camera": "a", "do": "die", "at": "2026-11-25T20:00:01.000Z"},
        {"event": "done", "camera": "a", "do": "revive", "at": "2026-11-25T20:00:03.500Z"},
    ]
    (done,) = told(events)
    assert (done.camera, done.fault, done.end - done.start) == ("a", "die", 2.5)
    with pytest.raises(ValueError, match="never revived"):
        told(events[:2])


@given(st.integers(0, 10**6), st.integers(1, 20), st.floats(1200, 7200))
def test_the_script_leaves_time_to_see_each_fault_and_ends_well(seed: int, cameras: int, seconds: float) -> None:
    names = [f"c{number}" for number in range(cameras)]
    planned = episodes(names, seconds, REAL, seed)
    assert planned == episodes(names, seconds, REAL, seed)
    for name in names:
        mine = [item for item in planned if item.camera == name]
        assert all(item.start >= REAL.warm_up and item.end <= seconds - REAL.quiet for item in mine)
        assert all(b.start - a.end >= REAL.healthy[0] for a, b in pairwise(mine))
        assert all(REAL.fault[0] <= item.end - item.start <= REAL.fault[1] for item in mine)
    assert len(script(names, planned, REAL)["timeline"]) == 2 * len(planned)


@pytest.mark.parametrize(
    ("grows", "words"),
    [
        (lambda at: Footprint(0, 9, 34, 100 * MIB), []),
        (lambda at: Footprint(0, 9, 34, 100 * MIB + int(at * 3000)), ["memory grew"]),
        (lambda at: Footprint(0, 9 + 4 * (at > 2000), 34, 100 * MIB), ["threads grew from 9 to 13"]),
        (lambda at: Footprint(0, 9, 34 + int(at / 900), 100 * MIB), ["handles grew from 34 to 37"]),
    ],
    ids=["nothing", "memory", "threads", "handles"],
)
def test_what_grows_is_found_out(grows: object, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE span (subject_kind, subject, kind, state, cause, start, "end")')
        rows = [("camera", s.camera, s.kind, s.state, s.cause, s.start * 1000, s.end * 1000) for s in (DOWN, SEEN)]
        connection.executemany("INSERT INTO span VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    readings = [Reading(float(at), grows(at)) for at in range(0, 3600, 15)]  # type: ignore[operator]
    judged = judge(Soak(2, 3600.0, REAL, 1), Played([DEAD, BLACK], readings, path, 400.0))
    assert len(judged.wrong) == len(words)
    assert all(word in sentence for word, sentence in zip(words, judged.wrong, strict=True))
