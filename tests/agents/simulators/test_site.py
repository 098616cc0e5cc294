"""The simulators' own process: a script in, devices up, events told as they happen."""

import asyncio
import contextlib
import itertools
import json
import re
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

import agents.simulators
from agents.simulators.dahua import DahuaSimulator
from agents.simulators.device import RecorderDevice
from agents.simulators.hikvision import HikvisionSimulator
from agents.simulators.onvif import OnvifSimulator
from agents.simulators.script import ScriptError, load, parse
from agents.simulators.site import Site
from agents.simulators.uniview import UniviewSimulator

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC).timestamp()  # noon in Shanghai
SCRIPT: dict[str, Any] = {
    "recorders": [
        {
            "id": "wj-1/nvr", "http": "127.9.1.10:0", "rtsp": "127.9.1.10:0", "password": "secret-one",
            "days_held": 35, "people": 2, "max_sessions": 8, "clock_offset_seconds": 3600,
            "disks": [{"id": 1}, {"id": 2, "status": "notexist"}],
            "sub": {"width": 176, "height": 144, "fps": 10},
            "channels": [
                {"id": 1, "name": "大门", "camera": "gate"},
                {"id": 2, "holes": [{"days_ago": 20, "days": 3}, {"seconds_ago": 7200, "seconds": 600}]},
                {"id": 3, "days_held": 0, "fault": "dead"},
            ],
        }
    ],
    "cameras": [{"id": "wj-1/yard", "rtsp": "127.9.1.20:0", "username": "u", "password": "secret-two"}],
    "gateways": [{"id": "wj-1/router", "listen": "127.9.1.1:0"}],
    "timeline": [
        {"at_seconds": 0.2, "recorder": "wj-1/nvr", "channel": 1, "do": "dead"},
        {"at_seconds": 0.1, "recorder": "wj-1/nvr", "channel": 2, "do": "black"},
        {"at_seconds": 0.3, "recorder": "wj-1/nvr", "channel": 1, "do": "heal"},
        {"at_seconds": 0.4, "recorder": "wj-1/nvr", "do": "change_password", "password": "secret-three"},
    ],
}  # fmt: skip


def test_history_is_what_the_script_says() -> None:
    site = Site(parse(SCRIPT), now=lambda: NOON)
    first, second, third = site.recorders["wj-1/nvr"].state.channels
    segments = first.footage.segments(NOON)
    assert datetime.fromtimestamp(segments[0].start, UTC).isoformat() == "2026-10-18T16:00:00+00:00"
    assert segments[0].clock_offset_seconds == 3600
    assert first.name == "大门"
    told = site.ready()["recorders"]["wj-1/nvr"]["channels"]
    assert told["1"]["footage_from"] == "2026-10-18T16:00:00.000Z"
    assert told["2"]["holes"] == [
        {"start_at": "2026-11-02T16:00:00.000Z", "end_at": "2026-11-05T16:00:00.000Z"},
        {"start_at": "2026-11-23T02:00:00.000Z", "end_at": "2026-11-23T02:10:00.000Z"},
    ]
    held = second.footage.segments(NOON)
    breaks = [one.end for one, two in itertools.pairwise(held) if one.end != two.start]
    assert breaks == [datetime(2026, 11, 2, 16, tzinfo=UTC).timestamp(), NOON - 7200]
    assert third.footage.segments(NOON) == []


@pytest.mark.parametrize(("change", "sentence"), [
    ({"devices": []}, "unknown keys: devices"),
    ({"timeline": [{"do": "black"}]}, "timeline[0] needs at_seconds"),
    ({"recorders": [{"id": "a", "colour": 1}]}, "recorders[0] has an unknown key colour"),
    ({"recorders": [{"id": "a", "seed": "x"}]}, "recorders[0].seed: 'x' is no int | None"),
    ({"recorders": [{"id": "a", "when_full": "later"}]}, "'later' is none of 453"),
    ({"recorders": [{"http": "127.0.0.1:0"}]}, "recorders[0]"),
    ({"recorders": [{"id": "a", "make": "acme"}]}, "recorders[0].make: 'acme' is none of hikvision, dahua, uniview, onvif"),
    ({"recorders": [{"id": "a", "make": "dahua", "quirks": {"match_cap": 1}}]}, "recorders[0].quirks has an unknown key match_cap"),
])  # fmt: skip
def test_a_wrong_script_is_refused_with_its_place(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ScriptError, match=re.escape(sentence)):
        parse(change)


@pytest.mark.parametrize(("change", "sentence"), [
    ({"timeline": [{"at_seconds": 1, "recorder": "b", "do": "die"}]}, "die: the script has no recorder 'b'"),
    ({"timeline": [{"at_seconds": 1, "do": "die"}]}, "die: an event needs a recorder, a camera or a gateway"),
    ({"recorders": [{"id": "a", "timezone": "Mars/Base", "channels": [{"id": 1}]}]}, "'Mars/Base' is no time zone"),
    ({"recorders": [{"id": "a", "http": "nowhere"}]}, "'nowhere' is no host:port"),
    ({"recorders": [{"id": "a", "channels": [{"id": 1, "holes": [{}]}]}]}, "a span needs"),
])  # fmt: skip
def test_a_script_that_cannot_be_played_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ScriptError, match=re.escape(sentence)):
        Site(parse(change))


def test_the_example_of_the_readme_can_be_played() -> None:
    readme = Path(agents.simulators.__file__).with_name("README.md").read_text(encoding="utf-8")
    example = re.search(r"```json\n(.*?)```", readme, re.DOTALL)
    assert example is not None
    assert len(Site(parse(json.loads(example[1]))).recorders) == 1


@pytest.mark.parametrize(
    ("make", "kind", "quirk", "path"),
    [
        ("hikvision", HikvisionSimulator, {"match_cap": 7}, "Streaming/Channels/302"),
        ("dahua", DahuaSimulator, {"hold_days": 7}, "cam/realmonitor?channel=3&subtype=1"),
        ("uniview", UniviewSimulator, {"page_cap": 7}, "unicast/c3/s1/live"),
        ("onvif", OnvifSimulator, {"page_size": 7}, "live/3/sub"),
    ],
)
def test_a_recorder_of_each_make_has_its_own_quirks_and_paths(
    make: str, kind: type[RecorderDevice], quirk: dict[str, int], path: str
) -> None:
    site = Site(parse({"recorders": [{"id": "a", "make": make, "quirks": quirk, "channels": [{"id": 3}]}]}))
    device = site.recorders["a"]
    assert isinstance(device, kind)
    quirks = device.state.quirks if isinstance(device, HikvisionSimulator) else getattr(device, "quirks", None)
    assert {name: getattr(quirks, name) for name in quirk} == quirk
    assert device.stream_path(3, "sub") == path


def test_an_unreadable_script_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    with pytest.raises(ScriptError, match=re.escape("script.json")):
        load(path)
    path.write_text("{")
    with pytest.raises(ScriptError, match=re.escape("script.json")):
        load(path)


async def test_everything_that_can_be_done_is_done_and_told() -> None:
    told: list[dict[str, Any]] = []
    async with Site(parse(SCRIPT), tell=told.append) as site:
        recorder = site.recorders["wj-1/nvr"]
        nvr = {"recorder": "wj-1/nvr"}
        for event in (
            {"do": "clock_offset", "seconds": 0}, {"do": "disk", "disk": 1, "status": "error"},
            {"do": "people_go", "count": 1}, {"do": "people_come", "count": 3}, {"do": "expire_nonces"},
            {"do": "add_channel", "channel": {"id": 9, "name": "extra"}}, {"do": "offline", "channel": 2},
            {"do": "unplayable", "channel": 1, "span": {"days_ago": 30, "days": 2}, "how": "garbage"},
            {"do": "wrong_camera", "channel": 2, "camera_seed": "another room"},
            {"do": "schedule_off", "channel": 2}, {"do": "erase", "channel": 1, "span": {"days_ago": 40, "days": 41}},
            {"do": "frozen", "channel": 1}, {"do": "disconnect"}, {"do": "revive"}, {"do": "die"}, {"do": "revive"},
        ):  # fmt: skip
            await site.do({**nvr, **event})
        for event in ({"do": "die"}, {"do": "revive"}, {"do": "stalled"}, {"do": "change_password", "password": "x"}):
            await site.do({"camera": "wj-1/yard", **event})
        for event in ({"do": "die"}, {"do": "revive"}):
            await site.do({"gateway": "wj-1/router", **event})
        await site.try_do({**nvr, "do": "dance"})
        await site.try_do({**nvr, "do": "dance", "channel": 1})
        await site.try_do({**nvr, "do": "black", "channel": 44})
        state = recorder.state
        assert [channel.id for channel in state.channels] == [1, 2, 3, 9]
        assert (state.clock_offset_seconds, state.disk(1).status, recorder.rtsp.seats.people) == (0, "error", 4)
        assert state.channel(1).footage.segments(state.now()) == []
        assert [end - start for start, end in state.channel(1).unplayable] == [2 * 86_400]
        recorded = state.channel(2).recorded_camera
        assert recorded is not None
        assert recorded.seed == "another room"
        assert (state.channel(1).camera.fault, state.channel(2).online) == ("frozen", False)
        async with httpx2.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"http://{site.gateways['wj-1/router'].address}/")).status_code == 200
    assert [event["event"] for event in told] == ["done"] * 22 + ["error"] * 3
    assert "secret" not in json.dumps(told)
    assert all(datetime.fromisoformat(event["at"]).tzinfo for event in told)


class Process:
    """The simulators as a child process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self, event: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            while text := await self.process.stdout.readline():
                line: dict[str, Any] = json.loads(text)
                if line["event"] == event:
                    return line
        raise AssertionError(f"the process ended without a line {event}")

    def command(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n".encode())

    async def ended(self) -> int:
        async with asyncio.timeout(20):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def running(script: Path) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agents.simulators", "--script", str(script),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_process_tells_its_addresses_plays_its_timeline_and_takes_commands(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps(SCRIPT))
    async with running(path) as simulators:
        ready = await simulators.line("ready")
        nvr = ready["recorders"]["wj-1/nvr"]
        assert re.fullmatch(r"http://127\.9\.1\.10:\d+", nvr["url"])
        assert re.fullmatch(r"rtsp://127\.9\.1\.10:\d+/Streaming/Channels/102", nvr["channels"]["1"]["sub"])
        async with httpx2.AsyncClient(auth=httpx2.DigestAuth("compliance", "secret-one"), trust_env=False) as http:
            assert (await http.get(f"{nvr['url']}/ISAPI/System/deviceInfo")).status_code == 200
        simulators.command("go")
        go = await simulators.line("go")
        done = [await simulators.line("done") for _ in range(4)]
        assert [event["do"] for event in done] == ["black", "dead", "heal", "change_password"]
        late = [
            (datetime.fromisoformat(event["at"]) - datetime.fromisoformat(go["at"])).total_seconds()
            - event["at_seconds"]
            for event in done
        ]
        assert all(-0.01 < seconds < 5 for seconds in late)
        assert "password" not in done[3]
        await simulators.line("timeline_done")
        simulators.command(json.dumps({"recorder": "wj-1/nvr", "do": "die"}))
        assert (await simulators.line("done"))["do"] == "die"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.9.1.10", int(nvr["rtsp"].rpartition(":")[2]))
        simulators.command("[1]")
        simulators.command("nonsense")
        assert "object" in (await simulators.line("error"))["error"]
        assert "nonsense" in (await simulators.line("error"))["error"]
        simulators.command("stats")
        stats = (await simulators.line("stats"))["recorders"]["wj-1/nvr"]
        assert (stats["good_logins"], stats["failed_logins"], stats["people"]) == (1, 0, 2)
        simulators.command("quit")
        assert await simulators.ended() == 0


async def test_the_process_ends_with_its_parent_or_by_a_signal_and_refuses_a_wrong_script(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text("{}")
    async with running(path) as simulators:
        await simulators.line("ready")
        assert simulators.process.stdin is not None
        simulators.process.stdin.close()
        assert await simulators.ended() == 0
    async with running(path) as simulators:
        await simulators.line("ready")
        simulators.process.terminate()
        assert await simulators.ended() == 0
    path.write_text('{"recorder": []}')
    async with running(path) as simulators:
        assert await simulators.ended() == 2
