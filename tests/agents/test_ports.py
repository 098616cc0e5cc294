"""A recorder may send the agent to the streams' own ports and to those that site.yaml writes for it, and to no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.recorders.base import StreamPlayback
from agents.rtsp import StreamError
from agents.site import SiteError, load_site
from agents.station import Station
from agents.watch.failure import Around, meaning
from monitor.model.clock import SystemClock
from monitor.model.observation import StreamCause
from support.rtsp_device import Device, serve
from support.rtsp_opening import PATIENT
from support.site import write_site


class Told:
    """A recorder's driver that was told where a stream is."""

    def __init__(self, url: str) -> None:
        self.url = url

    def stream_url(self, channel: str, main: bool) -> str | None:
        return self.url if channel == "1" or main else None

    async def close(self) -> None:
        pass


async def play(folder: Path, told: str, playback: bool = False, stream: str | None = None, **recorder: Any) -> None:
    """Open the stream that the recorder told. Raises StreamError."""
    camera = {
        "id": "gate",
        "zones": ["gate"],
        "recorder": "nvr",
        "channel": 1,
        **({"stream": stream} if stream else {}),
    }
    site = load_site(
        write_site(folder, [camera], [{"id": "nvr", "driver": "onvif", "url": "http://127.0.0.1:9", **recorder}])
    )
    station = Station(site, SystemClock(), lambda _: None, deadlines=PATIENT)
    station.drivers["nvr"] = Told(told)  # type: ignore[assignment]
    try:
        if playback:
            opened = await station.open_playback("nvr", site.cameras[0], StreamPlayback(told, "npt=0-", ()))
        else:
            opened = await station.open(site.cameras[0])
        await opened.close()
    finally:
        await station.close()


@pytest.mark.parametrize("playback", [False, True])
async def test_another_port_is_named_and_nobody_knocks_there(tmp_path: Path, playback: bool) -> None:
    async with serve(Device()) as device:
        with pytest.raises(StreamError) as caught:
            await play(tmp_path, device.url(), playback)
        assert device.asked == []
        assert caught.value.cause is StreamCause.NOT_ALLOWED
        assert meaning(caught.value.cause, Around()) == ("unknown", StreamCause.NOT_ALLOWED)
        assert caught.value.detail == (
            f"the recorder says that its stream is at port {device.port}, which site.yaml doesn't write:"
            f" if that is so, write `ports: [{device.port}]` at recorder nvr"
        )
        await play(tmp_path, device.url(), playback, ports=[device.port])
        assert device.asked != []


async def test_a_port_that_an_address_writes_is_written(tmp_path: Path) -> None:
    async with serve(Device()) as device:
        await play(tmp_path, device.url(), playback=True, stream=device.url())
        await play(tmp_path, device.url(), url=f"http://127.0.0.1:{device.port}")


@pytest.mark.parametrize("ports", [[0], [65536], ["8554"], 8554, [True]])
def test_ports_are_a_list_of_numbers(tmp_path: Path, ports: object) -> None:
    recorder = {"id": "nvr", "driver": "onvif", "url": "http://127.0.0.1:9", "ports": ports}
    with pytest.raises(SiteError, match="ports"):
        load_site(write_site(tmp_path, [], [recorder]))
