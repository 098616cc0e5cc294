"""Checks one after the other, without a service: what one saw the next remembers, beside a service it only reads."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agents.check_cli import memory_of
from agents.cli import app
from agents.scan.memory import ForNow
from agents.simulators.camera import Camera
from agents.simulators.footage import Footage, Segment
from agents.simulators.hikvision import HikvisionSimulator
from agents.simulators.recorder import Channel, Disk, Quirks, RecorderState
from agents.state import State
from support.site import DAY, PASSWORD, nvr, write_site

HALF = DAY / 2


async def retention(config: Path) -> dict[str, Any]:
    """Run `agent check` and return its verdict on the camera's retention."""
    done = await asyncio.to_thread(CliRunner().invoke, app, ["check", "--config", str(config), "--json"])
    verdicts = json.loads(done.stdout)["verdicts"]
    (found,) = [item for item in verdicts if item["requirement"] == "retention"]
    return dict(found)


@pytest.mark.parametrize(
    ("capacity", "serial", "cause"),
    [(8_000_000, "A", "storage_reset"), (4_000_000, "A", "disk_swapped"), (8_000_000, "B", "recorder_exchanged")],
)
async def test_what_was_lost_since_the_last_check_has_its_cause(
    tmp_path: Path, capacity: int, serial: str, cause: str
) -> None:
    now = time.time()
    segments = [Segment(now - (n + 1) * HALF, now - n * HALF) for n in range(190)]
    channel = Channel(1, "gate", Camera(1), Footage(segments, lag_seconds=0), live=False)
    state = RecorderState(
        [channel], disks=[Disk(1, 8_000_000)], serial="A", password=PASSWORD, quirks=Quirks(search_seconds=0)
    )
    async with HikvisionSimulator(state) as simulator:
        config = write_site(
            tmp_path, [{"id": "c1", "zones": ["room"], "recorder": "nvr", "channel": 1}], [nvr(simulator)]
        )
        first = await retention(config)
        assert (first["state"], first["measured"]["causes"]) == ("ok", [])
        simulator.erase(1, 0, now - 10 * DAY)
        state.disks[0].capacity_mib, state.serial = capacity, serial
        for _ in range(2):  # told once, and still known by the next check
            later = await retention(config)
            assert (later["outcome"], later["state"]) == ("breached", "short")
            assert [item["cause"] for item in later["measured"]["causes"]] == [cause]
            assert later["measured"]["causes"][0]["last_day"] > later["measured"]["causes"][0]["first_day"]


def test_beside_a_service_a_check_only_reads(tmp_path: Path) -> None:
    state = State(tmp_path / "state", "wj-0001")
    assert memory_of(state) is state
    with state.lock():
        memory = memory_of(state)
        assert isinstance(memory, ForNow)
        memory.put("a", 1)
    assert state.get("a") is None
    state.close()
