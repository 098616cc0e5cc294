"""Captures: what a simulated recorder answered, scrubbed, and played back to the same driver."""

import asyncio
import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from agents.cli import app
from agents.record_device import RecordError, capture, fixture_name, known_values, write
from agents.recorders.base import Identity, StreamPlayback
from agents.recorders.registry import DRIVERS
from agents.simulators.camera import Camera
from agents.simulators.footage import Footage, Segment
from agents.simulators.recorder import AlarmInput, Channel, RecorderState
from agents.site import Site, load_site
from monitor.model.clock import ManualClock
from monitor.model.span import DAY, HOUR, Spans, to_millis
from support.recorder_http import NOW, recorder_settings, serving
from support.recorder_rigs import RIGS, Rig
from support.replay import Replay

NOON = to_millis(NOW)
PLANTED = {
    "serial": "SN-PLANTED-0001",
    "camera_serial": "CAM-PLANTED-0002",
    "address": "192.168.77.88",
    "channel": "王老师的教室",
    "alarm": "Alices Knopf",
    "password": "Geheim-77!&<x>",
    "username": "planted-user",
}


def planted() -> RecorderState:
    files = [Segment((NOON - (n + 1) * HOUR) / 1000, (NOON - n * HOUR) / 1000) for n in range(60)]
    channel = Channel(
        1, PLANTED["channel"], Camera(1), Footage(files, lag_seconds=0), live=False,
        ip_address=PLANTED["address"], camera_serial=PLANTED["camera_serial"],
    )  # fmt: skip
    return RecorderState(
        [channel], serial=PLANTED["serial"], username=PLANTED["username"], password=PLANTED["password"],
        alarm_inputs=[AlarmInput(1, PLANTED["alarm"])], device_name="Kindergarten Sonne", now=NOW.timestamp,
    )  # fmt: skip


def site(folder: Path, **more: Any) -> Site:
    path = folder / "site.yaml"
    camera = {"id": "gate", "name": "后门", "zones": [], "stream": "rtsp://127.0.0.1/x"}
    text = {
        "institution": {"id": "wj-1", "name": "示范托育园", "timezone": "Asia/Shanghai"},
        "regulation": "cn-nursery-wujiang-2021",
        "networks": ["127.0.0.0/8"],
        "zones": [],
        "cameras": [camera],
        **more,
    }
    path.write_text(yaml.safe_dump(text, allow_unicode=True))
    return load_site(path)


async def captured(rig: Rig, tmp_path: Path) -> Path:
    """Record a simulated recorder whose secrets are known, and return the fixture's folder."""
    clock = ManualClock(NOW)
    async with rig.simulator(planted()) as simulator:
        settings = recorder_settings(
            tmp_path,
            simulator.url,
            driver=rig.driver,
            clock=clock,
            username=PLANTED["username"],
            password=PLANTED["password"],
        )
        found = await capture(settings, clock)
        assert simulator.stats()["concurrent_searches"] == 0
    return write(found, known_values(site(tmp_path), settings, found), settings, tmp_path / "fixtures")


@pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.driver)
async def test_what_was_planted_is_nowhere_in_a_fixture_and_it_plays(rig: Rig, tmp_path: Path) -> None:
    folder = await captured(rig, tmp_path)
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    for secret in (*PLANTED.values(), "Sonne", "Camera-Secret-9", "后门", "示范托育园", "127.0.0.1"):
        assert not [name for name, text in texts.items() if secret in text], secret
    replay = Replay(folder)
    assert {entry["mark"] for entry in replay.manifest.values()} == {"captured"}
    at = datetime.fromisoformat(next(iter(replay.manifest.values()))["at"])
    async with serving(replay) as server:
        driver = DRIVERS[rig.driver](recorder_settings(tmp_path, server.url, driver=rig.driver, clock=ManualClock(at)))
        identity = await driver.identity()
        assert (identity.model, bool(re.fullmatch(r"scrubbed-\d+", identity.serial))) == (planted().model, True)
        (channel,) = await driver.channels()
        assert channel.id == "1" or "scrubbed" in channel.id
        assert channel.online is (None if "online" in rig.lacks else True)
        assert "disks" in rig.lacks or [one.state for one in await driver.disks()] == ["ok"]
        assert await driver.earliest(channel.id) == NOON - 60 * HOUR
        assert (await driver.footage(channel.id, NOON - 2 * DAY, NOON)).spans == Spans.window(NOON - 2 * DAY, NOON)
        played = await driver.playback(channel.id, NOON - HOUR, 4.0)
        assert isinstance(played, StreamPlayback)
        assert played.url.startswith("rtsp://127.0.0.1:")
        await driver.close()
    assert replay.unknown == []


async def test_the_command_writes_a_fixture_and_says_what_was_not_answered(tmp_path: Path) -> None:
    state = planted()
    state.now = time.time
    async with RIGS[0].simulator(state) as simulator:
        (tmp_path / "password").write_text(PLANTED["password"])
        recorder = {
            "id": "nvr",
            "driver": "hikvision",
            "url": simulator.url,
            "username": PLANTED["username"],
            "password_file": "password",
        }
        config = site(tmp_path, recorders=[recorder]).path
        command = ["record-device", "--config", str(config), "--recorder", "nvr", "--output", str(tmp_path / "out")]
        result = await asyncio.to_thread(CliRunner().invoke, app, command)
    assert result.exit_code == 0, result.stderr
    (folder,) = (tmp_path / "out").iterdir()
    assert result.stdout == f"{folder} is written; read it through before you pass it on\n"
    assert "not answered: expiry: " in result.stderr
    assert len(list(folder.iterdir())) > 10


async def test_a_fixture_is_not_written_over(tmp_path: Path) -> None:
    folder = await captured(RIGS[0], tmp_path)
    assert folder.name == "hikvision_ds-7616ni-k2_v4.31.102-build-210101"
    with pytest.raises(RecordError, match="is there already"):
        await captured(RIGS[0], tmp_path)


async def test_a_recorder_that_answers_nothing_is_no_fixture(tmp_path: Path) -> None:
    for driver, url, words in (
        ("hikvision", "http://127.0.0.1:9", "refuses connections"),
        ("attested", "", "by a person"),
    ):
        settings = recorder_settings(tmp_path, url, driver=driver)
        with pytest.raises(RecordError, match=words):
            await capture(settings, ManualClock(NOW))


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (
            Identity("DH-NVR5232-4KS3/I", "5.001,build:2026-03-31", "x"),
            "dahua_dh-nvr5232-4ks3-i_5.001-build-2026-03-31",
        ),
        (Identity("../../etc", "", ""), "dahua_etc_unknown"),
        (None, "dahua_unknown_unknown"),
    ],
)
def test_the_name_of_a_fixture_is_safe(identity: Identity | None, name: str) -> None:
    assert fixture_name("dahua", identity) == name


CAPTURED: list[Any] = [
    path.parent for path in (Path(__file__).parents[1] / "fixtures" / "recorders").glob("*_*_*/manifest.yaml")
]


@pytest.mark.parametrize(
    "folder", CAPTURED or [pytest.param(None, marks=pytest.mark.skip("no device was captured yet"))]
)
async def test_every_captured_device_is_understood(folder: Path, tmp_path: Path) -> None:
    replay = Replay(folder)
    clock = ManualClock(datetime.fromisoformat(next(iter(replay.manifest.values()))["at"]))
    make = folder.name.partition("_")[0]
    async with serving(replay) as server:
        found = await capture(recorder_settings(tmp_path, server.url, driver=make, clock=clock), clock)
    assert found.identity is not None
    assert found.channels
    assert not [reason for reason in found.refused if reason.startswith("footage")]
