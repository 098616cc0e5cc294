"""What a recorder says of itself, by examples: clock, disks, channels, and yesterday's minutes."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.model.observation import Kind, Observation
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, Millis, Spans
from monitor.model.verdict import Cause, Outcome
from support.packs import pack
from support.scene import (
    GATE,
    INVENTORY,
    MIDNIGHT,
    NOON,
    NVR,
    OPEN_HALF_PAST_SEVEN,
    Judged,
    at,
    during,
    facts_of,
    healthy,
    index,
    without,
)


def with_answer(kind: Kind, facts: dict[str, Any], **more: Any) -> Judged:
    return Judged([*without(healthy(), kind), at(NVR, kind, facts, **more)])


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"offset_seconds": 0}, "ok"),
        ({"offset_seconds": -60.0}, "ok"),
        ({"offset_seconds": 61}, "off"),
        ({"offset_seconds": -1.79e9}, "off"),
        ({"offset_seconds": None}, "unknown"),
        ({"offset_seconds": True}, "unknown"),
        ({"offset_seconds": "3"}, "unknown"),
        ({"offset_seconds": 1e300}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_the_clock(facts: dict[str, Any], state: str) -> None:
    assert with_answer(Kind.CLOCK, facts)("recorder_clock", NVR).state == state


def test_an_hour_ahead_is_said_in_words() -> None:
    verdict = with_answer(Kind.CLOCK, {"offset_seconds": 3600})("recorder_clock", NVR)
    assert verdict.reason == "The recorder's clock is 1 h ahead."
    assert verdict.measured == {"offset_seconds": 3600, "tolerance_seconds": 60.0}


def stamped(true: list[tuple[Millis, Millis]], steps: list[tuple[Millis, Millis]]) -> list[tuple[Millis, Millis]]:
    """Return how a recorder stamps what it truly recorded, its clock off by `steps` (from when, by how much)."""
    found = []
    for number, (since, offset) in enumerate(steps):
        until = steps[number + 1][0] if number + 1 < len(steps) else NOON + DAY
        low = since if number else 0
        found += [(a + offset, b + offset) for a, b in Spans.of(true).clip(low, until).tuples()]
    return found


def read_far(spans: list[tuple[Millis, Millis]]) -> Observation:
    """The agent reads on to the end of the recorder's own time, wherever that is."""
    facts = {"window": [NOON - 120 * DAY, NOON + 2 * DAY], "spans": [list(item) for item in spans], "locked": []}
    return at(GATE, Kind.RECORDINGS, facts)


@pytest.mark.parametrize("offset", [0, HOUR, -HOUR, 1500, 7 * MINUTE])
def test_footage_is_corrected_by_the_offset(offset: Millis) -> None:
    true = [(NOON - 100 * DAY, NOON - 20 * DAY), (NOON - 19 * DAY, NOON - MINUTE)]
    seen = [at(NVR, Kind.CLOCK, {"offset_seconds": offset / 1000}), read_far(stamped(true, [(0, offset)]))]
    held = facts_of(seen).recordings["gate"].footage.tuples()
    jitter = 1500 if offset == 1500 else 0  # an answer's own delay is no offset
    assert held == [(start + jitter, end + jitter) for start, end in true]


@pytest.mark.parametrize("before", [0, 40 * SECOND, -30 * MINUTE])
@pytest.mark.parametrize("step", [HOUR, -HOUR, 10 * MINUTE, -10 * MINUTE, DAY, -DAY])
@pytest.mark.parametrize("seen_after", [0, 5 * MINUTE, 50 * MINUTE])
def test_a_step_of_the_clock_is_no_gap(before: Millis, step: Millis, seen_after: Millis) -> None:
    """The clock was set at some time between two readings of it, and the recorder went on recording."""
    stepped = NOON - 5 * DAY
    true = [(NOON - 95 * DAY, NOON - MINUTE)]
    clocks = [stepped - 10 * MINUTE, stepped + seen_after, NOON - HOUR]
    offsets = [before, before + step, before + step]
    seen: list[Observation] = [
        at(NVR, Kind.CLOCK, {"offset_seconds": offset / 1000}, when)
        for when, offset in zip(clocks, offsets, strict=True)
    ]
    spans = stamped(true, [(0, before), (stepped, before + step)])
    seen.append(read_far(spans))
    held = facts_of(seen).recordings["gate"].footage
    assert held.gaps(NOON - 95 * DAY + SECOND, NOON - MINUTE - SECOND) == Spans.empty()
    verdict = Judged(seen)("retention", GATE)
    assert (verdict.state, verdict.measured["gaps"]) == ("ok", [])


def test_a_hole_beside_a_step_is_still_a_hole() -> None:
    stepped, hole = NOON - 5 * DAY, (NOON - 4 * DAY, NOON - 4 * DAY + 2 * HOUR)
    true = [(NOON - 95 * DAY, hole[0]), (hole[1], NOON - MINUTE)]
    seen = [at(NVR, Kind.CLOCK, {"offset_seconds": s}, when) for s, when in [(0, stepped - HOUR), (3600, stepped)]]
    spans = stamped(true, [(0, 0), (stepped, HOUR)])
    verdict = Judged([*seen, read_far(spans)])("retention", GATE)
    gaps: Any = verdict.measured["gaps"]
    assert [(gap["start_at"], gap["end_at"]) for gap in gaps] == [("2026-11-19T04:00:00Z", "2026-11-19T06:00:00Z")]


DISK = {"id": "1", "state": "ok", "capacity_bytes": 4 * 10**12}


@pytest.mark.parametrize(
    ("disks", "state", "capacity"),
    [
        pytest.param([DISK, {**DISK, "id": "2"}], "ok", 8 * 10**12, id="two good disks"),
        pytest.param([DISK, {**DISK, "state": "failed"}], "failed", 8 * 10**12, id="one failed"),
        pytest.param([DISK, {**DISK, "state": "missing"}], "missing", 4 * 10**12, id="one gone"),
        pytest.param(
            [{**DISK, "state": "degraded"}, {**DISK, "state": "read_only"}], "read_only", 8 * 10**12, id="worst"
        ),
        pytest.param([], "missing", None, id="no disk at all"),
        pytest.param([DISK, {**DISK, "state": "humming"}], "unknown", 8 * 10**12, id="a state nobody knows"),
        pytest.param([{**DISK, "capacity_bytes": None}], "ok", None, id="of unknown size"),
        pytest.param([{**DISK, "capacity_bytes": True}], "ok", None, id="of no size"),
        pytest.param("none", "unknown", None, id="no list"),
        pytest.param([7], "unknown", None, id="no disks"),
    ],
)
def test_disks(disks: Any, state: str, capacity: int | None) -> None:
    verdict = with_answer(Kind.DISKS, {"disks": disks})("storage_health", NVR)
    assert (verdict.state, verdict.measured["capacity_bytes"]) == (state, capacity)


@pytest.mark.parametrize(
    ("channels", "state", "found"),
    [
        pytest.param([{"id": "1"}, {"id": "2"}, {"id": "3"}], "none", [], id="all declared"),
        pytest.param([{"id": "1"}], "none", [], id="fewer than declared"),
        pytest.param([{"id": "1"}, {"id": 9, "name": "后门"}], "found", ["9"], id="one that is not"),
        pytest.param([], "none", [], id="none at all"),
        pytest.param({"1": {}}, "unknown", [], id="no list"),
    ],
)
def test_channels(channels: Any, state: str, found: list[str]) -> None:
    verdict = with_answer(Kind.CHANNELS, {"channels": channels})("undeclared_channel", NVR)
    listed: Any = verdict.measured["channels"]
    assert (verdict.state, [item["id"] for item in listed]) == (state, found)


@pytest.mark.parametrize("requirement", ["recorder_clock", "storage_health", "undeclared_channel"])
def test_a_recorder_that_is_gone_explains_what_it_does_not_say(requirement: str) -> None:
    seen = [item for item in healthy() if item.kind not in {Kind.CLOCK, Kind.DISKS, Kind.CHANNELS, Kind.REACH}]
    seen += [
        during(NVR, Kind.REACH, NOON - HOUR, NOON, "down", "timeout"),
        *(
            at(NVR, kind, {}, state="unknown", cause="timeout")
            for kind in (Kind.CLOCK, Kind.DISKS, Kind.CHANNELS)
        ),
    ]  # fmt: skip
    verdict = Judged(seen)(requirement, NVR)
    assert (verdict.outcome, verdict.cause, verdict.because_of) == (
        Outcome.UNDETERMINED, "timeout", Cause("uptime", NVR),
    )  # fmt: skip


def yesterday(*holes: tuple[Millis, Millis], **more: Any) -> Judged:
    """The gate's recordings with holes in yesterday, given in milliseconds after its midnight."""
    start = MIDNIGHT - DAY
    spans = Spans.window(NOON - 100 * DAY, NOON - MINUTE).subtract(Spans.of([(start + a, start + b) for a, b in holes]))
    return Judged([*without(healthy(), Kind.RECORDINGS, GATE), index(GATE, spans.tuples())], **more)


def test_yesterdays_minutes_are_counted_with_no_hole_forgiven() -> None:
    verdict = yesterday(*((i * MINUTE, i * MINUTE + 10 * SECOND) for i in range(1440)))("recording_completeness", GATE)
    assert (verdict.outcome, verdict.state) == (Outcome.BREACHED, "incomplete")
    assert verdict.measured["recorded_ratio"] == pytest.approx(5 / 6, abs=1e-6)
    assert verdict.because_of is None  # the day counts as held: holes of ten seconds are forgiven there


def test_where_retention_says_the_same_it_is_the_cause() -> None:
    judged = yesterday((0, 6 * HOUR))
    assert judged("retention", GATE).state == "gap"
    assert judged("recording_completeness", GATE).because_of == Cause("retention", GATE)


def test_minutes_out_of_hours_are_not_due_where_the_pack_says_so() -> None:
    regulation = pack(recording_completeness={"due": {"default": "opening_hours"}})
    inventory = INVENTORY.model_copy(update={"hours": OPEN_HALF_PAST_SEVEN})
    sunday = yesterday((0, DAY), regulation=regulation, inventory=inventory)("recording_completeness", GATE)
    assert (sunday.outcome, sunday.measured["due_seconds"]) == (Outcome.MET, 0)
    undeclared = yesterday(regulation=regulation)("recording_completeness", GATE)
    assert (undeclared.outcome, undeclared.state) == (Outcome.UNDETERMINED, "unknown")
