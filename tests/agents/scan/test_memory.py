"""What was seen before: a device exchanged, a disk gone or swapped, an alarm input disarmed, footage lost."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from agents.recorders.base import Footage
from agents.scan.memory import REMEMBERED, ForNow, Memory
from agents.scan.recorder import reading
from monitor.model.observation import Kind, Observation, Source, Subject
from monitor.model.span import DAY, HOUR, Millis, Spans, isoformat

START: Millis = 20_000 * DAY
CAMERA, NVR = Subject(kind="camera", id="gate"), Subject(kind="recorder", id="nvr")


class Mind:
    """A memory with what comes out of it."""

    def __init__(self) -> None:
        self.keep = ForNow()
        self.told: list[Observation] = []
        self.memory = Memory(self.keep, self.told.append)

    def see(
        self, kind: Kind, facts: dict[str, Any], at: Millis, subject: Subject = NVR, state: str = "read"
    ) -> dict[str, JsonValue]:
        self.memory(
            Observation(
                subject=subject, kind=kind, start=at, end=at, state=state, source=Source.RECORDER,
                expires=at + DAY, facts=facts,
            )
        )  # fmt: skip
        return self.told[-1].facts

    def camera(self, at: Millis, serial: str | None, mac: str | None = None, declared: bool | None = None) -> JsonValue:
        facts = {"serial_digest": serial, "mac_digest": mac, "declared": declared}
        return self.see(Kind.IDENTITY, facts, at, CAMERA)["exchanged_at"]

    def disks(self, at: Millis, **sizes: int | None) -> tuple[JsonValue, JsonValue]:
        facts = self.see(
            Kind.DISKS,
            {"disks": [{"id": name, "state": "ok", "capacity_bytes": size} for name, size in sizes.items()]},
            at,
        )
        return facts["gone"], facts["swapped"]

    def inputs(self, at: Millis, **armed: bool | None) -> JsonValue:
        return self.see(
            Kind.ALARM_INPUTS, {"inputs": [{"id": name, "armed": value} for name, value in armed.items()]}, at
        )["disarmed"]


def test_the_camera_seen_first_is_pinned_and_another_one_is_told_of_with_its_date() -> None:
    mind = Mind()
    assert mind.camera(START, "a") is None
    assert mind.camera(START + DAY, "a") is None
    assert mind.camera(START + 2 * DAY, "b") == isoformat(START + 2 * DAY)
    assert mind.camera(START + 3 * DAY, "b") == isoformat(START + 2 * DAY), "since when, not when last"
    assert mind.camera(START + 4 * DAY, None) == isoformat(START + 2 * DAY), "silence changes nothing"
    assert mind.camera(START + 5 * DAY, "c") == isoformat(START + 5 * DAY)
    assert mind.camera(START + 6 * DAY, "a") is None, "the first one is back"
    assert mind.told[-1].facts["first_seen_at"] == isoformat(START)


def test_a_recorder_that_tells_now_the_serial_and_now_the_mac_has_the_same_camera() -> None:
    mind = Mind()
    assert mind.camera(START, "a", "m") is None
    assert mind.camera(START + DAY, None, "m") is None
    assert mind.camera(START + 2 * DAY, "a", None) is None
    assert mind.camera(START + 3 * DAY, "new firmware's way of writing it", "m") is None
    assert Mind().camera(START, None) is None


def test_what_site_yaml_names_wins_over_the_pin() -> None:
    mind = Mind()
    mind.camera(START, "a")
    assert mind.camera(START + DAY, "b", declared=True) is None, "the exchange is declared"
    assert mind.camera(START + 2 * DAY, "b") is None, "and pinned"
    assert Mind().camera(START, "a", declared=False) == isoformat(START)


def test_a_recorder_that_was_exchanged() -> None:
    mind = Mind()
    mind.see(Kind.IDENTITY, {"model": "A", "serial_digest": "a"}, START)
    facts = mind.see(Kind.IDENTITY, {"model": "A", "serial_digest": "b"}, START + DAY)
    assert facts == {
        "model": "A", "serial_digest": "b", "first_seen_at": isoformat(START), "exchanged_at": isoformat(START + DAY),
    }  # fmt: skip


def test_a_disk_that_is_no_longer_listed_is_gone_until_it_is_forgotten() -> None:
    mind = Mind()
    assert mind.disks(START, hdd1=8, hdd2=8) == ([], [])
    assert mind.disks(START + 2 * DAY, hdd1=8, hdd2=8) == ([], [])
    gone = [{"id": "hdd2", "capacity_bytes": 8, "last_seen_at": isoformat(START + 2 * DAY)}]
    assert mind.disks(START + 3 * DAY, hdd1=8) == (gone, [])
    assert mind.disks(START + 4 * DAY, hdd1=8) == (gone, [])
    assert mind.disks(START + 5 * DAY, hdd1=8, hdd2=8) == ([], []), "it is back"
    mind.disks(START + 6 * DAY, hdd1=8)
    assert mind.disks(START + 6 * DAY + REMEMBERED, hdd1=8) == ([], [])


def test_a_stick_to_copy_footage_was_no_disk_of_the_recorder() -> None:
    mind = Mind()
    mind.disks(START, hdd1=8)
    mind.disks(START + HOUR, hdd1=8, usb1=1)
    mind.disks(START + 3 * HOUR, hdd1=8, usb1=1)
    assert mind.disks(START + 4 * HOUR, hdd1=8) == ([], [])


def test_another_disk_in_the_same_bay_is_swapped_and_one_whose_size_is_unknown_for_a_while_is_not() -> None:
    mind = Mind()
    mind.disks(START, hdd1=8)
    assert mind.disks(START + DAY, hdd1=None) == ([], [])
    assert mind.disks(START + 2 * DAY, hdd1=8) == ([], [])
    swapped = [{"id": "hdd1", "since_at": isoformat(START + 3 * DAY)}]
    assert mind.disks(START + 3 * DAY, hdd1=4) == ([], swapped)
    assert mind.disks(START + 4 * DAY, hdd1=4) == ([], swapped)
    assert mind.disks(START + 4 * DAY + REMEMBERED, hdd1=4) == ([], [])


def test_an_input_that_was_armed_once_and_is_no_more() -> None:
    mind = Mind()
    assert mind.inputs(START, one=True, two=False, three=None) == []
    assert mind.inputs(START + HOUR, one=None, two=False, three=None) == [], "not said is not disarmed"
    disarmed = [{"id": "one", "since_at": isoformat(START + 2 * HOUR)}]
    assert mind.inputs(START + 2 * HOUR, one=False, two=False) == disarmed
    assert mind.inputs(START + 3 * HOUR, one=False, two=False) == disarmed
    assert mind.inputs(START + 4 * HOUR, one=True, two=False) == []


def test_footage_that_is_no_longer_listed_is_an_observation_of_its_own() -> None:
    mind = Mind()
    for at, spans in ((START + 40 * DAY, Spans.window(START, START + 40 * DAY)), (START + 41 * DAY, Spans.empty())):
        mind.see(Kind.RECORDINGS, reading(Footage(spans, Spans.empty(), (START, at))), at, CAMERA)
    assert [item.kind for item in mind.told] == [Kind.RECORDINGS, Kind.RECORDINGS, Kind.FOOTAGE_LOST]
    lost = mind.told[-1]
    assert (lost.subject, lost.state, lost.facts["older_left"]) == (CAMERA, "lost", False)


def test_a_refusal_passes_and_is_forgotten() -> None:
    mind = Mind()
    mind.disks(START, hdd1=8)
    mind.disks(START + 2 * DAY, hdd1=8)
    assert mind.see(Kind.DISKS, {}, START + 3 * DAY, state="unknown") == {}
    assert mind.disks(START + 4 * DAY, hdd1=8) == ([], [])


def test_a_look_beside_the_service_reads_its_memory_and_writes_nothing() -> None:
    service = ForNow()
    service.put("a", 1)
    look = ForNow(service)
    look.put("b", 2)
    assert (look.get("a"), look.get("b"), service.get("b")) == (1, 2, None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "disks", "inputs", "armed", "capacity_bytes", "pin"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from([Kind.IDENTITY, Kind.DISKS, Kind.ALARM_INPUTS, Kind.RECORDINGS]), st.lists(st.dictionaries(st.sampled_from(["disks", "inputs", "serial_digest", "window", "spans", "declared"]), json_values), max_size=3))  # fmt: skip
def test_odd_facts_break_nothing(kind: Kind, said: list[dict[str, Any]]) -> None:
    mind = Mind()
    for day, facts in enumerate(said):
        mind.see(kind, facts, START + day * DAY, CAMERA if kind is Kind.RECORDINGS else NVR)
    assert len(mind.told) >= len(said)
