"""A site for tests: site.yaml over simulated devices, and the agent's command as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agents.simulators.camera import Camera
from agents.simulators.footage import Footage, Segment
from agents.simulators.hikvision import HikvisionSimulator
from agents.simulators.recorder import Channel, RecorderState
from agents.simulators.seats import WhenFull
from agents.site import Site, load_site

PASSWORD = "Cradle-2026"
"""The simulated recorder's."""
COMMAND = Path(sys.executable).with_name("cradlewatch")
DAY = 86_400.0


def recorder(
    cameras: int = 2,
    *,
    days: float = 1.0,
    max_sessions: int | None = None,
    when_full: WhenFull = WhenFull.NOT_ENOUGH_BANDWIDTH,
    **more: Any,
) -> HikvisionSimulator:
    """Return a recorder (not started) whose channels 1.. are named c1.. and have footage of so many days up to now.

    `now` is the recorder's own, where `more` has one: at any hour of the day footage and clock agree.
    """
    now = more["now"]() if "now" in more else time.time()
    channels = [
        Channel(
            n, f"c{n}", Camera(f"c{n}", name=f"Camera {n:02d}", figures=1), Footage([Segment(now - days * DAY, now)])
        )
        for n in range(1, cameras + 1)
    ]
    state = RecorderState(channels=channels, max_sessions=max_sessions, when_full=when_full, password=PASSWORD, **more)
    return HikvisionSimulator(state)


def behind(simulator: HikvisionSimulator, camera: str = "c") -> list[dict[str, Any]]:
    """Return the cameras of site.yaml behind a simulated recorder, each with its stream written down."""
    return [
        {"id": f"{camera}{item.id}", "zones": ["room"], "recorder": "nvr", "channel": item.id, "stream": simulator.rtsp_url(item.id)}
        for item in simulator.state.channels
    ]  # fmt: skip


def nvr(simulator: HikvisionSimulator, recorder_id: str = "nvr", **more: Any) -> dict[str, Any]:
    """Return the recorder of site.yaml for a simulated one."""
    return {
        "id": recorder_id, "driver": "hikvision", "url": simulator.url, "username": "compliance",
        "password_file": "password", **more,
    }  # fmt: skip


def write_site(
    folder: Path,
    cameras: Sequence[Mapping[str, Any]],
    recorders: Sequence[Mapping[str, Any]] = (),
    *,
    password: str = PASSWORD,
    **more: Any,
) -> Path:
    """Write site.yaml and the password file beside it; return its path."""
    (folder / "password").write_text(password + "\n", encoding="utf-8")
    (folder / "password").chmod(0o600)
    content = {
        "institution": {"id": "wj-0001", "name": "示范托育园"},
        "regulation": "demo-nursery",
        "networks": ["127.0.0.0/8"],
        "gateway": "127.0.0.1:9",
        "zones": [{"id": "gate", "room": "entrance"}, {"id": "room", "room": "play"}],
        "recorders": [dict(item) for item in recorders],
        "cameras": [dict(item) for item in cameras],
        **more,
    }
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return path


def site_of(path: Path) -> Site:
    return load_site(path)


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    status: int
    out: str
    err: str
    seconds: float

    def json(self) -> Any:
        """Return standard output as the JSON that it must be alone."""
        return json.loads(self.out)

    def verdicts(self, requirement: str) -> dict[str, dict[str, Any]]:
        """Return a requirement's verdicts by subject id."""
        found = [item for item in self.json()["verdicts"] if item["requirement"] == requirement]
        assert len({item["subject"]["id"] for item in found}) == len(found)
        return {item["subject"]["id"]: item for item in found}


async def agent(*arguments: str | Path, environment: Mapping[str, str] | None = None, within: float = 60.0) -> Done:
    """Run `cradlewatch agent ...` to its end."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        COMMAND, "agent", *(str(argument) for argument in arguments),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip
    try:
        async with asyncio.timeout(within):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode(), time.monotonic() - began)


@dataclass
class Running:
    """A service that runs, its log gathered."""

    process: asyncio.subprocess.Process
    log: list[str]

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.send_signal(signal.SIGKILL)

    async def stop(self, within: float = 20.0) -> int:
        """Ask it to end, and return its status."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(within):
            return await self.process.wait()


@asynccontextmanager
async def service(config: Path, *arguments: str) -> AsyncIterator[Running]:
    """Run `cradlewatch agent run` beside the block."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, "agent", "run", "--config", str(config), *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    running = Running(process, [])
    assert process.stderr is not None

    async def gather(stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            running.log.append(line.decode())

    gathering = asyncio.create_task(gather(process.stderr))
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await gathering


async def until(condition: Callable[[], Any], running: Running, within: float = 60.0) -> None:
    """Wait for a condition, asked in a thread of its own; a service that ends by itself is a failure."""
    try:
        async with asyncio.timeout(within):
            while not await asyncio.to_thread(condition):
                assert running.process.returncode is None, running.log
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not within {within:g} s; the service says {running.log[-20:]}") from None
