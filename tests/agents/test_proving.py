"""The service's nights: one proof a camera, over restarts, with a turned clock and a recorder that plays, or doesn't."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agents.check import last_proof
from agents.run import Service
from agents.simulators.camera import Format
from agents.simulators.hikvision import HikvisionSimulator
from agents.state import State
from monitor.model.clock import ManualClock
from monitor.model.ledger import fold
from monitor.model.observation import Kind, Observation
from monitor.model.span import DAY, HOUR, to_millis
from monitor.model.verdict import Verdict
from monitor.regulations.loader import load
from support.site import behind, nvr, recorder, site_of, write_site

pytestmark = pytest.mark.timeout(180)

ZONE = ZoneInfo("Asia/Shanghai")
REQUIRED = 10
"""Days: an index that is quickly read."""


@dataclass
class Nights:
    """A recorder, and a service in this process whose clock is turned."""

    simulator: HikvisionSimulator
    config: Path
    clock: ManualClock
    service: Service
    state: State

    async def at(self, hour: int, *, read: bool = True) -> None:
        """Turn the clock ahead to the next such hour of the site; read the index as the service does, or judge what it read."""
        now = self.clock.now().astimezone(ZONE)
        wanted = now.replace(hour=hour, minute=30, second=0, microsecond=0)
        self.clock.advance((wanted + timedelta(days=wanted <= now) - now).total_seconds())
        if read:
            await self.service._look_job("nvr")
            await self.service._index_job("nvr")
        await self.service._judge()

    async def poll(self, times: int = 1) -> list[tuple[str, str, str | None]]:
        """Let the proof's job run so many times; return what was said: camera, state, cause."""
        before = len(self.proofs())
        for _ in range(times):
            await self.service._proof_job("nvr")
            self.clock.advance(60)
        return [(item.subject.id, item.state, item.cause) for item in self.proofs()[before:]]

    def proofs(self) -> list[Observation]:
        seen = self.service.journal.all(to_millis(self.clock.now()))
        found = (item for item in seen if item.kind is Kind.PROOF)
        return sorted(found, key=lambda item: (item.start, str(item.facts["which"])))

    def retention(self, camera: str) -> Verdict:
        return next(
            v for v in self.service.judging.verdicts if v.requirement.kind == "retention" and v.subject.id == camera
        )

    async def restart(self) -> None:
        await self.service._last_words()
        self.state.close()
        self.begin()

    def begin(self) -> None:
        site = site_of(self.config)
        self.state = State(site.state_dir, site.institution.id)
        pack = load("demo-nursery")
        assert pack.requirements.retention is not None
        shorter = pack.requirements.retention.model_copy(
            update={"required_days": REQUIRED, "proof_failures_apart": None}
        )
        asked = pack.requirements.model_copy(update={"retention": shorter})
        self.service = Service(site, pack.model_copy(update={"requirements": asked}), self.state, self.clock)


@asynccontextmanager
async def nights(folder: Path, **more: Any) -> AsyncIterator[Nights]:
    noon = datetime.fromtimestamp(time.time(), ZONE).replace(hour=12, minute=0, second=0, microsecond=0)
    clock = ManualClock(noon.astimezone(UTC))
    simulator = recorder(2, days=REQUIRED + 5, now=lambda: clock.now().timestamp(), playback_speed=20.0)
    simulator.state.quirks.search_seconds = 0.0
    assert simulator.rtsp.recordings is not None
    simulator.rtsp.recordings.form = Format(320, 240, 5, gop_seconds=0.6)
    async with simulator:
        config = write_site(folder, behind(simulator), [nvr(simulator, **more)])
        made = Nights.__new__(Nights)
        made.simulator, made.config, made.clock = simulator, config, clock
        made.begin()
        try:
            yield made
        finally:
            await made.service._last_words()
            made.state.close()
        stats = simulator.stats()
        assert not stats["concurrent_playbacks"]
        assert not stats["concurrent_searches"]
        assert not stats["repeated_refusals"]


async def test_each_camera_is_proved_once_a_night_and_a_restart_forgets_nothing(tmp_path: Path) -> None:
    async with nights(tmp_path) as site:
        await site.at(12)
        assert await site.poll(3) == [], "not by day"
        await site.at(2, read=False)
        assert await site.poll(3) == [("c1", "played", None), ("c2", "played", None)]
        assert site.retention("c1").measured["proof"] is not None
        minute = int(str(site.proofs()[0].facts["minute_at"]))
        assert abs(to_millis(site.clock.now()) - REQUIRED * DAY - minute) < HOUR
        await site.restart()
        await site.at(3, read=False)
        assert await site.poll(2) == []
        await site.at(1, read=False)
        assert [camera for camera, _, _ in await site.poll(3)] == ["c1", "c2"], "the next night"


async def test_quiet_hours_are_the_recorder_s_own(tmp_path: Path) -> None:
    async with nights(tmp_path, quiet_hours=["12:00-14:00"]) as site:
        await site.at(2)
        assert await site.poll() == []
        await site.at(13, read=False)
        assert await site.poll() == [("c1", "played", None)]


async def test_an_index_that_lists_what_does_not_play_is_not_believed_after_a_second_night(tmp_path: Path) -> None:
    async with nights(tmp_path) as site:
        await site.at(2)
        far = site.clock.now().timestamp() - REQUIRED * 86400
        site.simulator.set_unplayable(1, far - 3 * 86400, far + 3 * 86400)
        assert await site.poll(2) == [("c1", "failed", "not_found"), ("c1", "played", None), ("c2", "played", None)]
        assert site.retention("c1").outcome == "met", "one night is none"
        await site.at(2)
        await site.poll(2)
        verdict = site.retention("c1")
        assert (verdict.outcome, verdict.state, verdict.cause) == ("undetermined", "unknown", "contradiction")
        assert site.retention("c2").outcome == "met"
        site.simulator.state.channel(1).unplayable.clear()
        await site.at(2)
        await site.poll(2)
        assert site.retention("c1").outcome == "met", "what plays again is believed again"


async def test_a_right_that_is_refused_is_asked_for_once_a_day_and_the_cameras_are_watched_on(tmp_path: Path) -> None:
    async with nights(tmp_path) as site:
        site.simulator.state.playback_status = 401
        await site.at(2)
        assert await site.poll(3) == [("c1", "not_proved", "unauthorized")]
        facts = fold(site.proofs(), to_millis(site.clock.now()), inventory=site.service.site.inventory())
        assert facts is not None
        said = last_proof(facts, "c1")
        assert "was not tried (unauthorized): the account may watch" in said
        assert said.endswith("give it the right 'Remote: Playback' under System > User Management")
        assert site.simulator.stats()["playback_refusals"] == 1
        stream = await site.service.station.open(site.service.site.cameras[0])
        await stream.close()
        await site.at(4, read=False)
        assert await site.poll(2) == []
        assert site.retention("c1").outcome == "met"
        site.simulator.state.playback_status = None
        await site.at(2, read=False)
        assert [state for _, state, _ in await site.poll(2)] == ["played", "played"]
