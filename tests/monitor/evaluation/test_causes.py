"""Why footage is short, or will be: what was lost after first contact, what the device is set to, and what it can hold."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders.base import Footage
from agents.scan.losses import DayLedger
from agents.scan.recorder import reading
from monitor.model.inventory import Inventory
from monitor.model.observation import Kind, Observation
from monitor.model.span import DAY, HOUR, MINUTE, Millis, Spans, isoformat
from monitor.model.verdict import Outcome, Verdict
from support.packs import pack
from support.scene import GATE, INVENTORY, MIDNIGHT, NOON, NVR, ROOM1, Judged, at, during, index

TODAY = date(2026, 11, 23)
TB = 10**12


def back(days: float) -> Millis:
    """The local midnight so many days ago."""
    return int(MIDNIGHT - days * DAY)


def lost(first_days_ago: int, last_days_ago: int, when: Millis, *, older_left: bool = False) -> Observation:
    days = first_days_ago - last_days_ago + 1
    facts = {
        "first_day": (TODAY - timedelta(days=first_days_ago)).isoformat(),
        "last_day": (TODAY - timedelta(days=last_days_ago)).isoformat(),
        "days": days, "seconds": days * 86_400, "last_seen_at": isoformat(when - DAY), "older_left": older_left,
    }  # fmt: skip
    return at(GATE, Kind.FOOTAGE_LOST, facts, when, state="lost", holds=400 * DAY)


def retention(
    *seen: Observation, commissioned: date | None = None, first: Millis = NOON - 200 * DAY, **numbers: Any
) -> Verdict:
    cameras = tuple(
        item.model_copy(update={"commissioned": commissioned}) if item.id == "gate" else item
        for item in INVENTORY.cameras
    )
    inventory = INVENTORY.model_copy(update={"cameras": cameras})
    before = during(GATE, Kind.STREAM, first, first + HOUR, "up")
    return Judged([before, *seen], inventory=inventory, regulation=pack(retention=numbers))("retention", GATE)


def causes(verdict: Verdict, name: str = "causes") -> list[Any]:
    listed = verdict.measured[name]
    assert isinstance(listed, list)
    return [item["cause"] for item in listed if isinstance(item, dict)]


def held(days: float, camera: Any = GATE) -> Observation:
    return index(camera, [(back(days), NOON - MINUTE)], days=400)


def disks(*items: dict[str, Any], **more: Any) -> Observation:
    return at(
        NVR,
        Kind.DISKS,
        {"disks": [{"kind": "disk", "state": "ok", "capacity_bytes": TB, **item} for item in items], **more},
    )


# What was lost after first contact.


def test_a_storage_reset_is_short_with_its_cause_and_its_date() -> None:
    verdict = retention(held(5), lost(90, 6, back(5)))
    assert (verdict.outcome, verdict.state, causes(verdict)) == (Outcome.BREACHED, "short", ["storage_reset"])
    assert verdict.measured["causes"] == [
        {
            "cause": "storage_reset",
            "at": isoformat(back(5)),
            "first_day": "2026-08-25",
            "last_day": "2026-11-17",
            "days": 85,
        }
    ]
    assert verdict.reason.endswith(
        f"Cause: the storage was reset, 85 days of footage vanished by {isoformat(back(5))}."
    )


def test_what_one_reading_finds_gone_window_by_window_is_one_loss() -> None:
    windows = [(90, 88), (87, 80), (79, 6)]
    seen = [lost(first, last, back(5) + number * MINUTE) for number, (first, last) in enumerate(windows)]
    days = {"first_day": "2026-08-25", "last_day": "2026-11-17", "days": 85}
    assert retention(held(5), *reversed(seen)).measured["causes"] == [
        {"cause": "storage_reset", "at": isoformat(back(5)), **days}
    ]
    newest_first = [
        lost(first, last, back(5) + number * MINUTE, older_left=first != 90)
        for number, (first, last) in enumerate([(20, 6), (35, 22), (90, 36)])
    ]
    days = {"first_day": "2026-08-25", "last_day": "2026-11-17", "days": 15 + 14 + 55}
    assert retention(held(5), *newest_first).measured["causes"] == [
        {"cause": "storage_reset", "at": isoformat(back(5)), **days}
    ]
    left = retention(held(5), lost(20, 6, back(5), older_left=True), lost(90, 36, back(5) + MINUTE))
    assert causes(left) == ["footage_lost", "storage_reset"], "days in between are still there"
    apart = retention(held(5), lost(90, 60, back(50)), lost(59, 6, back(5))).reason
    assert "31 days of footage vanished" in apart, "a loss of another day is another one"


@pytest.mark.parametrize("commissioned", [None, TODAY - timedelta(days=60), TODAY])
def test_history_lost_after_first_contact_makes_no_camera_new_again(commissioned: date | None) -> None:
    """Nor does a date of commissioning that is moved forward."""
    verdict = retention(held(20), lost(60, 21, back(20)), commissioned=commissioned, first=back(60))
    assert (verdict.outcome, verdict.state, causes(verdict)) == (Outcome.BREACHED, "short", ["storage_reset"])


def test_a_new_camera_that_lost_days_in_the_middle_is_short_and_no_gap() -> None:
    spans = [(back(60), back(40)), (back(37), NOON - MINUTE)]
    seen = [index(GATE, spans, days=400), lost(40, 38, back(10), older_left=True)]
    verdict = retention(*seen, commissioned=TODAY - timedelta(days=60), first=back(60))
    assert (verdict.state, causes(verdict)) == ("short", ["footage_lost"])
    verdict = retention(seen[0], commissioned=TODAY - timedelta(days=60), first=back(60))
    assert (verdict.state, causes(verdict)) == ("gap", []), "a hole that nobody saw filled is a gap in it"


def test_a_storage_reset_every_80_days_never_passes() -> None:
    """A year of a recorder that somebody empties every 80 days, read daily: after 90 days it is short on every day."""
    ledger, seen = DayLedger(), list[Observation]()
    start = NOON - 300 * DAY
    for day in range(1, 301):
        now = start + day * DAY
        since = start + (day // 80) * 80 * DAY
        facts = reading(Footage(Spans.window(since, now), Spans.empty(), (now - 100 * DAY, now)))
        loss, _ = ledger.take(facts, now)
        seen += (
            [at(GATE, Kind.FOOTAGE_LOST, loss.facts(), now, state="lost", holds=400 * DAY)] if loss is not None else []
        )
        if day % 7 and day % 80 > 2:
            continue
        newest = at(GATE, Kind.RECORDINGS, {**facts, "window": [now - 200 * DAY, now]}, now)
        camera = INVENTORY.cameras[0].model_copy(update={"commissioned": (TODAY - timedelta(days=300 - day))})
        inventory = Inventory(**{**dict(INVENTORY), "cameras": (camera,)})
        first = during(GATE, Kind.STREAM, start, start + HOUR, "up")
        verdict = Judged([first, newest, *seen], now, inventory=inventory)("retention", GATE)
        if day > 80:
            assert (verdict.outcome, verdict.state) == (Outcome.BREACHED, "short"), day
            assert causes(verdict) == ["storage_reset"], day
    assert len(seen) == 3


def test_what_came_back_was_not_lost() -> None:
    verdict = retention(held(80), lost(79, 6, back(5)))
    assert (verdict.state, causes(verdict)) == ("short", [])
    assert causes(retention(held(100), lost(90, 6, back(5)))) == []
    assert causes(retention(held(85), lost(160, 100, back(95)))) == [], "it would have aged out by now"


@pytest.mark.parametrize(
    ("gone", "swapped", "exchanged", "cause"),
    [
        ([{"id": "hdd2", "capacity_bytes": TB, "last_seen_at": isoformat(back(6))}], [], None, "disk_lost"),
        ([], [{"id": "hdd1", "since_at": isoformat(back(5))}], None, "disk_swapped"),
        ([], [], isoformat(back(5)), "recorder_exchanged"),
        ([], [{"id": "hdd1", "since_at": isoformat(back(60))}], isoformat(back(60)), "storage_reset"),
    ],
)
def test_what_changed_with_the_footage_is_why(gone: Any, swapped: Any, exchanged: Any, cause: str) -> None:
    identity = at(NVR, Kind.IDENTITY, {"exchanged_at": exchanged})
    verdict = retention(held(5), lost(90, 6, back(5)), disks({"id": "hdd1"}, gone=gone, swapped=swapped), identity)
    assert causes(verdict) == [cause]


# What the device is set to do.


def test_an_expiry_below_the_required_days_is_known_before_it_bites() -> None:
    verdict = retention(held(95), at(GATE, Kind.EXPIRY, {"days": 60}))
    assert (verdict.outcome, verdict.state) == (Outcome.MET, "ok")
    assert verdict.measured["warnings"] == [{"cause": "expiry_set", "expiry_days": 60}]
    assert verdict.reason.endswith("To be watched: the recorder is set to delete after 60 days.")
    assert causes(verdict) == []
    for days in (90, 0, None, True, "60"):
        assert causes(retention(held(95), at(GATE, Kind.EXPIRY, {"days": days})), "warnings") == []
    old = at(GATE, Kind.EXPIRY, {"days": 60}, NOON - 9 * DAY)
    assert causes(retention(held(95), old), "warnings") == [], "it has expired itself"


def test_an_expiry_explains_what_is_held_up_to_it_and_nothing_else() -> None:
    expiry = at(GATE, Kind.EXPIRY, {"days": 60})
    for days in (58, 60):
        verdict = retention(held(days), expiry)
        assert (causes(verdict), causes(verdict, "warnings")) == (["expiry_set"], [])
    holed = index(GATE, [(back(100), back(30)), (back(27), NOON - MINUTE)], days=400)
    for seen, state in ((held(5), "short"), (holed, "gap")):
        verdict = retention(seen, expiry)
        assert (verdict.state, causes(verdict), causes(verdict, "warnings")) == (state, [], ["expiry_set"])


@pytest.mark.parametrize(
    ("mode", "holes", "cause"),
    [
        ("motion", [], ["motion_only"]),
        ("mixed", [], ["motion_only"]),
        ("none", [[0, 10_080]], ["recording_off"]),
        ("continuous", [[0, 60]], ["schedule_holes"]),
        ("continuous", [], []),
        ("odd", [[0, 60]], []),
    ],
)
def test_what_the_channel_is_set_to_record(mode: str, holes: Any, cause: list[str]) -> None:
    said = at(GATE, Kind.RECORDING_MODE, {"mode": mode, "holes": holes})
    assert causes(retention(held(40), said)) == cause
    assert causes(retention(held(95), said)) == [], "nothing is wrong that it could be the cause of"


def test_a_quota_shows_beside_the_other_channels() -> None:
    shares = at(NVR, Kind.STORAGE_MODE, {"mode": "quota"})
    assert causes(retention(held(30), held(100, ROOM1), shares)) == ["quota"]
    assert causes(retention(held(30), held(35, ROOM1), shares)) == [], "all are as short"
    assert causes(retention(held(30), held(100, ROOM1))) == [], "the recorder doesn't say that it shares its disks out"
    assert causes(retention(held(30), held(100, ROOM1), shares, first=back(30))) == [], "it may be a new camera"


def test_disks_that_do_not_work_or_are_gone() -> None:
    gone = [{"id": "hdd2", "last_seen_at": isoformat(back(40))}]
    assert causes(retention(held(30), disks({"id": "hdd1"}, gone=gone))) == ["disk_lost"]
    assert causes(retention(held(30), disks({"id": "hdd1"}, {"id": "hdd2", "state": "failed"}))) == ["disk_failed"]
    assert causes(retention(held(100), disks({"id": "hdd1"}, {"id": "hdd2", "state": "failed"}))) == []


def written(sizes: list[int], camera: Any = GATE) -> Observation:
    return at(camera, Kind.WRITTEN, {"first_day": (TODAY - timedelta(days=len(sizes))).isoformat(), "bytes": sizes})


def test_a_capacity_that_is_too_small_and_a_higher_bit_rate() -> None:
    gate = INVENTORY.cameras[0]
    alone = Inventory(**{**dict(INVENTORY), "cameras": (gate,)})
    for sizes, cause in (([10**10] * 40, "capacity_too_small"), ([10**10] * 30 + [2 * 10**10] * 10, "bit_rate_up")):
        seen = [held(40), written(sizes), disks({"id": "hdd1", "capacity_bytes": sum(sizes)})]
        verdict = Judged(seen, inventory=alone)("retention", GATE)
        assert (verdict.state, causes(verdict)) == ("short", [cause])


def test_a_sub_stream_is_recorded() -> None:
    main = at(GATE, Kind.MAIN_STREAM, {"bit_rate": 4_000_000})
    small, large = (written([rate // 8 * 86_400]) for rate in (512_000, 2_000_000))
    verdict = retention(held(95), main, small)
    assert (verdict.outcome, causes(verdict, "warnings")) == (Outcome.MET, ["sub_stream_recorded"])
    assert verdict.measured["warnings"] == [
        {"cause": "sub_stream_recorded", "recorded_bit_rate": 512_000, "bit_rate": 4_000_000}
    ]
    assert causes(retention(held(95), main, large), "warnings") == []
    assert causes(retention(held(95), small), "warnings") == []
    assert causes(retention(held(95), main), "warnings") == []


# Kept too long: a fact, no breach.


@pytest.mark.parametrize(
    ("days", "expiry", "limit", "over"),
    [
        (185, None, None, True),
        (181, None, None, False),
        (130, None, 120, True),
        (125, 120, None, True),
        (121, 120, None, False),
        (95, 60, None, False),
    ],
)
def test_footage_kept_far_longer_than_declared_is_flagged(
    days: int, expiry: int | None, limit: int | None, over: bool
) -> None:
    verdict = retention(held(days), at(GATE, Kind.EXPIRY, {"days": expiry}), over_retention_days=limit)
    assert (verdict.outcome, verdict.state) == (Outcome.MET, "ok")
    assert verdict.measured["over_retention"] is over
    assert ("Kept for longer than" in verdict.reason) is over


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["2026-11-01", "2026-11-20", isoformat(NOON), "quota", "motion"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "since_at", "last_seen_at", "state"]), inner, max_size=3)
    ),
    max_leaves=8,
)
KINDS = (Kind.FOOTAGE_LOST, Kind.EXPIRY, Kind.RECORDING_MODE, Kind.MAIN_STREAM, Kind.WRITTEN)
NAMES = ("first_day", "last_day", "seconds", "days", "last_seen_at", "mode", "holes", "bit_rate", "bytes", "gone", "swapped", "disks", "exchanged_at")  # fmt: skip
sayings = st.lists(
    st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(NAMES), json_values, max_size=5)), max_size=6
)


@given(sayings, st.dictionaries(st.sampled_from(NAMES), json_values), st.sampled_from([30, 95]))
def test_odd_settings_break_nothing_and_make_nothing_met_or_breached(
    said: Any, recorder: dict[str, Any], days: int
) -> None:
    """Causes explain a verdict; of what is held they change nothing, but that a new camera's lost history is no new one."""
    seen = [at(GATE, kind, facts, NOON - n * MINUTE) for n, (kind, facts) in enumerate(said)]
    seen += [at(NVR, kind, recorder) for kind in (Kind.DISKS, Kind.IDENTITY, Kind.STORAGE_MODE)]
    verdict = retention(held(days), *seen)
    assert verdict.outcome is (Outcome.MET if days == 95 else Outcome.BREACHED)
    assert verdict.reason.endswith(".")
