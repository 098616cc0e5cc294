"""`agent check` killed with -9 in the middle of a first index scan: the next one goes on where it was."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agents.journal import Journal
from agents.scan.plan import PART_DAYS
from agents.site import load_site
from agents.state import State
from monitor.model.observation import Kind, Subject
from monitor.model.span import DAY, Spans
from support.site import COMMAND, agent, nvr, recorder, write_site

GATE = Subject(kind="camera", id="c1")


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
