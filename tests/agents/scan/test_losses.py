"""What an index no longer lists: a recorder that overwrites loses nothing, a storage reset loses all it held."""

from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.recorders.base import Footage
from agents.scan.losses import DayLedger, Loss
from agents.scan.recorder import chunks, reading
from monitor.model.span import DAY, HOUR, MINUTE, Millis, Spans

START: Millis = 20_000 * DAY
"""2024-10-04T00:00:00Z."""


def read(ledger: DayLedger, spans: Spans, start: Millis, now: Millis) -> list[Loss]:
    """Let the ledger take in a reading of [start, now), cut into parts as the scan cuts it."""
    footage = Footage(spans.clip(start, now), Spans.empty(), (start, now))
    return [loss for part in chunks(footage) if (loss := ledger.take(reading(part), now)[0]) is not None]


def minutes(start: Millis, end: Millis) -> Spans:
    """Footage in segments of 59 seconds: thousands of spans."""
    return Spans.of([(at, at + 59_000) for at in range(start, end, MINUTE)])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0.3, 3.0), min_size=40, max_size=60),
    st.lists(st.integers(1, 12), min_size=4, max_size=12),
    st.integers(5, 30),
)
def test_a_recorder_that_overwrites_loses_nothing_whatever_its_bit_rates(
    rates: list[float], pauses: list[int], capacity: int
) -> None:
    """A queue of bytes, each day of another size; read after pauses of days."""
    ledger, day = DayLedger(), 0
    for pause in pauses:
        day = min(len(rates), day + pause)
        sizes, edge, room = rates[:day], day, float(capacity)
        while edge and sizes[edge - 1] <= room:
            edge -= 1
            room -= sizes[edge]
        now = START + day * DAY + 12 * HOUR
        assert read(ledger, Spans.window(START + edge * DAY, now), now - 100 * DAY, now) == []


@pytest.mark.parametrize("held_days", [8, 30, 80])
def test_a_storage_reset_is_a_loss_of_all_that_was_held(held_days: int) -> None:
    ledger = DayLedger()
    now = START + held_days * DAY + 6 * HOUR
    assert (
        read(ledger, minutes(now - 3 * DAY, now).union(Spans.window(START, now - 3 * DAY)), START - 12 * DAY, now) == []
    )
    later = now + DAY
    (loss,) = read(ledger, Spans.window(later - 2 * HOUR, later), START - 11 * DAY, later)
    assert loss.last_day == date.fromordinal(date(2024, 10, 4).toordinal() + held_days - 1)
    assert loss.days >= held_days - 6, "the first days may have been overwritten"
    assert (loss.older_left, loss.last_seen) == (False, now)
    assert read(ledger, Spans.window(later - 2 * HOUR, later + DAY), START - 10 * DAY, later + DAY) == [], "told once"


def test_days_lost_in_the_middle_leave_older_ones() -> None:
    ledger, now = DayLedger(), START + 60 * DAY
    read(ledger, Spans.window(START, now), START, now)
    holed = Spans.window(START, now).subtract(Spans.window(START + 30 * DAY, START + 33 * DAY))
    (loss,) = read(ledger, holed, START, now + HOUR)
    assert (loss.days, loss.seconds, loss.older_left) == (3, 3 * 86_400, True)


def test_a_slow_look_back_finds_the_same_as_one_that_reads_all_at_once() -> None:
    """Ten days at a time, over days: what is lost is lost, though each part begins where the last one ended."""
    ledger, now = DayLedger(), START + 80 * DAY
    read(ledger, Spans.window(START, now), START, now)
    found = []
    for part in range(8):
        at = now + (part + 1) * 3 * HOUR
        window = Footage(Spans.empty(), Spans.empty(), (START + part * 10 * DAY, START + (part + 1) * 10 * DAY))
        loss, _ = ledger.take(reading(window), at)
        found += [loss] if loss is not None else []
    assert sum(loss.days for loss in found) >= 74
    assert not any(loss.older_left for loss in found)


def test_a_window_of_hours_says_nothing_of_a_day() -> None:
    ledger, now = DayLedger(), START + 40 * DAY
    read(ledger, Spans.window(START, now), START, now)
    before = ledger.written()
    assert ledger.take(reading(Footage(Spans.empty(), Spans.empty(), (now - 3 * HOUR, now))), now) == (None, False)
    assert ledger.written() == before


def test_what_is_remembered_survives_being_written_down() -> None:
    ledger, now = DayLedger(), START + 40 * DAY
    read(ledger, Spans.window(START, now), START, now)
    again = DayLedger.read(json.loads(json.dumps(ledger.written())))
    assert len(read(again, Spans.empty(), START, now + HOUR)) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("0123x", max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(json_values, json_values, json_values)
def test_whatever_was_kept_or_is_read_breaks_nothing(kept: object, window: object, spans: object) -> None:
    ledger = DayLedger.read(kept)  # type: ignore[arg-type]
    loss, _ = ledger.take({"window": window, "spans": spans}, START)  # type: ignore[dict-item]
    assert loss is None
