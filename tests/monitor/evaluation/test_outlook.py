"""The forecast in the retention verdict: from what index and disks tell of a recorder, or nothing."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.inventory import Inventory
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import DAY
from monitor.model.verdict import Outcome, Verdict
from support.scene import CAMERAS, GATE, INVENTORY, MIDNIGHT, NOON, NVR, Judged, at, healthy, index, without

GIB = 2**30
TODAY = date(2026, 11, 23)


def written(camera: Subject, sizes: Any, first: str | None = None) -> Observation:
    begins = (TODAY - timedelta(days=len(sizes))).isoformat() if first is None else first
    return at(camera, Kind.WRITTEN, {"first_day": begins, "bytes": sizes})


def disks(capacity: int | None, state: str = "ok") -> Observation:
    return at(NVR, Kind.DISKS, {"disks": [{"id": "1", "state": state, "capacity_bytes": capacity}]})


def site(sizes: list[int], capacity: int | None, *more: Observation) -> list[Observation]:
    """Return a healthy site whose cameras each wrote these bytes on the last days, and hold them."""
    seen = without(without(healthy(), Kind.RECORDINGS), Kind.DISKS)
    days = [index(camera, [(MIDNIGHT - len(sizes) * DAY, NOON - 20_000)]) for camera in CAMERAS]
    return [*seen, *days, *(written(camera, sizes) for camera in CAMERAS), disks(capacity), *more]


def retention(seen: list[Observation], inventory: Inventory = INVENTORY) -> Verdict:
    return Judged(seen, inventory=inventory)("retention", GATE)


def test_a_steady_recorder_has_no_date() -> None:
    found = retention(site([10 * GIB] * 95, 3 * 96 * 10 * GIB))
    assert (found.state, found.measured["breaks_on"]) == ("ok", None)


def test_a_rate_that_rose_has_its_date_and_cause() -> None:
    sizes = [10 * GIB] * 91 + [20 * GIB] * 5
    found = retention(site(sizes, 3 * sum(sizes)))
    assert (found.outcome, found.state) == (Outcome.MET, "ok")
    # At twice the rate each day pushes two old ones out: 96 are held, 90 required.
    assert found.measured["breaks_on"] == (TODAY + timedelta(days=7)).isoformat()
    assert found.measured["breaks_because"] == "bit_rate_up"
    assert str(found.measured["breaks_on"]) in found.reason


def test_footage_beyond_the_disks_that_are_left_is_lost_capacity() -> None:
    found = retention(site([10 * GIB] * 95, 3 * 50 * 10 * GIB))
    assert found.measured["breaks_because"] == "capacity_lost"
    assert found.measured["breaks_on"] == TODAY.isoformat()


def test_what_is_short_already_breaks_on_no_day_to_come() -> None:
    found = retention(site([10 * GIB] * 35, 3 * 35 * 10 * GIB))
    assert (found.state, found.measured["breaks_on"]) == ("short", None)


@pytest.mark.parametrize(("room", "outcome"), [(120, Outcome.MET), (60, Outcome.UNDETERMINED)])
def test_a_new_camera_matures_where_its_recorder_has_room(room: int, outcome: Outcome) -> None:
    new = tuple(item.model_copy(update={"commissioned": TODAY - timedelta(days=20)}) for item in INVENTORY.cameras)
    inventory = INVENTORY.model_copy(update={"cameras": new})
    found = retention(site([10 * GIB] * 20, 3 * room * 10 * GIB), inventory)
    assert (found.outcome, found.state) == (outcome, "maturing")
    assert found.measured["compliant_from"] == (TODAY + timedelta(days=70)).isoformat()


@pytest.mark.parametrize(
    "more",
    [
        [disks(None)],
        [disks(0)],
        [disks(10 * GIB, "unknown")],
        [at(GATE, Kind.WRITTEN, {}, state="unknown")],
        [at(NVR, Kind.DISKS, {}, state="unknown")],
    ],
    ids=["no size", "size 0", "odd disk", "no bytes", "no disks"],
)
def test_what_is_not_told_is_no_ground_for_a_forecast(more: list[Observation]) -> None:
    sizes = [10 * GIB] * 91 + [20 * GIB] * 5
    told = site(sizes, 3 * sum(sizes))
    assert retention(told).measured["breaks_on"] is not None
    for item in more:
        others = [one for one in told if (one.kind, one.subject) != (item.kind, item.subject)]
        assert retention([*others, item]).measured["breaks_on"] is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values, json_values)
def test_any_facts_give_a_verdict(first: Any, sizes: Any, listed: Any) -> None:
    seen = site([10 * GIB] * 95, 3 * 96 * 10 * GIB)
    odd = at(GATE, Kind.WRITTEN, {"first_day": first, "bytes": sizes})
    odder = at(NVR, Kind.DISKS, {"disks": listed})
    kept = [item for item in seen if item.kind is not Kind.DISKS and (item.kind, item.subject) != (Kind.WRITTEN, GATE)]
    assert retention([*kept, odd, odder]).state == "ok"
