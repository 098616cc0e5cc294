"""The district on paper: everything that happens is planted, everything planted happens, to devices that are there."""

import json
from collections import Counter
from pathlib import Path

import pytest

from agents.demo.compare import differences, key_of
from agents.demo.district import DISTRICT
from agents.demo.institution import Began, Institution, Json
from agents.demo.plan import PASSWORD_FILE, RHYTHM, script, site_file
from agents.demo.planted import Notes, planted
from agents.recorders.base import Cost
from agents.scan.pace import look_rounds, name_rounds
from agents.simulators.script import parse
from agents.simulators.site import Site as Devices
from agents.site import load_site
from monitor.model.regulation import Regulation
from monitor.regulations.loader import load

PACK: Regulation = load("demo-nursery")

SLACK = 15.0
"""Seconds for the way to the centre on a busy machine."""


def listening(recorder: Json) -> Json:
    """Return what the simulators say of a recorder once it listens."""
    host = recorder["http"].partition(":")[0]
    channels = {
        str(channel["id"]): {
            "sub": f"rtsp://{host}:4000/Streaming/Channels/{channel['id']}02",
            "holes": [{"start_at": "2026-10-03T16:00:00.000Z"}] if channel.get("holes") else [],
        }
        for channel in recorder["channels"]
    }
    return {"url": f"http://{host}:4001", "channels": channels}


def sayings(at: str = "2026-11-23T04:00:10.000Z") -> Notes:
    """Return the notes of a demo in which everything has happened."""
    play = script(DISTRICT, "secret")
    ready = {
        "recorders": {recorder["id"]: listening(recorder) for recorder in play["recorders"]},
        "gateways": {gateway["id"]: gateway["listen"].replace(":0", ":4002") for gateway in play["gateways"]},
    }
    done = [{**event, "event": "done", "at": at} for event in play["timeline"]]
    started = {item.id: "2026-11-23T04:00:00Z" for item in DISTRICT}
    killed = {item.id: "2026-11-23T04:00:10Z" for item in DISTRICT if item.agent_killed_at is not None}
    return Notes(ready, done, started, killed)


def test_the_simulators_take_the_script() -> None:
    play = json.loads(json.dumps(script(DISTRICT, "secret")))
    devices = Devices(parse(play))
    assert set(devices.recorders) == {item.device for item in DISTRICT}
    assert sum(len(item.cameras) for item in DISTRICT) <= 40


def test_every_institution_is_its_own_network() -> None:
    play = script(DISTRICT, "secret")
    hosts = [device["http"].partition(":")[0] for device in play["recorders"]]
    hosts += [device["listen"].partition(":")[0] for device in play["gateways"]]
    assert len(set(hosts)) == 2 * len(DISTRICT)
    assert all(host.startswith("127.8.") for host in hosts)


@pytest.mark.parametrize("item", DISTRICT, ids=lambda item: item.id)
def test_each_site_file_is_good_and_declares_what_the_plan_says(item: Institution, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(site_file(item, sayings().ready), encoding="utf-8")
    (tmp_path / PASSWORD_FILE).write_text("secret\n", encoding="utf-8")
    (tmp_path / PASSWORD_FILE).chmod(0o600)
    site = load_site(path)
    assert site.warnings() == ()
    assert site.institution.id == item.id
    assert [camera.id for camera in site.cameras] == [camera.id for camera in item.cameras]
    assert site.regulation == PACK.id
    for plant in item.plants:
        known = {
            "camera": [camera.id for camera in site.cameras],
            "recorder": [recorder.id for recorder in site.recorders],
            "zone": [zone.id for zone in site.zones],
            "agent": ["box"],
        }
        assert plant.id in known[plant.kind]
        assert plant.requirement in {requirement.kind for requirement in PACK.requirements.all()}


def test_one_of_each_make_is_sound_and_every_fault_of_the_demo_is_there_once() -> None:
    sound = [item for item in DISTRICT if not item.plants]
    assert [item.make for item in sound] == ["hikvision", "dahua"]
    assert not any(item.events for item in sound)
    assert {item.make for item in DISTRICT if item.plants} == {"hikvision", "dahua"}
    faults = Counter((plant.requirement, plant.state) for item in DISTRICT for plant in item.plants)
    assert faults == {
        ("retention", "short"): 4,
        ("retention", "gap"): 1,
        ("view", "black"): 1,
        ("view", "covered"): 1,
        ("view", "moved"): 1,
        ("view", "blurred"): 1,
        ("view", "looped"): 1,
        ("uptime", "down"): 1,
        ("zone_coverage", "no_camera"): 1,
        ("recorder_clock", "off"): 1,
        ("storage_health", "failed"): 1,
        ("uptime", "unreachable"): 1,
        ("measurability", "unmeasured"): 2,
        ("undeclared_channel", "found"): 1,
        ("agent_silence", "silent"): 1,
    }


def test_everything_that_happens_begins_or_ends_something_planted() -> None:
    happens = {(item.id, event.get("channel"), event["do"]) for item in DISTRICT for event in item.events}
    told = {
        (item.id, plant.channel, do)
        for item in DISTRICT
        for plant in item.plants
        for do in (plant.do, plant.healed_by)
        if do
    }
    assert happens == told
    killed = {item.id for item in DISTRICT if item.agent_killed_at is not None}
    assert killed == {item.id for item in DISTRICT for plant in item.plants if plant.began is Began.KILLED}


def test_everything_can_be_found_within_the_minute_that_the_demo_lasts() -> None:
    seen_again = 10.0 + 24.0
    """A recording of at most 16 s that is played again, as agents/vision knows it: a period, and 24 s at the most."""
    allowed = PACK.requirements.measurability
    silent = PACK.requirements.agent_silence
    assert allowed is not None
    assert silent is not None
    for item in DISTRICT:
        for event in item.events:
            waits = {"change_password": allowed.max_undetermined / 1000, "looped": seen_again}.get(event["do"], 10.0)
            assert event["at_seconds"] + waits + SLACK <= 60
        assert (item.agent_killed_at or 0.0) + silent.silent_after / 1000 + SLACK <= 60


def test_what_the_recorder_says_is_asked_twice_within_the_minute() -> None:
    """A case takes two looks: of the channels that nobody declared from the first one on, of a disk from its failure on."""
    for item in DISTRICT:
        cost: Cost = "dear" if item.make == "dahua" else "fair"
        every = float({**RHYTHM, **item.rhythm}["recorder_every"].removesuffix("s"))
        for plant in item.plants:
            if plant.requirement == "undeclared_channel":
                assert name_rounds(cost) * every + SLACK <= 60
            if plant.requirement == "storage_health":
                at = next(event["at_seconds"] for event in item.events if event["do"] == plant.do)
                assert at + 2 * look_rounds(cost, len(item.cameras)) * every + SLACK <= 60


def test_what_was_planted_is_told_by_the_simulators_own_lines() -> None:
    items = planted(DISTRICT, sayings())
    assert len(items) == sum(len(item.plants) for item in DISTRICT)
    by_key = {key_of(item): item for item in items}
    assert by_key["wj-0003", "retention", "camera", "room1", "gap"]["began_at"] == "2026-10-03T16:00:00Z"
    assert by_key["wj-0004", "view", "camera", "room1", "black"]["began_at"] == "2026-11-23T04:00:10Z"
    assert by_key["wj-0006", "zone_coverage", "zone", "room2", "no_camera"]["began_at"] == "2026-11-23T04:00:00Z"
    assert by_key["wj-0011", "agent_silence", "agent", "box", "silent"]["began_at"] == "2026-11-23T04:00:10Z"
    assert [key[0] for key, item in by_key.items() if item["ended_at"]] == ["wj-0005", "wj-0012"]


def test_what_has_not_happened_is_not_planted() -> None:
    notes = sayings()
    before = Notes(ready=notes.ready, started=notes.started)
    assert {item["institution"] for item in planted(DISTRICT, before)} == {
        "wj-0002",
        "wj-0003",
        "wj-0006",
        "wj-0007",
        "wj-0010",
        "wj-0016",
    }
    assert planted(DISTRICT, Notes()) == []


def finding(began_at: str = "2026-11-23T04:00:12Z", ended_at: str | None = None, **other: str) -> Json:
    return {
        "institution": "wj-0004",
        "requirement": "view",
        "subject": {"kind": "camera", "id": "room1"},
        "state": "black",
        "began_at": began_at,
        "ended_at": ended_at,
        **other,
    }


PLANTED = finding("2026-11-23T04:00:10Z")


def test_equal_is_equal() -> None:
    assert differences([finding()], [PLANTED]) == []
    assert differences([], []) == []


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ([], "not found: wj-0004 view black camera/room1"),
        ([finding(), finding()], "found 2 times: wj-0004 view black camera/room1"),
        ([finding(), finding(state="dark")], "found and not planted: wj-0004 view dark camera/room1"),
        ([finding("2026-11-23T04:00:20.5Z")], "begins +10.5 s off, 10 s are allowed: wj-0004 view black camera/room1"),
        ([finding("2026-11-23T03:59:58Z")], "begins -12.0 s off, 10 s are allowed: wj-0004 view black camera/room1"),
        (
            [finding(ended_at="2026-11-23T04:00:30Z")],
            "ended though nothing was healed: wj-0004 view black camera/room1",
        ),
    ],
)
def test_each_difference_is_one_sentence(findings: list[Json], said: str) -> None:
    assert differences(findings, [PLANTED]) == [said]


def test_a_healed_fault_has_to_end_in_time() -> None:
    healed = finding("2026-11-23T04:00:10Z", "2026-11-23T04:00:25Z")
    assert differences([finding(ended_at="2026-11-23T04:00:27Z")], [healed]) == []
    assert differences([finding()], [healed]) == ["not ended though it was healed: wj-0004 view black camera/room1"]
    late = differences([finding(ended_at="2026-11-23T04:00:40Z")], [healed])
    assert late == ["ends +15.0 s off, 10 s are allowed: wj-0004 view black camera/room1"]


def test_other_requirements_may_begin_within_a_minute() -> None:
    mine = finding("2026-11-23T04:01:09Z", requirement="recorder_clock", state="off")
    assert differences([mine], [{**PLANTED, "requirement": "recorder_clock", "state": "off"}]) == []
