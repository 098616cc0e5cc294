"""`agent check` killed with -9 in the middle of a first index scan: the next one goes on where it was."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agents.journal import Journal
from agents.scan.recorder import Channelled, Progress, RecorderScan
from agents.simulators.camera import Camera
from agents.simulators.footage import Cutting, Footage, Segment, continuous
from agents.simulators.recorder import Channel, RecorderState
from agents.simulators.webserver import Request, Response
from agents.site import load_site
from agents.state import State
from monitor.model.clock import ManualClock
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.recordings import read_recordings
from monitor.model.span import DAY, HOUR, Millis, Spans, to_millis
from support.recorder_http import NOW
from support.recorder_rigs import RIGS, Rig, assert_manners, driver_of
from support.replies import at_the_level_of_replies
from support.rounds import rounds_over
from support.site import COMMAND, PASSWORD, agent, nvr, write_site

GATE = Subject(kind="camera", id="c1")
GATE_ALONE = Subject(kind="camera", id="gate")


class StandingStill:
    """Before a simulated recorder: from the moment on that a question is waited for, its answer is withheld."""

    def __init__(self, simulator: Any, journal: Journal) -> None:
        """Let everything through."""
        self._journal, self._handler = journal, simulator.web.handler
        self._wanted: tuple[str, int] | None = None
        self._reached, self._going = asyncio.Event(), asyncio.Event()
        simulator.web.handler = self._answer

    async def at(self, question: str, readings: int) -> None:
        """Wait until the recorder has done what `question` asks for and has told nothing yet, with so many readings kept."""
        self._wanted = (question, readings)
        self._reached.clear()
        self._going.clear()
        await self._reached.wait()

    def go_on(self) -> None:
        """Answer, though nobody may be there any more."""
        self._wanted = None
        self._going.set()

    async def _answer(self, request: Request) -> Response:
        response: Response = await self._handler(request)
        if self._wanted is not None:
            question, readings = self._wanted
            asked = f"{request.target} {request.body.decode()}"
            if question in asked and len(self._journal.index_windows("c1")) >= readings:
                self._reached.set()
                await self._going.wait()
        return response


KILLED_AT = {
    "hikvision": (("ContentMgmt/search", 0, 0), ("ContentMgmt/search", 2, 0), ("ContentMgmt/search", 4, 0)),
    "dahua": (("factory.create", 0, 1), ("findNextFile", 2, 1), ("action=close", 4, 1)),
    "uniview": (("DailyDistribution", 0, 0), ("Streams/0/Records?", 2, 0), ("Streams/0/Records?", 4, 0)),
    "onvif": (("FindRecordings", 0, 1), ("GetEventSearchResults", 2, 0), ("FindEvents", 4, 1)),
}
"""By driver: the question after which the agent is killed, how many readings are kept by then, and how many finders or
sessions are left open (one whose last results were told is over)."""


def windows_of(journal: Journal) -> Spans:
    return Spans.of([(low, high) for low, high, _ in journal.index_windows("c1")])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.driver)
async def test_a_first_scan_goes_on_after_each_kill(rig: Rig, tmp_path: Path) -> None:
    """Real processes and sockets: what was read isn't asked for again, and in the end all that is held is known."""
    now = time.time() // 1 - 3600
    holes = [(now - 40 * 86_400, now - 40 * 86_400 + 5000), (now - 9 * 86_400, now - 7 * 86_400)]
    held = continuous(now - 60 * 86_400, now, seed=7, holes=holes, cutting=Cutting((2 * 3600.0, 6 * 3600.0), 9, 13))
    state = RecorderState([Channel(1, "gate", Camera(1), Footage(held), live=False)], password=PASSWORD)
    async with rig.simulator(state) as simulator:
        camera = {"id": "c1", "zones": ["room"], "recorder": "nvr", "channel": 1}
        config = write_site(
            tmp_path, [camera], [nvr(simulator, driver=rig.driver)], regulation="cn-nursery-wujiang-2021"
        )
        directory = load_site(config).state_dir
        State(directory, "wj-0001").close()
        journal = Journal(directory / "journal.sqlite")
        still = StandingStill(simulator, journal)
        for question, readings, left_open in KILLED_AT[rig.driver]:
            before, asked = windows_of(journal), len(simulator.searched)
            await kill_a_check(config, still.at(question, readings))
            assert simulator.lose_client() == left_open
            still.go_on()
            assert asked_again(simulator, asked, before) <= 3 * HOUR
        before, asked = windows_of(journal), len(simulator.searched)
        assert 40 * DAY < before.total() < 80 * DAY, "killed in the middle"
        done = await agent("check", "--config", config, "--json", within=120)
        assert asked_again(simulator, asked, before) <= 3 * HOUR
        facts = read_recordings(journal.of(GATE, Kind.RECORDINGS), [], to_millis(datetime.now(UTC)))
        journal.close()
        stats = simulator.stats()
    assert facts is not None
    assert facts.footage == Spans.of([(round(one.start * 1000), round(one.end * 1000)) for one in held])
    assert facts.scanned.total() > 92 * DAY
    assert done.verdicts("retention")["c1"]["state"] == "short"
    assert_manners(stats)
    assert stats["failed_logins"] == 0


async def kill_a_check(config: Path, moment: Coroutine[Any, Any, None]) -> None:
    """Run `agent check`, and kill it with -9 at the moment that is waited for."""
    running = await asyncio.create_subprocess_exec(
        COMMAND, "agent", "check", "--config", config, "--json",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    waiting, ending = asyncio.create_task(moment), asyncio.create_task(running.wait())
    try:
        await asyncio.wait({waiting, ending}, timeout=120, return_when=asyncio.FIRST_COMPLETED)
        assert waiting.done(), f"never came to it, and ended with {running.returncode}"
    finally:
        waiting.cancel()
        if running.returncode is None:
            running.kill()
    assert await ending == -signal.SIGKILL


def asked_again(simulator: Any, since: int, read: Spans) -> Millis:
    """Return how much of what was `read` the recorder was searched for again: the newest hours are meant to be."""
    asked = [(round(one.start * 1000), round(one.end * 1000)) for one in simulator.searched[since:]]
    return Spans.of(asked).intersect(read).total()


@pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.driver)
async def test_what_a_kill_leaves_on_the_disk_is_gone_on_from(rig: Rig, tmp_path: Path) -> None:
    """Of every make: the files as they lie in the middle of a first scan, opened by another process's state and journal."""
    clock = ManualClock(NOW)
    now = NOW.timestamp()
    held = Footage(
        [Segment(now - hour * 3600.0, now - (hour - 1) * 3600.0) for hour in range(60 * 24, 0, -1)], lag_seconds=0
    )
    state = RecorderState([Channel(1, "gate", Camera(1), held, live=False)], now=lambda: now)
    simulator = rig.simulator(state)
    killed, after = tmp_path / "running", tmp_path / "killed"

    def copied(_: str, share: float) -> None:
        if share > 0.4 and not after.exists():
            shutil.copytree(killed, after)  # and with it SQLite's logs, whatever they hold

    async def scanned(folder: Path, seen: list[Observation], progress: Progress | None = None) -> None:
        driver = driver_of(rig, simulator, tmp_path, clock)
        at_the_level_of_replies(driver, simulator, clock)
        scan = RecorderScan("nvr", driver, [Channelled("gate", "1")], clock, seen.append)
        with rounds_over(scan, clock, seen, folder, zone="Asia/Shanghai", progress=progress) as rounds:
            await scan.look()
            assert await rounds.round(90)
        await driver.close()

    await scanned(killed, [], copied)
    journal = Journal(after / "state" / "journal.sqlite")
    first = Spans.of([(low, high) for low, high, _ in journal.index_windows("gate")])
    journal.close()
    assert 20 * DAY < first.total() < 75 * DAY, "killed in the middle"
    clock.advance(1)
    await scanned(after, [])
    journal = Journal(after / "state" / "journal.sqlite")
    again = Spans.of([(low, high) for low, high, at in journal.index_windows("gate") if at > to_millis(NOW)])
    facts = read_recordings(journal.of(GATE_ALONE, Kind.RECORDINGS), [], to_millis(NOW) + DAY)
    journal.close()
    assert first.union(again).total() > 92 * DAY
    assert first.intersect(again).total() <= 3 * HOUR, "of what was read nothing is read again but the newest hours"
    assert facts is not None
    assert facts.footage.clip(0, to_millis(NOW)) == Spans.window(to_millis(NOW) - 60 * DAY, to_millis(NOW))
    assert_manners(simulator.stats())
