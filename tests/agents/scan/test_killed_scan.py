"""`agent check` killed with -9 in the middle of a first index scan: the next one goes on where it was."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from agents.journal import Journal
from agents.scan.plan import PART_DAYS
from agents.scan.recorder import Channelled, Progress, RecorderScan
from agents.simulators.camera import Camera
from agents.simulators.footage import Footage, Segment
from agents.simulators.recorder import Channel, RecorderState
from agents.site import load_site
from agents.state import State
from monitor.model.clock import ManualClock
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.recordings import read_recordings
from monitor.model.span import DAY, HOUR, Spans, to_millis
from support.recorder_http import NOW
from support.recorder_rigs import RIGS, Rig, assert_manners, driver_of
from support.replies import at_the_level_of_replies
from support.rounds import rounds_over
from support.site import COMMAND, agent, nvr, recorder, write_site

GATE = Subject(kind="camera", id="c1")
GATE_ALONE = Subject(kind="camera", id="gate")


@pytest.mark.timeout(240)
async def test_a_first_scan_goes_on_after_a_kill(tmp_path: Path) -> None:
    async with recorder(1, days=60) as simulator:
        simulator.state.quirks.search_seconds = 0.05
        camera = {"id": "c1", "zones": ["room"], "recorder": "nvr", "channel": 1}
        config = write_site(tmp_path, [camera], [nvr(simulator)], regulation="cn-nursery-wujiang-2021")
        directory = load_site(config).state_dir
        State(directory, "wj-0001").close()
        journal = Journal(directory / "journal.sqlite")
        running = await asyncio.create_subprocess_exec(
            COMMAND, "agent", "check", "--config", config, "--json",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(120):
                while len(journal.index_windows("c1")) < 2:
                    assert running.returncode is None
                    await asyncio.sleep(0.02)
        finally:
            running.kill()
            await running.wait()
        first = Spans.of([(low, high) for low, high, _ in journal.index_windows("c1")])
        assert 0 < first.total() < 58 * DAY, "killed in the middle"
        began = max(item.start for item in journal.of(GATE, Kind.RECORDINGS))
        done = await agent("check", "--config", config, "--json", within=120)
        again = Spans.of([(low, high) for low, high, at in journal.index_windows("c1") if at > began])
        journal.close()
    # What is new is read again with two hours before it, and the part that was under way.
    assert first.intersect(again).total() < (PART_DAYS * DAY) // 2
    assert first.union(again).total() > 92 * DAY
    found = done.verdicts("retention")["c1"]
    assert (found["state"], found["measured"]["held_days"] in {59, 60}) == ("short", True)
    assert simulator.stats()["concurrent_searches"] == 0


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
