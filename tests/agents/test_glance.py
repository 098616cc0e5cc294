"""One look at a camera's stream: how long it is waited for, and what it then is said to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agents.check import CHECK_DEADLINES
from agents.glance import PATIENCE_SECONDS, STREAM_SECONDS, Glance
from agents.rtsp.request import Deadlines
from agents.simulators.camera import Fault
from agents.station import Station
from agents.watch.camera import Timings
from agents.watch.decoder import Decoder, DecoderBusyError, Looked, Size
from monitor.model.clock import SystemClock
from monitor.model.observation import Kind, Observation
from support.refreshing import begins_late
from support.rtsp_device import Device, serve
from support.showing import showing
from support.site import agent, behind, nvr, recorder, site_of, write_site
from support.views import drawn_room

pytestmark = pytest.mark.timeout(120)


async def looked(folder: Path, device: Device, first_frame: float = 0.3) -> tuple[str, str | None]:
    """Return what one look at the device says of the stream."""
    seen: list[Observation] = []
    clock = SystemClock()
    site = site_of(write_site(folder, [{"id": "yard", "zones": ["gate"], "stream": device.url()}]))
    deadlines = replace(CHECK_DEADLINES, first_frame=first_frame)
    station, decoder = Station(site, clock, seen.append, deadlines=deadlines), Decoder()
    glance = Glance(station, decoder, site.cameras[0], seen.append, lambda *_: None)
    try:
        await glance.run()
    finally:
        await decoder.close()
        await station.close()
    (stream,) = [item for item in seen if item.kind is Kind.STREAM]
    return stream.state, stream.cause


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look is two seconds."""
    monkeypatch.setattr("agents.glance.STREAM_SECONDS", 2.0)


@pytest.mark.usefixtures("hurried")
async def test_a_camera_that_begins_with_a_keyframe_within_the_look_is_up(tmp_path: Path) -> None:
    async with serve(begins_late(0.7)) as device:
        assert await looked(tmp_path, device) == ("up", None)


@pytest.mark.usefixtures("hurried")
async def test_a_camera_that_sends_nothing_while_the_look_lasts_is_unknown(tmp_path: Path) -> None:
    async with serve(begins_late(100.0)) as device:
        assert await looked(tmp_path, device) == ("unknown", "stalled")


@pytest.mark.usefixtures("hurried")
async def test_a_camera_with_a_frame_now_and_then_is_up(tmp_path: Path) -> None:
    """Its timestamps move: three frames don't come within the time of a look."""
    async with serve(begins_late(0.0, interval=0.7)) as device:
        assert await looked(tmp_path, device, first_frame=2.0) == ("up", None)


class Busy(Decoder):
    """A decoder that has time for so many looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.left = looks

    async def look(self, camera: str, codec: str, keyframe: bytes, announced: Size = (None, None)) -> Looked:
        """Look, or be busy with others."""
        self.left -= 1
        if self.left < 0:
            raise DecoderBusyError("the decoder was busy for 10 s")
        return await super().look(camera, codec, keyframe, announced)


@pytest.mark.parametrize(("looks", "state"), [(0, "unknown"), (1, "ok")])
async def test_a_picture_that_was_looked_at_counts_where_the_decoder_has_no_time_for_the_next(
    tmp_path: Path, looks: int, state: str
) -> None:
    """64 cameras that are checked at the same time on a slow machine."""
    seen: list[Observation] = []
    async with serve(showing(drawn_room(6, 352, 288))) as device:
        site = site_of(write_site(tmp_path, [{"id": "yard", "zones": ["gate"], "stream": device.url()}]))
        station, decoder = Station(site, SystemClock(), seen.append, deadlines=CHECK_DEADLINES), Busy(looks)
        try:
            await Glance(station, decoder, site.cameras[0], seen.append, lambda *_: None).run()
        finally:
            await decoder.close()
            await station.close()
    assert [item.state for item in seen if item.kind is Kind.VIEW] == [state]


def test_a_check_is_as_patient_as_the_service() -> None:
    assert (PATIENCE_SECONDS, CHECK_DEADLINES.stall) == (Timings().keyframe_wait, Deadlines().stall)
    assert STREAM_SECONDS == 10.0


async def test_a_recorder_s_placeholder_is_a_camera_that_is_down_where_its_channel_is_listed_off_line(
    tmp_path: Path,
) -> None:
    async with recorder(3) as simulator:
        simulator.set_fault(1, Fault.SIGNAL_LOST)
        config = write_site(tmp_path, behind(simulator), [nvr(simulator)])
        done = await agent("check", "--config", config, "--json")
        uptime, shown = done.verdicts("uptime"), done.verdicts("view")
        assert uptime["c1"]["state"] == "down"
        assert "the recorder lists the channel off line" in uptime["c1"]["reason"]
        assert (shown["c1"]["state"], shown["c1"]["because_of"]) == (
            "signal_lost",
            {"requirement": "uptime", "subject": {"kind": "camera", "id": "c1"}},
        )
        assert {uptime[name]["state"] for name in ("c2", "c3")} == {"up"}


async def test_a_check_is_done_in_time_and_calls_a_late_camera_unknown(tmp_path: Path) -> None:
    async with serve(begins_late(25.0)) as late, serve(Device(interval=0.05)) as prompt:
        streams = {"late": late.url(), "prompt": prompt.url()}
        cameras = [{"id": name, "zones": ["gate"], "stream": url} for name, url in streams.items()]
        done = await agent("check", "--config", write_site(tmp_path, cameras), "--json")
    states = {name: item["state"] for name, item in done.verdicts("uptime").items()}
    assert states == {"late": "unknown", "prompt": "up"}
    assert done.seconds < STREAM_SECONDS + 10
