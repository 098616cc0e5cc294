"""What is done again and again: APScheduler, kept going when the wall clock is set."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from agents.database import DatabaseError
from monitor.model.clock import Clock

Work = Callable[[], Coroutine[Any, Any, None]]

log = structlog.get_logger()


class Periodic:
    """Jobs at intervals, each one at a time, in memory: what is due is known from the state, not from here."""

    def __init__(self, clock: Clock) -> None:
        """Schedule nothing yet."""
        self._clock = clock
        # A first scan that outlasts its interval is no news to anybody; failures are logged by `every`.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._firsts: dict[str, float] = {}

    def every(self, seconds: float, work: Work, *, name: str, first: float) -> None:
        """Do `work` every `seconds`, the first time in `first`: a stagger. A failure does not end it."""

        async def guarded() -> None:
            try:
                await work()
            except asyncio.CancelledError:
                return  # `stop` does it, and the scheduler would log it as a failure
            except DatabaseError as error:
                # Its sentence says all: a trace of where it was raised helps nobody on site.
                log.error("a job waits for the disk", job=name, reason=str(error))  # noqa: TRY400
            except Exception:
                log.exception("a job failed; it runs again at its next time", job=name)

        self._firsts[name] = first
        self._scheduler.add_job(
            guarded,
            IntervalTrigger(seconds=seconds),
            id=name,
            next_run_time=self._clock.now() + timedelta(seconds=first),
        )

    def start(self) -> None:
        """Begin; inside a running event loop."""
        self._scheduler.start()

    def begin_again(self) -> None:
        """The wall clock was set: what was due by the old one is due now, staggered as at the start.

        APScheduler goes by wall time. Set back by an hour, it would do nothing for an hour.
        """
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=self._clock.now() + timedelta(seconds=self._firsts[job.id]))

    def stop(self) -> None:
        """End: what runs is not waited for."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
