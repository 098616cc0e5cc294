"""What a recorder says of itself, by examples: clock, disks, channels, and yesterday's minutes."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from monitor.model.observation import Kind, Observation
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, Millis, Spans, isoformat
from monitor.model.verdict import Cause, Outcome, Verdict
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
    attested,
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
    assert verdict.measured == {"offset_seconds": 3600, "tolerance_seconds": 60.0, "time_server": None}


@pytest.mark.parametrize(
    ("facts", "known"),
    [
        ({"enabled": True, "has_server": True}, True),
        ({"enabled": True, "has_server": None}, True),
        ({"enabled": True, "has_server": False}, False),
        ({"enabled": False, "has_server": True}, False),
        ({"enabled": None, "has_server": True}, None),
        ({}, None),
    ],
)
def test_whether_a_time_server_sets_it_is_told_beside_it(facts: dict[str, Any], known: bool | None) -> None:
    verdict = Judged([*healthy(), at(NVR, Kind.TIME_SYNC, facts)])("recorder_clock", NVR)
    assert (verdict.state, verdict.measured["time_server"]) == ("ok", known)


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


@pytest.mark.parametrize("days_ago", [1, 30])
def test_a_hole_from_before_the_clock_was_first_read_says_that_it_may_be_a_step(days_ago: int) -> None:
    seen = without(without(healthy(), Kind.CLOCK), Kind.RECORDINGS, GATE)
    seen.append(at(NVR, Kind.CLOCK, {"offset_seconds": 0}, NOON - 20 * DAY, holds=40 * DAY))
    hole = NOON - days_ago * DAY - 3 * HOUR
    seen.append(index(GATE, [(NOON - 95 * DAY, hole), (hole + HOUR, NOON)]))
    verdict = Judged(seen)("retention", GATE)
    assert verdict.state == "gap"
    assert ("may be a step of the clock" in verdict.evidence[0].text) == (days_ago == 30)
    assert verdict.measured["clock_unverified_before"] == isoformat(NOON - 20 * DAY)


def test_footage_since_the_clock_was_first_read_is_not_called_unverified() -> None:
    seen = without(without(healthy(), Kind.CLOCK), Kind.RECORDINGS, GATE)
    seen.append(at(NVR, Kind.CLOCK, {"offset_seconds": 0}, NOON - 20 * DAY, holds=40 * DAY))
    seen.append(index(GATE, [(NOON - 20 * DAY, NOON)]))
    assert "clock_unverified_before" not in Judged(seen)("retention", GATE).measured


@pytest.mark.parametrize(
    "footage", [[], [(NOON - 95 * DAY, NOON - 2 * DAY)]], ids=["none with a date", "until it died"]
)
def test_with_a_clock_lost_at_first_contact_the_clock_is_named_and_no_hole(
    footage: list[tuple[Millis, Millis]],
) -> None:
    seen = without(without(healthy(), Kind.CLOCK), Kind.RECORDINGS, GATE)
    seen += [at(NVR, Kind.CLOCK, {"offset_seconds": (DAY - NOON) / SECOND}, NOON - HOUR), index(GATE, footage)]
    judged = Judged(seen)
    for requirement in ("retention", "recording_completeness"):
        verdict = judged(requirement, GATE)
        assert (verdict.outcome, verdict.state) == (Outcome.UNDETERMINED, "unknown")
        assert "clock shows a date before 2000" in verdict.reason
    assert judged("recorder_clock", NVR).state == "off"


def test_a_hole_beside_a_step_is_still_a_hole() -> None:
    stepped, hole = NOON - 5 * DAY, (NOON - 4 * DAY, NOON - 4 * DAY + 2 * HOUR)
    true = [(NOON - 95 * DAY, hole[0]), (hole[1], NOON - MINUTE)]
    seen = [at(NVR, Kind.CLOCK, {"offset_seconds": s}, when) for s, when in [(0, stepped - HOUR), (3600, stepped)]]
    spans = stamped(true, [(0, 0), (stepped, HOUR)])
    verdict = Judged([*seen, read_far(spans)])("retention", GATE)
    gaps: Any = verdict.measured["gaps"]
    assert [(gap["start_at"], gap["end_at"]) for gap in gaps] == [("2026-11-19T04:00:00Z", "2026-11-19T06:00:00Z")]


DISK = {"id": "1", "state": "ok", "capacity_bytes": 4 * 10**12}


MEMBER = {"id": "m", "state": "ok", "capacity_bytes": None, "kind": "disk"}


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
        pytest.param(
            [DISK, {**DISK, "kind": "array"}, MEMBER, MEMBER], "ok", 8 * 10**12, id="an array and its members"
        ),
        pytest.param(
            [{**DISK, "kind": "array"}, {**MEMBER, "state": "failed"}], "failed", 4 * 10**12, id="a member failed"
        ),
        pytest.param(
            [{**DISK, "kind": "array", "state": "degraded"}, MEMBER], "degraded", 4 * 10**12, id="a weak array"
        ),
        pytest.param([DISK, MEMBER], "ok", None, id="no array that would tell the size of this one"),
        pytest.param([DISK, {**DISK, "free_bytes": 0}], "ok", 8 * 10**12, id="full is no fault"),
        pytest.param("none", "unknown", None, id="no list"),
        pytest.param([7], "unknown", None, id="no disks"),
    ],
)
def test_disks(disks: Any, state: str, capacity: int | None) -> None:
    verdict = with_answer(Kind.DISKS, {"disks": disks})("storage_health", NVR)
    assert (verdict.state, verdict.measured["capacity_bytes"]) == (state, capacity)


def test_a_disk_that_is_no_longer_listed_is_missing_until_somebody_vouches_for_the_storage() -> None:
    gone = [{"id": "hdd2", "capacity_bytes": 10**12, "last_seen_at": isoformat(NOON - DAY)}]
    answer = at(NVR, Kind.DISKS, {"disks": [DISK], "gone": gone})
    seen = [*without(healthy(), Kind.DISKS), answer]
    verdict = Judged(seen)("storage_health", NVR)
    assert (verdict.outcome, verdict.state, verdict.reason) == (Outcome.BREACHED, "missing", "Disk hdd2: missing.")
    assert verdict.measured["capacity_bytes"] == 4 * 10**12
    for when, state in ((NOON - HOUR, "ok"), (NOON - 2 * DAY, "missing")):
        assert Judged([*seen, attested("storage", NVR, when)])("storage_health", NVR).state == state
    faulty = attested("storage", NVR, NOON - HOUR, state="fault")
    assert Judged([*seen, faulty])("storage_health", NVR).state == "missing"


def test_whether_the_recorder_would_tell_of_a_fault_is_information() -> None:
    verdict = Judged([*healthy(), at(NVR, Kind.FAULT_NOTICES, {"armed": ["diskerror"], "mail": False})])(
        "storage_health", NVR
    )
    assert (verdict.state, verdict.measured["faults_told"], verdict.measured["tells_by_mail"]) == (
        "ok",
        ["diskerror"],
        False,
    )
    verdict = Judged(healthy())("storage_health", NVR)
    assert (verdict.state, verdict.measured["faults_told"], verdict.measured["tells_by_mail"]) == ("ok", None, None)


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


def commissioned(day: date, *seen: Observation) -> Verdict:
    camera = INVENTORY.cameras[0].model_copy(update={"commissioned": day})
    inventory = INVENTORY.model_copy(update={"cameras": (camera, *INVENTORY.cameras[1:])})
    return Judged(seen or healthy(), inventory=inventory)("undeclared_channel", NVR)


def test_a_camera_that_worked_before_it_is_said_to_have_come_is_a_lead() -> None:
    verdict = commissioned(date(2026, 11, 22))
    assert (verdict.outcome, verdict.state) == (Outcome.BREACHED, "found")
    assert verdict.measured["commissioned_later"] == [
        {"id": "gate", "commissioned": "2026-11-22", "worked_at": isoformat(NOON - 2 * DAY)}
    ]
    assert verdict.reason == (
        "Camera gate worked on 2026-11-21 and is declared as commissioned on 2026-11-22: "
        "another camera is declared than the one that was there."
    )
    assert commissioned(date(2026, 11, 21)).state == "none", "the day on which it was first seen"


def test_a_camera_that_was_only_asked_for_in_vain_was_not_there() -> None:
    seen = [item for item in healthy() if item.subject != GATE]
    down = during(GATE, Kind.STREAM, NOON - 9 * DAY, NOON - 3 * HOUR, "down", "no_connection")
    assert commissioned(date(2026, 11, 22), *seen, down).state == "none"
    footage = index(GATE, [(NOON - 50 * DAY, NOON - 20 * DAY), (NOON - 5 * DAY, NOON - MINUTE)])
    verdict = commissioned(date(2026, 11, 22), *seen, down, footage)
    assert verdict.measured["commissioned_later"] == [
        {"id": "gate", "commissioned": "2026-11-22", "worked_at": isoformat(NOON - 5 * DAY)}
    ], "footage since first contact is its own; what is older may be another camera's"


@pytest.mark.parametrize("listing", [None, "unknown", "expired"])
def test_a_recorder_that_lists_no_channels_hides_no_camera_that_worked_too_early(listing: str | None) -> None:
    seen = without(healthy(), Kind.CHANNELS)
    if listing == "unknown":
        seen.append(at(NVR, Kind.CHANNELS, {}, state="unknown", cause="not_permitted"))
    elif listing == "expired":
        seen.append(at(NVR, Kind.CHANNELS, {"channels": [{"id": "1"}]}, NOON - 2 * HOUR, holds=HOUR))
    verdict = commissioned(date(2026, 11, 22), *seen)
    assert (verdict.outcome, verdict.state) == (Outcome.BREACHED, "found")
    assert verdict.measured["found"] is None
    assert commissioned(date(2026, 11, 21), *seen).outcome is Outcome.UNDETERMINED


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


CLIPS = [(clip * 20 * MINUTE + 2 * MINUTE, (clip + 1) * 20 * MINUTE) for clip in range(72)]
"""Clips of two minutes, twenty minutes apart, all day long: holes between them."""


@pytest.mark.parametrize(
    ("holes", "mode", "state"),
    [
        pytest.param(CLIPS, None, "motion_only", id="the pattern"),
        pytest.param(CLIPS, "mixed", "motion_only", id="the pattern of a mixed schedule"),
        pytest.param(CLIPS, "continuous", "incomplete", id="it is set to record all the time, and fails to"),
        pytest.param([(0, 6 * HOUR)], "motion", "motion_only", id="it is set so"),
        pytest.param([(0, 6 * HOUR)], None, "incomplete", id="it was off"),
        pytest.param(
            [(2 * HOUR, 4 * HOUR), (8 * HOUR, 9 * HOUR), (20 * HOUR, 22 * HOUR)],
            None,
            "incomplete",
            id="it was off again and again",
        ),
        pytest.param(
            [(i * 30_000, i * 30_000 + 15_000) for i in range(2880)], None, "incomplete", id="it starts again and again"
        ),
        pytest.param([(20 * MINUTE, 24 * HOUR)], "none", "incomplete", id="it is switched off"),
        pytest.param([], "motion", "complete", id="what moves all day is all recorded"),
    ],
)
def test_recording_on_motion_alone_is_told_apart(
    holes: list[tuple[Millis, Millis]], mode: str | None, state: str
) -> None:
    spans = Spans.window(NOON - 100 * DAY, NOON - MINUTE).subtract(
        Spans.of([(MIDNIGHT - DAY + a, MIDNIGHT - DAY + b) for a, b in holes])
    )
    seen = [*without(healthy(), Kind.RECORDINGS, GATE), index(GATE, spans.tuples())]
    seen += [at(GATE, Kind.RECORDING_MODE, {"mode": mode, "holes": []})] if mode else []
    verdict = Judged(seen)("recording_completeness", GATE)
    assert (verdict.state, verdict.measured["recording_mode"]) == (state, mode)


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
