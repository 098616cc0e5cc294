"""One look at a camera's stream: how long it is waited for, and what it then is said to be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agents.check import CHECK_DEADLINES
from agents.glance import PATIENCE_SECONDS, STREAM_SECONDS, Glance
from agents.rtsp.request import Deadlines
from agents.station import Station
from agents.watch.camera import Timings
from agents.watch.decoder import Decoder
from monitor.model.clock import SystemClock
from monitor.model.observation import Kind, Observation
from support.refreshing import begins_late
from support.rtsp_device import Device, serve
from support.site import agent, site_of, write_site

pytestmark = pytest.mark.timeout(120)


async def looked(
    folder: Path, device: Device, first_frame: float = 0.3
) -> tuple[tuple[str, str | None], list[str], float]:
    """Return what one look at the device says of the stream, whom it told to wait for, and how long it took."""
    seen: list[Observation] = []
    waited: list[str] = []
    clock = SystemClock()
    site = site_of(write_site(folder, [{"id": "yard", "zones": ["gate"], "stream": device.url()}]))
    deadlines = replace(CHECK_DEADLINES, first_frame=first_frame)
    station, decoder = Station(site, clock, seen.append, deadlines=deadlines), Decoder()
    began = clock.monotonic()
    glance = Glance(
        station, decoder, site.cameras[0], seen.append, lambda _to, _line: None,
        waits=lambda camera, _most: waited.append(camera),
    )  # fmt: skip
    try:
        await glance.run()
    finally:
        await decoder.close()
        await station.close()
    (stream,) = [item for item in seen if item.kind is Kind.STREAM]
    return (stream.state, stream.cause), waited, clock.monotonic() - began


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look is a second, and what sends nothing is waited for for three."""
    monkeypatch.setattr("agents.glance.STREAM_SECONDS", 1.0)
    monkeypatch.setattr("agents.glance.PATIENCE_SECONDS", 3.0)
    monkeypatch.setattr("agents.glance.LATE_SECONDS", 0.5)


@pytest.mark.usefixtures("hurried")
async def test_a_camera_that_begins_with_its_next_keyframe_is_up(tmp_path: Path) -> None:
    async with serve(begins_late(1.6)) as device:
        state, waited, _ = await looked(tmp_path, device)
    assert (state, waited) == (("up", None), ["yard"])


@pytest.mark.usefixtures("hurried")
async def test_a_camera_that_sends_nothing_is_down_when_it_would_be_for_the_service(tmp_path: Path) -> None:
    async with serve(begins_late(100.0)) as device:
        state, waited, seconds = await looked(tmp_path, device)
    assert (state, waited) == (("down", "stalled"), ["yard"])
    assert seconds >= 3.0


@pytest.mark.usefixtures("hurried")
async def test_a_camera_with_a_frame_now_and_then_is_up(tmp_path: Path) -> None:
    """Its timestamps move: three frames don't come within the time of a look."""
    async with serve(begins_late(0.0, interval=0.7)) as device:
        state, _, _ = await looked(tmp_path, device, first_frame=2.0)
    assert state == ("up", None)


def test_a_check_is_as_patient_as_the_service() -> None:
    assert (PATIENCE_SECONDS, CHECK_DEADLINES.stall) == (Timings().keyframe_wait, Deadlines().stall)
    assert STREAM_SECONDS == 10.0


async def test_a_check_waits_for_a_late_camera_and_says_so_while_the_others_are_looked_at(tmp_path: Path) -> None:
    both, alone_in = tmp_path / "both", tmp_path / "alone"
    both.mkdir()
    alone_in.mkdir()
    async with serve(begins_late(11.0)) as late, serve(Device(interval=0.05)) as prompt:
        streams = {"late": late.url(), "prompt": prompt.url()}
        cameras = [{"id": name, "zones": ["gate"], "stream": url} for name, url in streams.items()]
        done, alone = await asyncio.gather(
            agent("check", "--config", write_site(both, cameras), "--json"),
            agent("check", "--config", write_site(alone_in, cameras[1:]), "--json"),
        )
    assert {name: item["state"] for name, item in done.verdicts("uptime").items()} == {"late": "up", "prompt": "up"}
    assert "camera late: the stream was opened and no frame came so far; it is waited for, up to 25 s" in done.err
    assert "camera prompt" not in done.err
    assert "waited for" not in alone.err
