"""Jobs go on when the wall clock is set, and when one of them fails."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from agents.periodic import Periodic
from monitor.model.clock import SystemClock


async def test_a_job_that_fails_runs_again() -> None:
    ran: list[int] = []
    often = asyncio.Event()

    async def work() -> None:
        ran.append(1)
        if len(ran) > 2:
            often.set()
        raise ValueError("broken")

    periodic = Periodic(SystemClock())
    periodic.every(0.05, work, name="work", first=0.0)
    periodic.start()
    async with asyncio.timeout(10):
        await often.wait()
    periodic.stop()


async def test_a_job_that_outlasts_its_interval_runs_once_at_a_time_and_says_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    running: list[str] = []
    beats, often, end = 0, asyncio.Event(), asyncio.Event()

    async def long() -> None:
        running.append("long")
        await end.wait()

    async def beat() -> None:
        nonlocal beats
        beats += 1
        if beats == 5:
            often.set()

    periodic = Periodic(SystemClock())
    periodic.every(0.05, long, name="long", first=0.0)
    periodic.every(0.05, beat, name="beat", first=0.0)
    periodic.start()
    async with asyncio.timeout(10):
        await often.wait()
    end.set()
    periodic.stop()
    assert running == ["long"]
    assert caplog.records == []


async def test_a_job_that_is_ended_with_the_service_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    begun: asyncio.Future[asyncio.Task[Any] | None] = asyncio.get_running_loop().create_future()

    async def long() -> None:
        begun.set_result(asyncio.current_task())
        await asyncio.Event().wait()

    periodic = Periodic(SystemClock())
    periodic.every(60.0, long, name="long", first=0.0)
    periodic.start()
    async with asyncio.timeout(10):
        job = await begun
    assert job is not None
    periodic.stop()
    await asyncio.wait({job})
    assert caplog.records == []


async def test_a_wall_clock_that_is_set_back_does_not_silence_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """APScheduler reads the wall clock by itself: it is turned back under its feet."""
    back = timedelta(0)

    class Turned(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) - back

    class TurnedClock(SystemClock):
        def now(self) -> datetime:
            return super().now() - back

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Turned)
    monkeypatch.setattr("apscheduler.triggers.interval.datetime", Turned)
    ran = asyncio.Event()

    async def work() -> None:
        ran.set()

    periodic = Periodic(TurnedClock())
    periodic.every(0.2, work, name="work", first=0.0)
    periodic.start()
    async with asyncio.timeout(10):
        await ran.wait()
    back = timedelta(hours=1)
    ran.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.8):
            await ran.wait()
    periodic.begin_again()
    async with asyncio.timeout(10):
        await ran.wait()
    periodic.stop()
