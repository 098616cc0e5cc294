"""Unknown is no hiding place, by examples: measurability, the agent's silence, and the alarm test."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from monitor.model.inventory import Closure, Inventory
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import DAY, HOUR, MINUTE, Millis, from_millis, isoformat
from monitor.model.verdict import Cause, Outcome
from support.packs import pack
from support.scene import (
    BOX,
    CAMERAS,
    GATE,
    INSTITUTION,
    INVENTORY,
    NOON,
    NVR,
    ROOM1,
    Judged,
    at,
    attested,
    during,
    healthy,
    without,
)


def since(judged: Judged, when: Millis) -> Mapping[tuple[str, Subject], Millis]:
    """Say of all that is undetermined since when it has been."""
    return {item.key: when for item in judged.verdicts if item.outcome is Outcome.UNDETERMINED}


def again(seen: list[Observation], when: Millis, **more: Any) -> Judged:
    """Judge what has been undetermined since `when`."""
    return Judged(seen, undetermined_since=since(Judged(seen, **more), when), **more)


def refused(cause: str) -> list[Observation]:
    """The recorder and its cameras answer nothing but this."""
    seen = [item for item in healthy() if item.kind in {Kind.INVENTORY, Kind.AGENT, Kind.ATTESTATION}]
    seen += [during(NVR, Kind.REACH, NOON - HOUR, NOON, "up")]
    seen += [at(NVR, kind, {}, state="unknown", cause=cause) for kind in (Kind.CLOCK, Kind.DISKS, Kind.CHANNELS)]
    for camera in CAMERAS:
        seen += [
            during(camera, Kind.STREAM, NOON - HOUR, NOON, "unknown", cause),
            at(camera, Kind.RECORDINGS, {}, state="unknown", cause=cause),
        ]
    return seen


@pytest.mark.parametrize(
    ("cause", "named"),
    [
        ("unauthorized", "credentials"),
        ("credentials_held", "credentials"),
        ("not_permitted", "permission"),
        ("recorder_full", "recorder_full"),
    ],
)
def test_what_stays_unknown_is_one_case_on_the_recorder(cause: str, named: str) -> None:
    judged = again(refused(cause), NOON - 73 * HOUR)
    recorder = judged("measurability", NVR)
    assert (recorder.outcome, recorder.state, recorder.cause) == (Outcome.BREACHED, "unmeasured", named)
    assert recorder.began == NOON - 73 * HOUR
    for camera in CAMERAS:
        verdict = judged("measurability", camera)
        assert (verdict.outcome, verdict.because_of) == (Outcome.BREACHED, Cause("measurability", NVR))


def test_a_reason_is_one_sentence_whatever_the_recorder_driver_said() -> None:
    seen = [item for item in healthy() if item.kind is not Kind.RECORDINGS]
    for camera in CAMERAS:
        said = at(camera, Kind.RECORDINGS, {}, state="unknown", cause="timeout")
        seen.append(said.model_copy(update={"detail": "It didn't answer: check its cable."}))
    judged = Judged(seen)
    for requirement in ("retention", "recording_completeness"):
        reason = judged(requirement, GATE).reason
        assert reason.endswith("check its cable.")
        assert ".." not in reason


@pytest.mark.parametrize(("hours", "outcome"), [(71, Outcome.MET), (72, Outcome.MET), (73, Outcome.BREACHED)])
def test_it_is_measured_against_the_pack(hours: int, outcome: Outcome) -> None:
    assert again(refused("unauthorized"), NOON - hours * HOUR)("measurability", NVR).outcome is outcome


def test_a_camera_that_was_unknown_a_moment_before_its_recorder_has_no_case_of_its_own() -> None:
    before = Judged(refused("unauthorized"))
    earlier = {
        item.key: NOON - 73 * HOUR if item.subject.kind == "camera" else NOON - 71 * HOUR
        for item in before.verdicts
        if item.outcome is Outcome.UNDETERMINED
    }
    judged = Judged(refused("unauthorized"), undetermined_since=earlier)
    assert judged("measurability", NVR).outcome is Outcome.MET
    camera = judged("measurability", GATE)
    assert (camera.outcome, camera.because_of) == (Outcome.BREACHED, Cause("measurability", NVR))


def test_one_camera_that_stays_unknown_has_its_own_case() -> None:
    seen = [
        *without(healthy(), Kind.STREAM, GATE),
        during(GATE, Kind.STREAM, NOON - HOUR, NOON, "unknown", "recorder_full"),
    ]
    judged = again(seen, NOON - 80 * HOUR)
    verdict = judged("measurability", GATE)
    assert (verdict.outcome, verdict.because_of) == (Outcome.BREACHED, None)
    assert judged("measurability", NVR).outcome is Outcome.MET
    assert judged("measurability", ROOM1).outcome is Outcome.MET


def test_an_approval_that_people_owe_is_never_held_against_the_machine() -> None:
    seen = [item for item in healthy() if item.kind is not Kind.ATTESTATION]
    judged = again(seen, NOON - 300 * HOUR)
    assert set(judged.said("measurability").values()) == {("met", "ok")}
    assert judged.said("zone_coverage")["zone/gate"] == ("undetermined", "camera_present_only")


def test_what_has_a_case_already_is_no_second_one() -> None:
    """The recorder is unreachable: that is a finding; that its cameras are unknown follows from it."""
    seen = [item for item in refused("recorder_unreachable") if item.kind is not Kind.REACH]
    judged = again([*seen, during(NVR, Kind.REACH, NOON - 99 * HOUR, NOON, "down", "timeout")], NOON - 90 * HOUR)
    assert judged("uptime", NVR).state == "unreachable"
    measured: Any = judged("measurability", NVR).measured
    assert measured["undetermined"] == []
    assert "uptime" not in judged("measurability", GATE).measured["undetermined"]  # type: ignore[operator]


def test_what_is_not_offered_counts_only_where_the_pack_requires_it() -> None:
    seen = [*without(healthy(), Kind.DISKS), at(NVR, Kind.DISKS, {}, state="unknown", cause="not_offered")]
    assert again(seen, NOON - 99 * HOUR)("measurability", NVR).outcome is Outcome.MET
    strict = pack(measurability={"must_offer": ["storage_health"]})
    verdict = again(seen, NOON - 99 * HOUR, regulation=strict)("measurability", NVR)
    assert (verdict.outcome, verdict.cause) == (Outcome.BREACHED, "not_offered")


def test_a_silent_agent_explains_all_that_is_unknown() -> None:
    last = NOON - 3 * DAY
    judged = Judged(healthy(last - DAY, last), NOON, last_reports={"box": last})
    silence = judged("agent_silence", BOX)
    assert (silence.outcome, silence.state, silence.began) == (Outcome.BREACHED, "silent", last)
    unknown = [item for item in judged.verdicts if item.outcome is Outcome.UNDETERMINED]
    assert {item.requirement.kind for item in unknown} >= {"uptime", "view", "zone_coverage", "retention"}
    assert {item.because_of for item in unknown} == {Cause("agent_silence", BOX)}
    later = Judged(healthy(last - DAY, last), NOON, last_reports={"box": last}, undetermined_since=since(judged, last))
    assert set(later.said("measurability").values()) == {("met", "ok")}  # one case is enough


def _closed_for(days: int) -> Inventory:
    last = from_millis(NOON).date()
    closure = Closure.model_validate({"from": last - timedelta(days=days - 1), "to": last, "reason": "春节"})
    return INVENTORY.model_copy(update={"closures": (closure,)})


def test_a_box_that_is_off_on_closed_days_is_neither_silent_nor_reporting() -> None:
    for last, said in ((NOON - 5 * DAY, []), (NOON - 9 * DAY, ["silent"]), (NOON - MINUTE, ["reporting"])):
        judged = Judged(healthy(), inventory=_closed_for(8), last_reports={"box": last})
        assert [item.state for item in judged.verdicts if item.requirement.kind == "agent_silence"] == said


def test_closed_days_are_not_counted_against_what_stays_unknown() -> None:
    for days, outcome in ((8, Outcome.MET), (1, Outcome.BREACHED)):
        judged = again(refused("unauthorized"), NOON - 5 * DAY, inventory=_closed_for(days))
        assert judged("measurability", NVR).outcome is outcome


@pytest.mark.parametrize(("quiet", "state"), [(30 * MINUTE, "reporting"), (30 * MINUTE + 1, "silent")])
def test_silence_is_judged_by_the_centre_alone(quiet: Millis, state: str) -> None:
    assert Judged(healthy(), last_reports={"box": NOON - quiet})("agent_silence", BOX).state == state
    assert Judged(healthy()).said("agent_silence") == {}


def test_one_agent_of_two_that_reports_is_enough_to_know() -> None:
    judged = Judged(without(healthy(), Kind.VIEW), last_reports={"box": NOON - DAY, "other": NOON})
    assert judged("view", GATE).because_of is None


@pytest.mark.parametrize(
    ("tests", "outcome", "state"),
    [
        pytest.param([], Outcome.UNDETERMINED, "not_offered", id="never tested"),
        pytest.param([{"when": NOON - DAY}], Outcome.MET, "ok", id="tested"),
        pytest.param([{"when": NOON - 31 * DAY}], Outcome.MET, "ok", id="on its last day"),
        pytest.param([{"when": NOON - 31 * DAY - 1}], Outcome.BREACHED, "untested", id="expired"),
        pytest.param([{"when": NOON - DAY, "state": "fault"}], Outcome.BREACHED, "fault", id="a fault"),
        pytest.param([{"when": NOON - 2 * DAY, "state": "fault"}, {"when": NOON}], Outcome.MET, "ok", id="repaired"),
        pytest.param([{"when": NOON - DAY, "state": "unknown"}], Outcome.UNDETERMINED, "unknown", id="no result"),
    ],
)
def test_the_alarm_test(tests: list[dict[str, Any]], outcome: Outcome, state: str) -> None:
    seen = [item for item in healthy() if item.kind is not Kind.ATTESTATION]
    verdict = Judged([*seen, *(attested("alarm_test", **test) for test in tests)])("alarm_system", INSTITUTION)
    assert (verdict.outcome, verdict.state) == (outcome, state)


def inputs(*armed: bool | None, disarmed: list[str] | None = None, **more: Any) -> Observation:
    """What a recorder says of its alarm inputs."""
    facts = {
        "inputs": [{"id": str(number), "armed": value, "active": None} for number, value in enumerate(armed, 1)],
        "disarmed": [{"id": name, "since_at": isoformat(NOON - 2 * HOUR)} for name in disarmed or []],
    }
    return at(NVR, Kind.ALARM_INPUTS, facts, **more)


REFUSED = at(NVR, Kind.ALARM_INPUTS, {}, state="unknown", cause="not_permitted")
NOT_OFFERED = at(NVR, Kind.ALARM_INPUTS, {}, state="unknown", cause="not_offered")
TESTED, EXPIRED = attested("alarm_test"), attested("alarm_test", when=NOON - 40 * DAY)
FAULT = attested("alarm_test", state="fault")


@pytest.mark.parametrize(
    ("seen", "outcome", "state"),
    [
        pytest.param([inputs(True, False)], Outcome.MET, "ok", id="a device reports an armed input"),
        pytest.param(
            [inputs(False, False)], Outcome.UNDETERMINED, "unknown", id="inputs that nobody uses are no fault"
        ),
        pytest.param([inputs(None)], Outcome.UNDETERMINED, "unknown", id="armed or not isn't said"),
        pytest.param([inputs()], Outcome.UNDETERMINED, "not_offered", id="a device without inputs"),
        pytest.param([NOT_OFFERED], Outcome.UNDETERMINED, "not_offered", id="not offered"),
        pytest.param([REFUSED], Outcome.UNDETERMINED, "unknown", id="no right to ask"),
        pytest.param([inputs(True, when=NOON - 5 * DAY)], Outcome.UNDETERMINED, "unknown", id="told too long ago"),
        pytest.param([inputs(False, disarmed=["1"])], Outcome.BREACHED, "fault", id="somebody disarmed it"),
        pytest.param(
            [inputs(False, disarmed=["1"]), TESTED], Outcome.BREACHED, "fault", id="disarmed, whatever was tested"
        ),
        pytest.param([inputs(True), EXPIRED], Outcome.BREACHED, "untested", id="an armed input is no test"),
        pytest.param([inputs(True), FAULT], Outcome.BREACHED, "fault", id="nor does it undo a fault"),
        pytest.param([inputs(False), TESTED], Outcome.MET, "ok", id="tested; the inputs are not used"),
        pytest.param([REFUSED, TESTED], Outcome.MET, "ok", id="tested; nothing known of the device"),
    ],
)
def test_the_alarm_by_devices_and_people(seen: list[Observation], outcome: Outcome, state: str) -> None:
    others = [item for item in healthy() if item.kind is not Kind.ATTESTATION]
    verdict = Judged([*others, *seen])("alarm_system", INSTITUTION)
    assert (verdict.outcome, verdict.state) == (outcome, state)
    assert verdict.evidence or outcome is Outcome.UNDETERMINED


def test_a_disarmed_input_is_a_fault_since_it_was_seen_so() -> None:
    verdict = Judged([*healthy(), inputs(True, False, disarmed=["2"])])("alarm_system", INSTITUTION)
    assert verdict.began == NOON - 2 * HOUR
    assert verdict.reason == f"Alarm input 2 was armed and no longer is, since {isoformat(NOON - 2 * HOUR)}."
    assert (verdict.measured["armed_inputs"], verdict.measured["disarmed_inputs"]) == (["1"], ["2"])
