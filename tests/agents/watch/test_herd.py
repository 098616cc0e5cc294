"""All cameras of a recorder come back together: it is not overrun, and nobody stays away for long."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agents.simulators.camera import Camera, Format
from agents.simulators.rtsp import RtspServer
from support.site import write_site
from support.watching import QUICK, watching

CAMERAS = 64
TIMINGS = replace(QUICK, look_every=60.0, backoff_first=1.0, backoff_most=4.0, spread=2.0)
MOST_IN_A_SECOND = 48
"""Expected are 25; with the back-off's own jitter alone all 64 come within 0.6 s."""


async def note_connections(server: RtspServer, instants: list[float]) -> None:
    """Write down when each further connection was opened."""
    before = server.connections_opened
    while True:
        now = asyncio.get_running_loop().time()
        instants.extend([now] * (server.connections_opened - before - len(instants)))
        await asyncio.sleep(0.02)


def most_in_a_second(instants: list[float]) -> int:
    return max(sum(at <= other < at + 1.0 for other in instants) for at in instants)


@pytest.mark.timeout(120)
async def test_64_cameras_of_a_server_that_was_away_for_a_moment_come_back_one_after_the_other(tmp_path: Path) -> None:
    server = RtspServer()
    server.publish("s", Camera("yard").add_stream(Format(gop_seconds=0.4)))
    async with server:
        cameras = [{"id": f"c{number}", "zones": ["gate"], "stream": server.url("s")} for number in range(CAMERAS)]
        async with watching(write_site(tmp_path, cameras), TIMINGS) as site:
            await site.until_up()
            reconnects = {name: watch.state.reconnects for name, watch in site.watches.items()}
            instants: list[float] = []
            noting = asyncio.create_task(note_connections(server, instants))
            await server.die()
            await server.start()
            began = asyncio.get_running_loop().time()
            watches = site.watches.items()
            await site.until(lambda: all(watch.state.reconnects > reconnects[name] for name, watch in watches))
            await site.until(lambda: server.seats.stats()["sessions"] == CAMERAS)
            took = asyncio.get_running_loop().time() - began
            await site.until(lambda: len(instants) >= CAMERAS)  # they are noted from time to time
            noting.cancel()
    assert CAMERAS <= len(instants) <= CAMERAS + 4, "each came once"
    assert most_in_a_second(instants) <= MOST_IN_A_SECOND
    assert took < 15.0
