"""A stream that isn't where the recorder's maker has it, and a recorder that says by ONVIF where it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.recorders.base import Channel
from agents.recorders.onvif_beside import OnvifBeside
from agents.recorders.onvif_live import source_of
from agents.rtsp import StreamError
from agents.simulators.onvif import OnvifQuirks
from agents.site import load_site
from agents.station import Station
from agents.ways import Ways
from monitor.model.clock import SystemClock
from monitor.model.observation import StreamCause
from support.both_ways import BothWays
from support.rtsp_opening import PATIENT
from support.site import PASSWORD, recorder, write_site


@asynccontextmanager
async def stood(
    folder: Path,
    *,
    quirks: OnvifQuirks | None = None,
    password: str = PASSWORD,
    own_users: bool = False,
    gone: bool = False,
) -> AsyncIterator[tuple[BothWays, Station]]:
    """Run a recorder whose first channel's sub-stream is where ONVIF tells it alone, and the agent's side of it.

    `gone`: another address is written down for it, at which there is nothing.
    """
    async with BothWays(recorder(cameras=2).state, {1}, quirks, own_users=own_users) as nvr:
        cameras = [
            {"id": "room", "zones": ["gate"], "recorder": "nvr", "channel": 1,
             **({"stream": nvr.rtsp.url("gone")} if gone else {})},
            {"id": "yard", "zones": ["gate"], "recorder": "nvr", "channel": 2, "stream": nvr.rtsp_url(2)},
        ]  # fmt: skip
        recorders = [{"id": "nvr", "driver": "hikvision", "url": nvr.url, "username": "compliance",
                      "password_file": "password"}]  # fmt: skip
        site = load_site(write_site(folder, cameras, recorders, password=password))
        station = Station(site, SystemClock(), lambda _: None, deadlines=PATIENT)
        try:
            yield nvr, station
        finally:
            await station.close()


async def shown(station: Station) -> list[str]:
    said: list[str] = []
    stream = await station.open(station.site.cameras[0], said.append)
    await stream.close()
    return [line for line in said if line.startswith(("as written", "the recorder's", "the main"))]


async def test_the_recorder_is_asked_once_where_the_stream_is_and_its_answer_is_kept(tmp_path: Path) -> None:
    async with stood(tmp_path) as (nvr, station):
        new = f"the recorder's ONVIF address: rtsp://127.0.0.1:{nvr.rtsp.port}/live/1/sub"
        assert await shown(station) == [f"the recorder's address: {nvr.rtsp_url(1)}", new]
        for _ in range(3):
            assert await shown(station) == [new], "the way that was found is gone at once"
        assert (nvr.onvif.requests["GetProfiles"], nvr.onvif.requests["GetStreamUri"]) == (1, 1)
        assert nvr.stats()["failed_logins"] == 0


async def test_a_written_stream_that_is_gone_leads_to_the_recorder_too(tmp_path: Path) -> None:
    async with stood(tmp_path, gone=True) as (nvr, station):
        assert await shown(station) == [
            f"as written: {nvr.rtsp.url('gone')}",
            f"the recorder's address: {nvr.rtsp_url(1)}",
            f"the recorder's ONVIF address: {nvr.rtsp.url('live/1/sub')}",
        ]


async def test_that_there_is_none_is_kept_too_and_the_main_stream_serves(tmp_path: Path) -> None:
    async with stood(tmp_path, quirks=OnvifQuirks(offered=("tds",))) as (nvr, station):
        main = f"the main stream: {nvr.rtsp_url(1, 'main')}"
        assert (await shown(station))[-1] == main
        asked = nvr.onvif.requests.total()
        station._ways["room"] = Ways(station.clock)  # as after a day
        assert (await shown(station))[-1] == main
        assert nvr.onvif.requests.total() == asked


async def test_the_host_that_is_told_is_never_gone_to(tmp_path: Path) -> None:
    async with stood(tmp_path, quirks=OnvifQuirks(own_address="203.0.113.9:80")) as (nvr, station):
        assert (await shown(station))[-1].endswith(f"rtsp://127.0.0.1:{nvr.rtsp.port}/live/1/sub")


@pytest.mark.parametrize("login", ["digest", "token"])
async def test_an_onvif_that_has_users_of_its_own_holds_no_other_login(tmp_path: Path, login: Any) -> None:
    async with stood(tmp_path, quirks=OnvifQuirks(login=login), own_users=True) as (nvr, station):
        for _ in range(3):
            assert (await shown(station))[-1] == f"the main stream: {nvr.rtsp_url(1, 'main')}"
            station._ways["room"] = Ways(station.clock)
        assert nvr.onvif.account.failed_logins == 1
        assert station.breaker.held() == []
        assert (await station.drivers["nvr"].identity()).model


async def test_a_password_that_was_not_accepted_elsewhere_is_not_tried_by_onvif(tmp_path: Path) -> None:
    async with stood(tmp_path, password="wrong") as (nvr, station):
        beside = OnvifBeside(station.settings(station.site.recorders[0]))

        async def listed() -> tuple[Channel, ...]:
            return (Channel("1", "", None), Channel("2", "", None))

        assert (await beside.sub_stream("1", listed))[0] is None
        with pytest.raises(StreamError) as caught:
            await station.open(station.site.cameras[0])
        assert caught.value.cause is StreamCause.UNAUTHORIZED
        assert (await beside.sub_stream("1", listed))[0] is None
        await beside.close()
        assert nvr.stats()["failed_logins"] == 1, "of the stream itself"


@pytest.mark.parametrize(
    ("channel", "sources", "listed", "found"),
    [
        ("2", ["VideoSourceToken001", "VideoSourceToken002"], ["1", "2"], "VideoSourceToken002"),
        ("2", ["00000", "00001"], ["1", "2"], "00001"),
        ("1", ["camera"], ["1"], "camera"),
        ("3", ["V1", "V3"], ["1", "2", "3"], "V3"),
        ("2", ["V1", "V2", "V3"], ["1", "2"], "V2"),
        ("2", ["V0", "V1", "V2"], ["1", "2"], "V1"),
        ("4", ["V1", "V3"], ["1", "3", "4"], None),
        ("2", ["V1", "V2"], ["1", "2", "3"], None),
        ("1", ["a", "b"], ["1", "2"], None),
        ("1", ["V1", "W1"], ["1", "2"], None),
        ("1", ["V5", "V7"], ["1", "2"], None),
        ("1", ["V1", "V2"], [], None),
        ("1", [], ["1", "2"], None),
    ],
)
def test_a_source_is_a_channels_where_the_numbers_leave_no_doubt(
    channel: str, sources: list[str], listed: list[str], found: str | None
) -> None:
    assert source_of(channel, sources, listed) == found
