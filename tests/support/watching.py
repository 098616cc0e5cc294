"""Cameras watched in a test as the service watches them, over the sockets of simulated devices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from agents.rtsp.request import Deadlines
from agents.site import load_site
from agents.station import Station
from agents.watch.camera import CameraWatch, Sight, Timings, Tools
from agents.watch.decoder import Decoder
from agents.watch.failure import Around
from monitor.model.clock import SystemClock
from monitor.model.ledger import StateSpan, timeline
from monitor.model.observation import Kind, Observation, StreamCause
from monitor.model.span import Millis, to_millis

QUICK = Timings(
    look_every=0.6, confirm_every=0.3, keyframe_wait=6.0, turn=0.5, turn_gap=60.0, backoff_first=0.2, backoff_most=0.5,
    steady=5.0, holds_for=30.0,
)  # fmt: skip
"""As the service's, but for somebody who doesn't want to wait."""
PATIENT = Deadlines(connect=3.0, answer=6.0, total=15.0, first_frame=8.0, stall=3.0, teardown=1.0)
"""For a busy machine."""


@dataclass
class Watching:
    """What is watched, and all that was seen."""

    station: Station
    watches: dict[str, CameraWatch]
    clock: SystemClock
    seen: list[Observation] = field(default_factory=list)

    def now(self) -> Millis:
        return to_millis(self.clock.now())

    def spans(self, camera: str, kind: Kind = Kind.STREAM) -> list[StateSpan]:
        """Return what is known of a camera, from observations alone, as the ledger lays it out."""
        for watch in self.watches.values():
            watch.flush(self.now())
        mine = [item for item in self.seen if item.subject.id == camera and item.kind is kind]
        return list(timeline(mine, self.now()).spans)

    def states(self, camera: str, kind: Kind = Kind.STREAM) -> list[tuple[str, str | None]]:
        """Return the states in order, neighbours that are the same melted."""
        found = [(span.state, span.cause) for span in self.spans(camera, kind)]
        return [item for number, item in enumerate(found) if number == 0 or item != found[number - 1]]

    async def until(self, condition: Callable[[], bool], within: float = 40.0) -> None:
        """Wait for a condition. Raises AssertionError with what was seen when it doesn't come about."""
        try:
            async with asyncio.timeout(within):
                while not condition():  # noqa: ASYNC110  (nothing tells)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            known = {name: (self.states(name), self.states(name, Kind.VIEW)) for name in self.watches}
            raise AssertionError(f"not within {within:g} s; {known}") from None

    async def until_up(self, *cameras: str) -> None:
        await self.until(lambda: all(self.watches[name].stream.state == "up" for name in cameras or self.watches))


@asynccontextmanager
async def watching(
    config: Path, timings: Timings = QUICK, deadlines: Deadlines = PATIENT, decoder: Decoder | None = None
) -> AsyncIterator[Watching]:
    """Watch the cameras of a site.yaml beside the block."""
    site, clock, seen = load_site(config), SystemClock(), list[Observation]()
    station = Station(site, clock, seen.append, deadlines=deadlines)
    decoder = decoder or Decoder()
    tools = Tools(decoder, clock, seen.append, replace(timings))

    def watch(name: str) -> CameraWatch:
        camera = site.camera(name)
        assert camera is not None

        async def around(cause: StreamCause, since: float) -> Around:
            return await station.around(camera, cause, since)

        return CameraWatch(
            name,
            lambda: station.open(camera),
            around,
            station.budget(camera),
            tools,
            lambda: station.runs(camera),
            main=lambda: station.open_main(camera),
            sight=Sight(offline=partial(station.says_offline, camera)),
        )

    watches = {item.id: watch(item.id) for item in site.cameras}
    tasks = [asyncio.create_task(item.run()) for item in watches.values()]
    try:
        yield Watching(station, watches, clock, seen)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await decoder.close()
        await station.close()
        faults = [item for item in ended if not isinstance(item, asyncio.CancelledError)]
        assert not faults, faults
