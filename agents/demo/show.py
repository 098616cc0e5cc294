"""The demo from start to end: devices, collector, agents; then what happens, and what was found."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.demo import centre as centres
from agents.demo.centre import Access, Centre
from agents.demo.desk import Desk, Simulators
from agents.demo.district import AGENT, DISTRICT, DIVISION_CODE, PACK, Institution, Json
from agents.demo.plan import PASSWORD_FILE, script, site_file
from agents.demo.planted import Notes, planted
from agents.demo.processes import Child, Children, DemoError, command, environment
from agents.demo.telling import Telling
from monitor.model.clock import Clock
from monitor.model.span import isoformat, to_millis

AT_ONCE: Final = 2 + (os.cpu_count() or 1)
"""So many agents are started at a time: on a small machine too, each reports and reads its index soon after it was enrolled."""
JUDGED_SECONDS: Final = 150.0
"""So long may no further institution be looked at in full: beyond it the machine is too slow to show anything."""
ASK_SECONDS: Final = 0.4
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
        self.directory = directory
        self.district: Sequence[Institution] = DISTRICT
        self.notes = Notes()
        self.port = centres.free_port(options.port)
        self.children = Children(directory, environment(directory))
        self.centre = Centre(self.url, clock)
        self.agents: dict[str, Child] = {}
        self._began = clock.monotonic()
        self._went = clock.monotonic()

    @property
    def url(self) -> str:
        """Return the collector's address."""
        return f"http://{centres.HOST}:{self.port}"

    async def run(self) -> Outcome:
        """Play it: until the duration is over, or for ever. Raises DemoError."""
        self.telling.line(
            "正在启动 starting: simulated cameras and recorders, a collector, an agent for each institution"
        )
        try:
            await self._play(await self._set_up())
            return Outcome(self._now(), await self.centre.findings(), planted(self.district, self.notes))
        finally:
            await self.centre.close()
            await self.children.stop()

    # --- setting up -------------------------------------------------------------------------------------------------

    async def _set_up(self) -> Simulators:
        password = secrets.token_hex(12)
        plan = self._write("simulators.json", json.dumps(script(self.district, password), ensure_ascii=False))
        self._write("collector.yaml", centres.COLLECTOR_YAML)
        simulators = await Simulators.open(self.children, plan)
        register = await Desk.open(self.children, "register")
        enroller = await Desk.open(self.children, "enroller")
        await register.run("collector", "migrate", "--config", "collector.yaml")
        await self.children.start(
            "collector",
            [command(), "collector", "serve", "--config", "collector.yaml", "--listen", f"{centres.HOST}:{self.port}"],
        )
        access, codes = await self._fill_register(register)
        self.notes.ready = await simulators.ready()
        self._progress(f"{len(self.notes.ready['recorders'])} 台录像机已就绪 recorders are up")
        await self.centre.wait_until_ready(self.children.check)
        self.centre.sign_in(access.token)
        self._progress("监管端已就绪 the collector is up")
        self.telling.invite(access, self.district)
        await self._start_agents(enroller, codes, password)
        await enroller.close()
        return simulators

    async def _fill_register(self, register: Desk) -> tuple[Access, dict[str, str]]:
        """Enter the district; return how to come in, and each institution's one-time code."""
        config = ("--config", "collector.yaml")
        user, password = centres.USER, centres.new_password()
        secret = self._write("user.password", password, mode=0o600)
        await register.run("collector", "user", "add", user, "--password-file", str(secret), *config)
        token = await register.run("collector", "user", "token", user, "--label", "demo", *config)
        area = ("--name", "吴江区", "--level", "district", *config)
        await register.run("collector", "jurisdiction", "add", DIVISION_CODE, *area)
        codes = {}
        for item in self.district:
            town = ("--name", item.town.name, "--level", "town", "--parent", DIVISION_CODE, *config)
            await register.run("collector", "jurisdiction", "add", item.town.code, *town)
            entry = ("--name", item.full_name, "--regulation", PACK, "--jurisdiction", item.town.code, *config)
            await register.run("collector", "institution", "add", item.id, *entry)
            code = await register.run("collector", "enrolment", "create", "--institution", item.id, *config)
            codes[item.id] = code.strip()
        await register.close()
        return Access(self.url, user, password, token.strip()), codes

    async def _start_agents(self, enroller: Desk, codes: dict[str, str], password: str) -> None:
        """Enrol and start the agents, a few at a time, each until its institution has been looked at in full."""
        seats = asyncio.Semaphore(AT_ONCE)
        judged = {item.id: asyncio.Event() for item in self.district}

        async def start(item: Institution) -> None:
            async with seats:
                await self._start_agent(enroller, item, codes[item.id], password)
                await judged[item.id].wait()

        async def watch(patience: asyncio.Timeout) -> None:
            while not all(event.is_set() for event in judged.values()):
                self.children.check()
                for row in await self.centre.institutions():
                    if row["met"] and not row["undetermined"] and not judged[row["id"]].is_set():
                        judged[row["id"]].set()
                        patience.reschedule(asyncio.get_running_loop().time() + JUDGED_SECONDS)
                        self._progress(f"{row['id']} 已首次核查 has been looked at once: {row['name']}")
                await self.clock.sleep(ASK_SECONDS)

        try:
            async with asyncio.timeout(JUDGED_SECONDS) as patience, asyncio.TaskGroup() as group:
                group.create_task(watch(patience))
                for item in self.district:
                    group.create_task(start(item))
        except TimeoutError:
            missing = ", ".join(name for name, event in judged.items() if not event.is_set())
            raise DemoError(
                f"this machine is too slow: for {JUDGED_SECONDS:g} s none of {missing} was looked at in full; with CRADLEWATCH_DEBUG=1 the logs "
                f"stay, in {self.directory.parent}"
            ) from None
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _start_agent(self, enroller: Desk, item: Institution, code: str, password: str) -> None:
        home = self.directory / item.id
        home.mkdir()
        self._write(f"{item.id}/{PASSWORD_FILE}", f"{password}\n", mode=0o600)
        config = self._write(f"{item.id}/site.yaml", site_file(item, self.notes.ready))
        site = ("--config", str(config))
        whole = ("--subject", f"institution/{item.id}", "--by", "演示 Demo")
        await enroller.run("agent", "enroll", *site, "--collector", self.url, "--code", code, "--agent", AGENT)
        await enroller.run("agent", "attest", "alarm_test", *site, *whole)
        await enroller.run("agent", "attest", "coverage_walk", *site, *whole)
        self.notes.started[item.id] = self._now()
        self.agents[item.id] = await self.children.start(
            f"agent-{item.id}", [command(), "agent", "run", "--config", str(config)]
        )

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
        self.notes.done.append(line)
        institution = str(line["recorder"]).partition("/")[0]
        place = institution if line.get("channel") is None else f"{institution} {self._camera(line)}"
        self.telling.happened(self._seconds_since(self._went), place, str(line["do"]))

    def _camera(self, line: Json) -> str:
        cameras = {(item.device, camera.channel): camera.id for item in self.district for camera in item.cameras}
        return cameras.get((line["recorder"], line["channel"]), f"channel {line['channel']}")

    async def _kill(self, item: Institution) -> None:
        await self.clock.sleep(item.agent_killed_at or 0.0)
        self.notes.killed[item.id] = self._now()
        self.agents[item.id].kill()
        self.telling.happened(self._seconds_since(self._went), item.id, "kill")

    # --- small things -----------------------------------------------------------------------------------------------

    def _write(self, name: str, text: str, mode: int = 0o644) -> Path:
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def _progress(self, text: str) -> None:
        self.telling.line(f"  {self._seconds_since(self._began):6.1f} s  {text}")

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
