"""The simulated Dahua asked by a plain HTTP client: its habits, and that it counts what is rude."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx2

from agents.simulators.camera import Camera, Fault
from agents.simulators.dahua import DahuaQuirks, DahuaSimulator
from agents.simulators.footage import Footage, Segment
from agents.simulators.recorder import AlarmInput, Channel, Disk, RecorderState
from support.recorder_rigs import assert_manners

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC).timestamp()  # noon in Shanghai
FINDER = "/cgi-bin/mediaFileFind.cgi?action="


@asynccontextmanager
async def asked(
    *segments: Segment, quirks: DahuaQuirks | None = None, password: str = "Cradle-2026", **changes: Any
) -> AsyncIterator[tuple[DahuaSimulator, httpx2.AsyncClient]]:
    channel = Channel(3, "大门", Camera(3), Footage(segments, lag_seconds=0), live=False)
    state = RecorderState([channel], now=lambda: NOON, **changes)
    async with DahuaSimulator(state, quirks or DahuaQuirks(search_seconds=0)) as simulator:
        login = httpx2.DigestAuth("compliance", password)
        async with httpx2.AsyncClient(base_url=simulator.url, auth=login, trust_env=False) as client:
            yield simulator, client


async def text(client: httpx2.AsyncClient, path: str) -> tuple[int, str]:
    answer = await client.get(path)
    return answer.status_code, answer.text.strip()


def find(handle: str, channel: int, start: str = "2000-01-01 00:00:00", end: str = "2038-01-01 00:00:00") -> str:
    times = f"condition.StartTime={quote(start)}&condition.EndTime={quote(end)}"
    return f"{FINDER}findFile&object={handle}&condition.Channel={channel}&{times}&condition.Types[0]=dav"


async def test_channels_are_asked_for_from_one_and_listed_from_nought_in_local_time() -> None:
    hour = Segment(NOON - 3600, NOON - 1800)
    async with asked(hour, Segment(NOON - 1800, NOON, locked=True)) as (simulator, client):
        handle = (await text(client, f"{FINDER}factory.create"))[1].removeprefix("result=")
        assert await text(client, find(handle, 3)) == (200, "OK")
        _, page = await text(client, f"{FINDER}findNextFile&object={handle}&count=1")
        lines = page.splitlines()
        assert "found=1" in lines
        assert "items[0].Channel=2" in lines
        assert "items[0].StartTime=2026-11-23 11:00:00" in lines
        _, page = await text(client, f"{FINDER}findNextFile&object={handle}&count=100")
        assert "items[0].Flags[1]=Locked" in page.splitlines()
        assert await text(client, f"{FINDER}findNextFile&object={handle}&count=100") == (200, "found=0")
        for action in ("close", "destroy"):
            assert await text(client, f"{FINDER}{action}&object={handle}") == (200, "OK")
        assert_manners(simulator.stats())


async def test_nothing_found_and_an_unknown_handle_read_the_same() -> None:
    async with asked() as (simulator, client):
        handle = (await text(client, f"{FINDER}factory.create"))[1].removeprefix("result=")
        nothing = await text(client, find(handle, 3))
        assert nothing[0] == 400
        assert await text(client, find("999", 3)) == nothing
        assert simulator.stats()["unknown_handles"] == 1


async def test_rude_clients_are_counted() -> None:
    async with asked(quirks=DahuaQuirks(search_seconds=0.05, max_finders=2)) as (simulator, client):
        first, second = await asyncio.gather(*(text(client, f"{FINDER}factory.create") for _ in range(2)))
        assert simulator.stats()["concurrent_searches"] > 0
        assert simulator.stats()["open_finders"] == 2
        assert await text(client, f"{FINDER}factory.create") == (200, "Error")
        assert simulator.stats()["refused_finders"] == 1
        await text(client, find(first[1].removeprefix("result="), 3))
        await text(client, f"{FINDER}destroy&object={first[1].removeprefix('result=')}")
        assert simulator.stats()["destroyed_unclosed"] == 1
        assert second[0] == 200


async def test_a_user_that_is_locked_is_told_for_how_long() -> None:
    async with asked(password="typo", lock_after=2) as (simulator, client):
        assert (await text(client, "/cgi-bin/magicBox.cgi?action=getSystemInfo"))[0] == 401
        # This client answers a refusal with the same password once more, as general ones do.
        assert await text(client, "/cgi-bin/magicBox.cgi?action=getSystemInfo") == (403, "Error\r\nRmLock:1800")
        assert simulator.stats()["repeated_refusals"] == 1


async def test_tables_show_what_the_recorder_is() -> None:
    config = "/cgi-bin/configManager.cgi?action=getConfig&name="
    changes: dict[str, Any] = {
        "disks": [Disk(1), Disk(2, 0, status="notexist")],
        "alarm_inputs": [AlarmInput(2, active=True)],
    }
    async with asked(timezone="America/New_York", **changes) as (simulator, client):
        _, names = await text(client, f"{config}ChannelTitle")
        assert "table.ChannelTitle[2].Name=大门" in names.splitlines()
        assert len(names.splitlines()) == 16
        assert "table.NTP.TimeZone=25" in (await text(client, f"{config}NTP"))[1]
        assert "table.Locales.DSTStart.Week=2" in (await text(client, f"{config}Locales"))[1]
        assert await text(client, "/cgi-bin/alarm.cgi?action=getInState") == (200, "result=2")
        assert (await text(client, "/cgi-bin/storageDevice.cgi?action=getDeviceAllInfo"))[1].count("State=") == 1
        assert await text(client, f"{config}Nonsense") == (403, "Error\r\nAuthority:check failure.")
        losses = "/cgi-bin/eventManager.cgi?action=getEventIndexes&code=VideoLoss"
        assert await text(client, losses) == (200, "Error: No Events")
        simulator.set_fault(3, Fault.DEAD)
        assert await text(client, losses) == (200, "channels[0]=2")
