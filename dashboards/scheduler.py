"""Calls the jobs again and again, also when the wall clock is set back."""

from __future__ import annotations

from datetime import timedelta

from apscheduler.schedulers.background import BackgroundScheduler

from monitor.model.clock import SystemClock

_SLACK = timedelta(seconds=1)


class Scheduler(BackgroundScheduler):  # type: ignore[misc]  # apscheduler has no types
    """APScheduler goes by the machine's wall clock: set back by an hour, it would do nothing for an hour.

    It looks again at least as often as its most frequent job comes; whatever is further away than its interval then was
    put off by the clock, and is done now.
    """

    def _process_jobs(self) -> float | None:
        now = SystemClock().now()
        for job in self.get_jobs():
            if job.next_run_time is not None and job.next_run_time - now > job.trigger.interval + _SLACK:
                job.modify(next_run_time=now)
        waits: float | None = super()._process_jobs()
        return waits
