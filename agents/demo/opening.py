"""Puts the district in place: devices, a collector with its register, and an agent for each institution."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agents.demo import centre as centres
from agents.demo.centre import Access, Centre
from agents.demo.desk import Desk, Simulators
from agents.demo.institution import AGENT, DIVISION_CODE, PACK, Began, Institution
from agents.demo.plan import PASSWORD_FILE, script, site_file
from agents.demo.planted import Notes
from agents.demo.processes import Child, Children, DemoError, command
from agents.demo.telling import Telling
from monitor.model.clock import Clock
from monitor.model.span import isoformat, to_millis

CORES: Final = os.cpu_count() or 1
AT_ONCE: Final = 2 + CORES
"""So many agents are started at a time: on a small machine too, each reports and reads its index soon after it was enrolled."""
BUSY_LOAD: Final = 2.0 * CORES
"""On a machine that others use so much already (processes that want to run), no more than two are started at a time."""
JUDGED_SECONDS: Final = 150.0
"""So long may no further institution be looked at in full: beyond it the machine is too slow to show anything."""
ASK_SECONDS: Final = 0.4
BY: Final = "演示 Demo"
"""Who vouches for what a person has to vouch for."""
CONFIG: Final = ("--config", "collector.yaml")


class Opening:
    """Sets one demo up, and tells how far it is."""

    def __init__(
        self,
        children: Children,
        centre: Centre,
        held: socket.socket,
        clock: Clock,
        telling: Telling,
        district: Sequence[Institution],
    ) -> None:
        """Start nothing yet. `held` is the collector's listening socket."""
        self._held = held
        self.notes = Notes()
        self.agents: dict[str, Child] = {}
        self._children = children
        self._centre = centre
        self._clock = clock
        self._telling = telling
        self._district = tuple(district)
        self._approved = {item.id: asyncio.Event() for item in district}
        self._password = secrets.token_hex(12)
        self._began = clock.monotonic()
        self._load = os.getloadavg()[0]

    async def run(self) -> Simulators:
        """Return when every institution has been looked at in full. Raises DemoError."""
        plan = self._write("simulators.json", json.dumps(script(self._district, self._password), ensure_ascii=False))
        self._write("collector.yaml", centres.COLLECTOR_YAML)
        simulators = await Simulators.open(self._children, plan)
        try:
            async with asyncio.TaskGroup() as group:
                register = await Desk.open(self._children, "register")
                enroller = await Desk.open(self._children, "enroller")
                group.create_task(self._prepare_sites(simulators))
                access, codes = await self._open_centre(register)
                self._telling.invite(access, self._district)
                await self._start_agents(enroller, codes)
                await enroller.close()
        except ExceptionGroup as errors:
            raise _first(errors) from None
        return simulators

    # --- devices and sites ------------------------------------------------------------------------------------------

    async def _prepare_sites(self, simulators: Simulators) -> None:
        """Write each institution's site.yaml as soon as its devices listen."""
        self.notes.ready = await simulators.ready()
        self._progress(f"{len(self.notes.ready['recorders'])} 台录像机已就绪 recorders are up")
        for item in self._district:
            (self._children.directory / item.id).mkdir()
            self._write(f"{item.id}/{PASSWORD_FILE}", f"{self._password}\n", mode=0o600)
            self._write(f"{item.id}/site.yaml", site_file(item, self.notes.ready))
        async with asyncio.TaskGroup() as group:
            for item in self._district:
                group.create_task(self._approve_views(item))

    async def _approve_views(self, item: Institution) -> None:
        """Let somebody on site approve what the cameras show, where the institution does that, before it is enrolled.

        At one look each: nobody stands large before a simulated camera, and whoever starts a demo waits for it.
        """
        if item.views_approved:
            arguments = [command(), "agent", "baseline", *self._site(item), "--once", "--approve", "--by", BY]
            await self._children.run(f"baseline-{item.id}", arguments)
        self._approved[item.id].set()

    def _site(self, item: Institution) -> tuple[str, str]:
        return "--config", str(self._children.directory / item.id / "site.yaml")

    # --- the centre ---------------------------------------------------------------------------------------------------

    async def _open_centre(self, register: Desk) -> tuple[Access, dict[str, str]]:
        """Start the collector; return how to come in, and each institution's one-time code."""
        await register.run("collector", "migrate", *CONFIG)
        # The socket itself is handed down: had the port to be taken anew, somebody else might be quicker.
        number = self._held.fileno()
        serve = [command(), "collector", "serve", *CONFIG, "--listen", f"fd:{number}"]
        await self._children.start("collector", serve, sockets=[number])
        self._held.close()
        access, codes = await self._fill_register(register)
        await register.close()
        self._centre.sign_in(access.token)
        await self._centre.wait_until_ready(self._children.check)
        self._progress("监管端已就绪 the collector is up")
        return access, codes

    async def _fill_register(self, register: Desk) -> tuple[Access, dict[str, str]]:
        user, password = centres.USER, centres.new_password()
        secret = self._write("user.password", password, mode=0o600)
        await register.run("collector", "user", "add", user, "--password-file", str(secret), *CONFIG)
        token = await register.run("collector", "user", "token", user, "--label", "demo", *CONFIG)
        area = ("--name", "吴江区", "--level", "district", *CONFIG)
        await register.run("collector", "jurisdiction", "add", DIVISION_CODE, *area)
        for town in dict.fromkeys(item.town for item in self._district):
            within = ("--name", town.name, "--level", "town", "--parent", DIVISION_CODE, *CONFIG)
            await register.run("collector", "jurisdiction", "add", town.code, *within)
        codes = {}
        for item in self._district:
            entry = ("--name", item.full_name, "--regulation", PACK, "--jurisdiction", item.town.code, *CONFIG)
            await register.run("collector", "institution", "add", item.id, *entry)
            code = await register.run("collector", "enrolment", "create", "--institution", item.id, *CONFIG)
            codes[item.id] = code.strip()
        return Access(self._centre.url, user, password, token.strip()), codes

    # --- the agents -----------------------------------------------------------------------------------------------

    async def _start_agents(self, enroller: Desk, codes: dict[str, str]) -> None:
        """Enrol and start the agents, a few at a time, each until its institution has been looked at in full."""
        seats = asyncio.Semaphore(AT_ONCE if self._load <= BUSY_LOAD else 2)
        judged = {item.id: asyncio.Event() for item in self._district}
        unmeasured = {
            item.id: sum(
                plant.requirement == "measurability" and plant.began is Began.FIRST_LOOK for plant in item.plants
            )
            for item in self._district
        }

        async def start(item: Institution) -> None:
            async with seats:
                await self._approved[item.id].wait()
                await self._start_agent(enroller, item, codes[item.id])
                await judged[item.id].wait()

        async def watch(patience: asyncio.Timeout) -> None:
            while not all(event.is_set() for event in judged.values()):
                self._children.check()
                for row in await self._centre.institutions():
                    # What is planted so that it can't be measured may be found before all the rest has been looked at.
                    if row["met"] and row["undetermined"] <= unmeasured[row["id"]] and not judged[row["id"]].is_set():
                        judged[row["id"]].set()
                        patience.reschedule(asyncio.get_running_loop().time() + JUDGED_SECONDS)
                        self._progress(f"{row['id']} 已首次核查 has been looked at once: {row['name']}")
                await self._clock.sleep(ASK_SECONDS)

        try:
            async with asyncio.timeout(JUDGED_SECONDS) as patience, asyncio.TaskGroup() as group:
                group.create_task(watch(patience))
                # Who approves views began with that, and proofs take their time: they are not left for the last.
                for item in sorted(self._district, key=lambda one: not (one.views_approved or one.always_quiet)):
                    group.create_task(start(item))
        except TimeoutError:
            missing = ", ".join(name for name, event in judged.items() if not event.is_set())
            raise DemoError(
                f"this machine is too slow: for {JUDGED_SECONDS:g} s none of {missing} was looked at in full; "
                f"with CRADLEWATCH_DEBUG=1 the logs stay, in {self._children.directory.parent}"
            ) from None

    async def _start_agent(self, enroller: Desk, item: Institution, code: str) -> None:
        site, whole = self._site(item), ("--subject", f"institution/{item.id}", "--by", BY)
        await enroller.run("agent", "enroll", *site, "--collector", self._centre.url, "--code", code, "--agent", AGENT)
        await enroller.run("agent", "attest", "alarm_test", *site, *whole)
        await enroller.run("agent", "attest", "coverage_walk", *site, *whole)
        self.notes.started[item.id] = isoformat(to_millis(self._clock.now()))
        self.agents[item.id] = await self._children.start(f"agent-{item.id}", [command(), "agent", "run", *site])

    # --- small things -----------------------------------------------------------------------------------------------

    def _write(self, name: str, text: str, mode: int = 0o644) -> Path:
        path = self._children.directory / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def _progress(self, text: str) -> None:
        self._telling.line(f"  {self._clock.monotonic() - self._began:6.1f} s  {text}")


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return one error of a group: the others came of it, or are as good."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
