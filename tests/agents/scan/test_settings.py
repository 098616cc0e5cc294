"""A recorder asked for its settings: what it says becomes facts, what it doesn't offer is unknown, never a guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.recorders.base import Behind
from agents.scan.memory import ForNow, Memory
from agents.scan.recorder import LOGIN_REFUSED, Channelled, RecorderScan
from agents.scan.settings import SettingsScan, identity_facts
from agents.simulators.camera import Camera
from agents.simulators.footage import Footage as Held
from agents.simulators.recorder import AlarmInput as Wired
from agents.simulators.recorder import Channel as Input
from agents.simulators.recorder import RecorderState
from monitor.model.clock import ManualClock
from monitor.model.observation import Kind, Observation
from support.recorder_http import NOW
from support.recorder_rigs import RIGS, Rig, running

CAMERAS = [Channelled("gate", "1"), Channelled("room1", "2"), Channelled("stray", "9")]
BY_CAMERA = {Kind.RECORDING_MODE, Kind.EXPIRY, Kind.IDENTITY}
BY_RECORDER = {Kind.TIME_SYNC, Kind.ALARM_INPUTS, Kind.FAULT_NOTICES, Kind.STORAGE_MODE}


def state() -> RecorderState:
    channels = [Input(n, f"camera {n}", Camera(n), Held([]), live=False, camera_serial=f"SERIAL-{n}") for n in (1, 2)]
    channels[1].mode = "MOTION"
    return RecorderState(channels, now=NOW.timestamp, alarm_inputs=[Wired(1, armed=True)], mail_to="x@example.com")


async def settings_of(rig: Rig, folder: Path, **changes: str) -> dict[tuple[Kind, str], Observation]:
    """Ask a simulated recorder of a make, over sockets."""
    seen: list[Observation] = []
    async with running(rig, state(), folder, ManualClock(NOW), **changes) as (simulator, driver):
        scan = SettingsScan(
            "nvr", driver, CAMERAS, ManualClock(NOW), Memory(ForNow(), seen.append), {"gate": "serial-1"}
        )
        await scan.ask()
        assert sum(simulator.requests.values()) <= 30, "a day of which costs less than two hours of the budget"
    found = {(item.kind, item.subject.id): item for item in seen}
    assert len(found) == len(seen)
    return found


@pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.driver)
async def test_every_question_of_every_make_is_answered_or_says_why_not(rig: Rig, tmp_path: Path) -> None:
    found = await settings_of(rig, tmp_path)
    asked = {(kind, item.camera) for kind in BY_CAMERA for item in CAMERAS} | {(kind, "nvr") for kind in BY_RECORDER}
    assert set(found) == asked
    questions = {
        Kind.RECORDING_MODE: "recording_modes", Kind.EXPIRY: "expiry_days", Kind.TIME_SYNC: "time_sync",
        Kind.ALARM_INPUTS: "alarm_inputs", Kind.FAULT_NOTICES: "fault_notices", Kind.STORAGE_MODE: "storage_mode",
    }  # fmt: skip
    for (kind, subject), item in found.items():
        if kind in questions and questions[kind] not in rig.offers:
            assert (item.state, item.cause, item.facts) == ("unknown", "not_offered", {}), (kind, subject)
        elif kind in questions and subject not in {"stray", "nvr"}:
            assert item.state == "read", (kind, subject, item.detail)
    text = str([item.facts for item in found.values()])
    assert "SERIAL" not in text
    assert "192.0.2" not in text, "addresses stay on site, too"


@pytest.mark.parametrize("rig", [rig for rig in RIGS if rig.driver != "onvif"], ids=lambda rig: rig.driver)
async def test_renumbered_channels_are_exchanged_cameras_and_one_that_is_not_listed_is_none(
    rig: Rig, tmp_path: Path
) -> None:
    """As sockets of a PoE recorder are numbered anew, and as a list of what is on line leaves a camera out."""
    seen: list[Observation] = []
    async with running(rig, state(), tmp_path, clock := ManualClock(NOW)) as (simulator, driver):
        scan = SettingsScan("nvr", driver, CAMERAS[:2], clock, Memory(ForNow(), seen.append))

        async def exchanged() -> dict[str, tuple[str, bool]]:
            seen.clear()
            await scan.ask()
            clock.advance(86_400)
            identities = [item for item in seen if item.kind is Kind.IDENTITY]
            return {item.subject.id: (item.state, item.facts.get("exchanged_at") is not None) for item in identities}

        gate, room1 = simulator.state.channels
        assert await exchanged() == {"gate": ("read", False), "room1": ("read", False)}
        simulator.state.channels.remove(room1)
        assert await exchanged() == {"gate": ("read", False), "room1": ("unknown", False)}
        simulator.state.channels.append(room1)
        assert await exchanged() == {"gate": ("read", False), "room1": ("read", False)}
        gate.id, room1.id = 2, 1
        assert await exchanged() == {"gate": ("read", True), "room1": ("read", True)}


async def test_what_a_recorder_tells(tmp_path: Path) -> None:
    found = await settings_of(RIGS[0], tmp_path)
    facts = {key: item.facts for key, item in found.items()}
    assert facts[Kind.RECORDING_MODE, "gate"] == {"mode": "continuous", "holes": []}
    assert facts[Kind.RECORDING_MODE, "room1"] == {"mode": "motion", "holes": []}
    assert found[Kind.RECORDING_MODE, "stray"].state == "unknown"
    assert facts[Kind.TIME_SYNC, "nvr"] == {"enabled": True, "has_server": True}
    assert facts[Kind.ALARM_INPUTS, "nvr"] == {"inputs": [{"id": "1", "armed": True, "active": False}], "disarmed": []}
    assert facts[Kind.FAULT_NOTICES, "nvr"] == {"armed": ["diskerror"], "mail": True}
    assert facts[Kind.STORAGE_MODE, "nvr"] == {"mode": "quota"}
    gate = facts[Kind.IDENTITY, "gate"]
    assert (gate["declared"], gate["exchanged_at"]) == (True, None)
    assert facts[Kind.IDENTITY, "room1"]["declared"] is None


async def test_a_refused_login_is_met_once_and_names_no_account(tmp_path: Path) -> None:
    found = await settings_of(RIGS[0], tmp_path, password="wrong")
    assert {(item.state, item.cause, item.detail) for item in found.values()} == {
        ("unknown", "unauthorized", LOGIN_REFUSED)
    }


def test_a_camera_is_named_by_digests_however_makers_write_them() -> None:
    one = identity_facts(Behind("S-1", "00:1A:2b:3C:4d:5e", "192.0.2.7", "M"), "001a2b3c4d5e")
    other = identity_facts(Behind("s-1", "00-1a-2b-3c-4d-5e", "", "M"), "someone else's")
    assert (one["declared"], other["declared"]) == (True, False)
    assert (one["serial_digest"], one["mac_digest"]) == (other["serial_digest"], other["mac_digest"])
    assert other["address_digest"] is None
    assert identity_facts(Behind(), "S-1")["declared"] is None


async def test_channels_that_were_listed_a_moment_ago_are_not_asked_for_again(tmp_path: Path) -> None:
    seen: list[Observation] = []
    rig, clock = RIGS[0], ManualClock(NOW)
    async with running(rig, state(), tmp_path, clock) as (simulator, driver):
        scan = RecorderScan("nvr", driver, CAMERAS, clock, seen.append)
        settings = SettingsScan("nvr", driver, CAMERAS, clock, seen.append, listing=scan.channels_lately)
        await scan.look()
        listed = simulator.requests["channels"]
        await settings.ask()
        assert simulator.requests["channels"] == listed
        told = [item.subject.id for item in seen if item.kind == Kind.IDENTITY and item.state == "read"]
        assert told == ["nvr", "gate", "room1"]
        clock.advance(61.0)
        await settings.ask()
        assert simulator.requests["channels"] == listed + 1
