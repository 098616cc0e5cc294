"""The jobs are called when the machine's wall clock is set back."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from dashboards.job_threads import JobThreads
from dashboards.scheduler import Scheduler


def test_a_job_that_the_clock_put_off_is_done_now_and_another_waits_for_its_time() -> None:
    """To APScheduler a clock that was set back by an hour is a next time that is an hour away."""
    often, again, seldom = threading.Event(), threading.Event(), threading.Event()

    def job() -> None:
        (again if often.is_set() else often).set()

    scheduler = Scheduler(executors={"default": JobThreads()}, timezone="UTC")
    scheduler.add_job(job, "interval", seconds=0.05, id="often")
    scheduler.add_job(seldom.set, "interval", hours=1)
    scheduler.start()
    assert often.wait(10)
    scheduler.modify_job("often", next_run_time=datetime.now(UTC) + timedelta(hours=1))
    assert again.wait(10)
    scheduler.shutdown(wait=False)
    assert not seldom.is_set()
