"""Footage dated 1970 after an empty battery: corrected where the lost clock was read, else held by nobody's count."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.clock_offsets import PLAUSIBLE_FROM
from monitor.model.ledger import fold
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.recordings import RecordingFacts
from monitor.model.span import DAY, HOUR, MINUTE, Millis, Spans, from_millis
from support.auditor import Books
from support.indexes import random_books
from support.judging import CAMERA, inventory_of, judged, observations_of, statement_of

RECORDER = Subject(kind="recorder", id="nvr")
NOW: Millis = 1_795_406_400_000  # 2026-11-23T04:00:00Z
BEGUN = NOW - 40 * DAY


def clock(at: Millis, offset: Millis) -> Observation:
    facts: dict[str, Any] = {"offset_seconds": offset / 1000}
    return Observation(subject=RECORDER, kind=Kind.CLOCK, start=at, end=at, state="read", expires=at + DAY, facts=facts)


def index(*windows: tuple[Millis, Millis], spans: Spans) -> list[Observation]:
    """Return readings of what is dated in these windows, one a millisecond."""
    return [
        Observation(
            subject=CAMERA, kind=Kind.RECORDINGS, start=at, end=at, state="read", expires=NOW + DAY,
            facts={"window": list(window), "spans": [list(pair) for pair in spans.clip(*window).tuples()], "locked": []},
        )
        for at, window in enumerate(windows, start=NOW - len(windows))
    ]  # fmt: skip


def reading_of(observations: list[Observation]) -> RecordingFacts:
    books = Books("Asia/Shanghai", from_millis(NOW), 30, [])
    facts = fold(sorted(observations, key=Observation.sort_key), NOW, inventory=inventory_of(books))
    assert facts is not None
    return facts.recordings["gate"]


ERAS = st.lists(st.integers(1, 39 * 24), min_size=2, max_size=5, unique=True).map(sorted)
"""At which hours after BEGUN the clock is lost, set right, lost again ..."""


@settings(max_examples=60)
@given(
    ERAS,
    st.lists(st.integers(0, 40 * 24 - 1), max_size=30, unique=True),
    st.sets(st.integers(0, 40 * 24), max_size=12),
)
def test_nothing_is_held_that_was_not_recorded(eras: list[int], recorded: list[int], asked: set[int]) -> None:
    """Whatever the clock did and whenever it was read: no footage is where none was, and what is undated is told."""

    def offset_at(hour: int) -> Millis:
        number = sum(edge <= hour for edge in eras)
        return 0 if number % 2 == 0 else -(BEGUN + eras[number - 1] * HOUR)

    def stretch(hour: int) -> tuple[Millis, Millis]:
        return BEGUN + hour * HOUR, BEGUN + hour * HOUR + 50 * MINUTE

    truth = Spans.of([stretch(hour) for hour in recorded])
    dated = Spans.of([(a + offset_at(hour), b + offset_at(hour)) for hour in recorded for a, b in [stretch(hour)]])
    # A lost clock that nobody ever read, beside one that was read, can't be told from it.
    read = sorted(asked | {eras[number] for number in range(0, len(eras), 2)})
    clocks = [clock(BEGUN + hour * HOUR, offset_at(hour)) for hour in read]
    reading = reading_of([*clocks, *index((0, 60 * DAY), (BEGUN - DAY, NOW), spans=dated)])
    assert reading.footage.subtract(truth).total() == 0
    lost = dated.clip(0, PLAUSIBLE_FROM)
    assert reading.clock_unverified.subtract(lost).total() == 0
    never_read = reading_of(index((0, 60 * DAY), (BEGUN - DAY, NOW), spans=dated))
    assert (never_read.footage, never_read.clock_unverified) == (dated.clip(PLAUSIBLE_FROM, NOW), lost)


@settings(max_examples=30)
@given(
    st.integers(1, 30), st.integers(1, 9), st.lists(st.integers(0, 40 * 24 - 1), min_size=1, max_size=30, unique=True)
)
def test_a_lost_clock_that_is_read_all_the_time_loses_nothing(day: int, days: int, recorded: list[int]) -> None:
    lost, right = BEGUN + day * DAY, BEGUN + (day + days) * DAY

    def offset_at(at: Millis) -> Millis:
        return -lost if lost <= at < right else 0

    truth = Spans.of([(BEGUN + hour * HOUR, BEGUN + hour * HOUR + 50 * MINUTE) for hour in recorded])
    dated = Spans.of([(a + offset_at(a), b + offset_at(a)) for a, b in truth.tuples()])
    clocks = [clock(at, offset_at(at)) for at in range(BEGUN, NOW, 4 * HOUR)]
    reading = reading_of([*clocks, *index((0, 60 * DAY), (BEGUN - DAY, NOW), spans=dated)])
    assert (reading.footage, reading.clock_unverified) == (truth, Spans.empty())


def test_what_was_recorded_before_the_battery_died_stays_where_it_is_dated() -> None:
    """The agent comes to a recorder whose clock is lost: older footage was dated by a clock that was right."""
    before, since = Spans.window(NOW - 30 * DAY, NOW - 2 * DAY), Spans.window(0, DAY)
    reading = reading_of(
        [clock(NOW - HOUR, -(NOW - DAY)), *index((0, 2 * DAY), (NOW - 40 * DAY, NOW), spans=before.union(since))]
    )
    assert reading.footage == before.union(Spans.window(NOW - HOUR, NOW - 1))
    assert reading.clock_unverified == Spans.window(0, DAY - HOUR)  # before first contact: nobody knows


def test_a_hole_since_the_battery_died_is_none_that_anybody_saw_until_the_clock_is_set() -> None:
    died, contact = NOW - 2 * DAY, NOW - HOUR
    before = Spans.window(NOW - 30 * DAY, died)
    indexes = index((0, 2 * DAY), (NOW - 40 * DAY, NOW), spans=before)
    lost = reading_of([clock(contact, -(contact - DAY)), *indexes])
    assert lost.scanned.clip(0, contact) == Spans.window(NOW - 40 * DAY, died)
    nothing_dated = reading_of([clock(contact, -(contact - DAY)), *index((0, DAY), (NOW - DAY, NOW), spans=before)])
    assert nothing_dated.scanned.clip(0, contact) == Spans.empty()
    right = reading_of([clock(contact, -(contact - DAY)), clock(NOW - MINUTE, 0), *indexes])
    assert right.scanned.clip(0, contact) == Spans.window(NOW - 40 * DAY, contact)


def test_two_boots_in_1970_are_not_told_apart() -> None:
    boots = [NOW - 20 * DAY, NOW - 10 * DAY]
    clocks = [clock(boot + hour * HOUR, -boot if hour < 5 else 0) for boot in boots for hour in range(1, 7)]
    footage = Spans.window(NOW - 40 * DAY, NOW - 30 * DAY).union(Spans.window(HOUR, 4 * HOUR))
    reading = reading_of([*clocks, *index((0, 2 * DAY), (NOW - 50 * DAY, NOW), spans=footage)])
    assert reading.footage == Spans.window(NOW - 40 * DAY, NOW - 30 * DAY)
    assert reading.clock_unverified == Spans.window(HOUR, 4 * HOUR)


@settings(max_examples=40)
@given(
    st.integers(0, 10_000), st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 3000)), min_size=1, max_size=5)
)
def test_a_verdict_is_the_same_with_footage_of_1970(seed: int, undated: list[tuple[int, int]]) -> None:
    """Neither a held day more nor a gap less, nor a new camera that looks old."""
    books, locked = random_books(seed)
    lost = [(start * MINUTE, (start + length) * MINUTE) for start, length in undated]
    expected = statement_of(judged(books, observations_of(books, locked)))
    plain = observations_of(books, locked)
    first = plain[0]
    more = first.model_copy(
        update={
            "facts": {**first.facts, "window": [0, 40 * DAY], "spans": [list(pair) for pair in lost], "locked": []},
            "start": first.start - 1,
            "end": first.end - 1,
        }
    )
    assert statement_of(judged(books, [more, *plain])) == expected


def test_the_evidence_says_what_is_left_out() -> None:
    books = Books("Asia/Shanghai", from_millis(NOW), 30, [(NOW - 35 * DAY, NOW)])
    plain = observations_of(books, [])
    window = plain[0].facts | {"window": [-1, NOW], "spans": [[HOUR, 2 * HOUR], [NOW - 35 * DAY, NOW]]}
    verdict = judged(books, [plain[0].model_copy(update={"facts": window}), *plain[1:]])
    assert "footage of 3600 s, dated before 2000 by a clock that was lost, is left out" in verdict.evidence[0].text
    assert verdict.state == "ok"
