"""The picture and the room, by examples: what a camera shows, and whether a zone is fully covered."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.evaluation.view import CONDITIONS
from monitor.model.inventory import Zone
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import DAY, HOUR, MINUTE
from monitor.model.verdict import Cause, Outcome
from support.packs import pack
from support.scene import (
    CAMERAS,
    GATE,
    INSTITUTION,
    INVENTORY,
    NOON,
    NVR,
    ROOM1,
    Judged,
    attested,
    during,
    healthy,
    without,
)

GATE_ZONE, ROOM1_ZONE, NAP_ZONE = (Subject(kind="zone", id=item.id) for item in CAMERAS)


def with_view(*stretches: Observation) -> Judged:
    return Judged([*without(healthy(), Kind.VIEW, GATE), *stretches])


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_is_a_breach_with_its_beginning(condition: str) -> None:
    judged = with_view(
        during(GATE, Kind.VIEW, NOON - 5 * HOUR, NOON - HOUR, "ok"),
        during(GATE, Kind.VIEW, NOON - HOUR, NOON, condition),
    )
    verdict = judged("view", GATE)
    assert (verdict.outcome, verdict.state, verdict.began) == (Outcome.BREACHED, condition, NOON - HOUR)
    assert [(item.state, item.began, item.ended) for item in verdict.episodes or ()] == [(condition, NOON - HOUR, None)]
    assert verdict.reason.endswith(" since 2026-11-23T03:00:00Z.")
    assert " is " not in verdict.reason, "it has been so since then"
    assert "_" not in verdict.reason
    zone = judged("zone_coverage", GATE_ZONE)
    assert (zone.outcome, zone.state, zone.because_of) == (Outcome.BREACHED, "view_faulty", Cause("view", GATE))


def test_a_condition_nobody_knows_is_unknown() -> None:
    judged = with_view(during(GATE, Kind.VIEW, NOON - HOUR, NOON, "bewitched"))
    assert (judged("view", GATE).outcome, judged("view", GATE).state) == (Outcome.UNDETERMINED, "unknown")
    assert judged("zone_coverage", GATE_ZONE).state == "unknown"


def test_not_looking_in_between_does_not_end_a_fault_and_a_good_look_does() -> None:
    judged = with_view(
        during(GATE, Kind.VIEW, NOON - 9 * HOUR, NOON - 8 * HOUR, "covered"),
        during(GATE, Kind.VIEW, NOON - 7 * HOUR, NOON - 6 * HOUR, "covered"),
        during(GATE, Kind.VIEW, NOON - 5 * HOUR, NOON - 4 * HOUR, "ok"),
        during(GATE, Kind.VIEW, NOON - HOUR, NOON, "black"),
    )
    assert [(item.state, item.began, item.ended) for item in judged("view", GATE).episodes or ()] == [
        ("covered", NOON - 9 * HOUR, NOON - 5 * HOUR),
        ("black", NOON - HOUR, None),
    ]


def test_a_picture_that_nobody_sees_because_the_camera_is_down_says_so() -> None:
    judged = Judged(
        [
            *without(without(healthy(), Kind.VIEW, GATE), Kind.STREAM, GATE),
            during(GATE, Kind.VIEW, NOON - 5 * HOUR, NOON - HOUR, "ok"),
            during(GATE, Kind.STREAM, NOON - 5 * HOUR, NOON - HOUR, "up"),
            during(GATE, Kind.STREAM, NOON - HOUR, NOON, "down", "stalled"),
        ]
    )
    view, zone = judged("view", GATE), judged("zone_coverage", GATE_ZONE)
    assert (view.outcome, view.because_of) == (Outcome.UNDETERMINED, Cause("uptime", GATE))
    assert (zone.outcome, zone.state, zone.because_of) == (Outcome.BREACHED, "camera_down", Cause("uptime", GATE))


def test_a_recorder_that_is_gone_explains_its_zones() -> None:
    gone = NOON - HOUR
    seen = [item for item in healthy() if item.kind not in {Kind.REACH, Kind.STREAM, Kind.VIEW}]
    seen += [
        during(NVR, Kind.REACH, NOON - DAY, gone, "up"),
        during(NVR, Kind.REACH, gone, NOON, "down", "timeout"),
        *(during(camera, Kind.STREAM, gone, NOON, "unknown", "recorder_unreachable") for camera in CAMERAS),
    ]
    judged = Judged(seen)
    for zone in (GATE_ZONE, ROOM1_ZONE, NAP_ZONE):
        verdict = judged("zone_coverage", zone)
        assert (verdict.outcome, verdict.state) == (Outcome.UNDETERMINED, "unknown")
        assert verdict.because_of == Cause("uptime", NVR)


def test_one_working_camera_of_two_shows_the_zone() -> None:
    cameras = tuple(
        item.model_copy(update={"zones": ("gate", "room1")}) if item.id == "room1" else item
        for item in INVENTORY.cameras
    )
    seen = [*without(healthy(), Kind.VIEW, GATE), during(GATE, Kind.VIEW, NOON - HOUR, NOON, "black")]
    verdict = Judged(seen, inventory=INVENTORY.model_copy(update={"cameras": cameras}))("zone_coverage", GATE_ZONE)
    assert (verdict.outcome, verdict.reason) == (Outcome.MET, "Camera room1 shows it.")


@pytest.mark.parametrize(
    ("stream", "state", "reason"),
    [
        ("down", "camera_down", "Camera room1 is down; the picture of camera gate is not usable."),
        ("unknown", "unknown", "The picture of camera gate is not usable; what camera room1 shows is not known."),
    ],
)
def test_of_each_camera_of_a_zone_it_is_said_what_is_wrong_with_it(stream: str, state: str, reason: str) -> None:
    """One is down, or not known, and the other one only shows nothing of use."""
    cameras = tuple(
        item.model_copy(update={"zones": ("gate", "room1")}) if item.id == "room1" else item
        for item in INVENTORY.cameras
    )
    seen = [*without(without(healthy(), Kind.VIEW, GATE), Kind.STREAM, ROOM1)]
    seen += [
        during(GATE, Kind.VIEW, NOON - HOUR, NOON, "covered"),
        during(ROOM1, Kind.STREAM, NOON - HOUR, NOON, stream, "stalled"),
    ]
    verdict = Judged(seen, inventory=INVENTORY.model_copy(update={"cameras": cameras}))("zone_coverage", GATE_ZONE)
    assert (verdict.state, verdict.reason) == (state, reason)
    assert verdict.because_of == Cause("uptime", ROOM1), "whose fault the worst is"


def test_without_a_walk_a_camera_is_present_and_no_more() -> None:
    seen = [item for item in healthy() if item.subject != GATE_ZONE]
    verdict = Judged(seen)("zone_coverage", GATE_ZONE)
    assert (verdict.outcome, verdict.state, verdict.because_of) == (Outcome.UNDETERMINED, "camera_present_only", None)
    whole = Judged([*seen, attested("coverage_walk")])("zone_coverage", GATE_ZONE)
    assert (whole.outcome, whole.evidence[0].text) == (Outcome.MET, "walked by 王督察")
    lenient = Judged(seen, regulation=pack(zone_coverage={"proof": ["camera"]}))("zone_coverage", GATE_ZONE)
    assert lenient.outcome is Outcome.MET


@pytest.mark.parametrize(
    ("walk", "state"),
    [
        pytest.param({"when": NOON - 31 * DAY}, "ok", id="on its last day"),
        pytest.param({"when": NOON - 31 * DAY - 1}, "camera_present_only", id="expired"),
        pytest.param({"when": NOON - DAY, "state": "fault"}, "camera_present_only", id="found a fault"),
        pytest.param({"when": NOON + MINUTE}, "camera_present_only", id="not walked yet"),
    ],
)
def test_a_walk_holds_until_it_expires(walk: dict[str, Any], state: str) -> None:
    seen = [item for item in healthy() if item.subject != GATE_ZONE]
    assert Judged([*seen, attested("coverage_walk", GATE_ZONE, **walk)])("zone_coverage", GATE_ZONE).state == state


def test_a_later_walk_that_found_a_fault_undoes_the_earlier_one() -> None:
    seen = [*healthy(), attested("coverage_walk", GATE_ZONE, when=NOON - HOUR, state="fault")]
    assert Judged(seen)("zone_coverage", GATE_ZONE).state == "camera_present_only"


def test_a_zone_without_a_camera_and_a_room_without_a_zone() -> None:
    zones = (*(zone for zone in INVENTORY.zones if zone.id != "room1"), Zone(id="nap2", room="nap"))
    judged = Judged(healthy(), inventory=INVENTORY.model_copy(update={"zones": zones}))
    assert judged.said("zone_coverage") == {
        "institution/wj-0001": ("breached", "no_zone"),
        "zone/gate": ("met", "ok"),
        "zone/nap1": ("met", "ok"),
        "zone/nap2": ("breached", "no_camera"),
    }
    assert judged("zone_coverage", INSTITUTION).measured["rooms"] == ["play"]
    assert judged("forbidden_zone", ROOM1).outcome is Outcome.UNDETERMINED  # its zone is not declared


def test_a_camera_in_a_forbidden_room_is_inside_whatever_else_it_shows() -> None:
    zones = (*INVENTORY.zones, Zone(id="wc", room="toilet"))
    cameras = tuple(
        item.model_copy(update={"zones": ("gate", "wc")}) if item.id == "gate" else item for item in INVENTORY.cameras
    )
    judged = Judged(healthy(), inventory=INVENTORY.model_copy(update={"zones": zones, "cameras": cameras}))
    assert (judged("forbidden_zone", GATE).outcome, judged("forbidden_zone", GATE).state) == (
        Outcome.BREACHED, "inside",
    )  # fmt: skip
    assert judged("forbidden_zone", GATE).measured == {"zones": ["wc"]}
