"""The demo from start to end: the district is put in place, then faults happen, and what was found is held against them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.demo import centre as centres
from agents.demo.centre import Centre
from agents.demo.desk import Simulators
from agents.demo.district import DISTRICT
from agents.demo.institution import Institution, Json
from agents.demo.opening import Opening
from agents.demo.planted import planted
from agents.demo.processes import Children, environment
from agents.demo.telling import Telling
from monitor.model.clock import Clock
from monitor.model.span import isoformat, to_millis

LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    port: int | None = None
    duration: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What was found and what was planted, at the end."""

    as_of: str
    findings: list[Json]
    planted: list[Json]

    def to_json(self) -> Json:
        """Return the contract's form."""
        return {
            "schema": "cradlewatch.findings/1",
            "as_of": self.as_of,
            "findings": self.findings,
            "planted": self.planted,
        }


class Show:
    """One demo. Everything it makes is in one directory; everything it starts ends with it."""

    def __init__(self, options: Options, clock: Clock, telling: Telling, directory: Path) -> None:
        """Start nothing yet."""
        self.options = options
        self.clock = clock
        self.telling = telling
        self.district: Sequence[Institution] = DISTRICT
        self.held = centres.hold_port(options.port)
        self.port: int = self.held.getsockname()[1]
        self.children = Children(directory, environment(directory))
        self.centre = Centre(self.url, clock)
        self.opening = Opening(self.children, self.centre, self.held, clock, telling, self.district)
        self._went = clock.monotonic()

    @property
    def url(self) -> str:
        """Return the collector's address."""
        return f"http://{centres.HOST}:{self.port}"

    async def run(self) -> Outcome:
        """Play it: until the duration is over, or for ever. Raises DemoError."""
        self.telling.line("正在启动 starting: simulated devices, a collector, an agent for each institution")
        try:
            await self._play(await self.opening.run())
            return Outcome(self._now(), await self.centre.findings(), planted(self.district, self.opening.notes))
        finally:
            self.held.close()
            await self.centre.close()
            await self.children.stop()

    # --- playing ----------------------------------------------------------------------------------------------------

    async def _play(self, simulators: Simulators) -> None:
        self.telling.go(self.options.duration)
        self._went = self.clock.monotonic()
        await simulators.go()
        background = [asyncio.create_task(simulators.listen(self._heard))]
        background += [asyncio.create_task(self._kill(item)) for item in self.district if item.agent_killed_at]
        try:
            while (left := self._left()) > 0:
                self.children.check()
                for task in background:
                    if task.done():
                        task.result()
                self.telling.news(self._seconds_since(self._went), await self.centre.findings())
                await self.clock.sleep(min(left, LOOK_SECONDS))
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)

    def _left(self) -> float:
        if self.options.duration is None:
            return LOOK_SECONDS
        return self.options.duration - self._seconds_since(self._went)

    def _heard(self, line: Json) -> None:
        if line.get("event") != "done":
            return
        self.opening.notes.done.append(line)
        institution = str(line["recorder"]).partition("/")[0]
        place = institution if line.get("channel") is None else f"{institution} {self._camera(line)}"
        self.telling.happened(self._seconds_since(self._went), place, str(line["do"]), self._heals(line))

    def _heals(self, line: Json) -> str:
        """Return what an event makes good again; empty for one that does harm."""
        return next(
            (
                plant.do
                for item in self.district
                for plant in item.plants
                if (item.device, plant.channel, plant.healed_by) == (line["recorder"], line.get("channel"), line["do"])
            ),
            "",
        )

    def _camera(self, line: Json) -> str:
        cameras = {(item.device, camera.channel): camera.id for item in self.district for camera in item.cameras}
        return cameras.get((line["recorder"], line["channel"]), f"channel {line['channel']}")

    async def _kill(self, item: Institution) -> None:
        await self.clock.sleep(item.agent_killed_at or 0.0)
        self.opening.notes.killed[item.id] = self._now()
        self.opening.agents[item.id].kill()
        self.telling.happened(self._seconds_since(self._went), item.id, "kill")

    # --- small things -----------------------------------------------------------------------------------------------

    def _now(self) -> str:
        return isoformat(to_millis(self.clock.now()))

    def _seconds_since(self, then: float) -> float:
        return self.clock.monotonic() - then


@contextlib.contextmanager
def _own_directory() -> Iterator[Path]:
    """Make a directory that only this user can read, and remove it; with CRADLEWATCH_DEBUG it stays, for its logs."""
    directory = Path(tempfile.mkdtemp(prefix="cradlewatch-demo-"))
    try:
        yield directory
    finally:
        if not os.environ.get("CRADLEWATCH_DEBUG"):
            shutil.rmtree(directory, ignore_errors=True)


async def play(options: Options, clock: Clock, telling: Telling) -> Outcome | None:
    """Play the demo. Returns None when it was ended by a signal. Raises DemoError when it can't be played."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
    try:
        with _own_directory() as directory:
            return await Show(options, clock, telling, directory).run()
    except asyncio.CancelledError:
        return None
    finally:
        with contextlib.suppress(ValueError):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)
