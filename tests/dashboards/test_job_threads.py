"""Jobs' threads give way to others where they are told so, and nothing else does."""

from __future__ import annotations

import os
import sys
import threading
from datetime import UTC, datetime

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from dashboards.job_threads import JobThreads


def _niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.parametrize("added", [0, 5])
def test_a_job_is_so_much_nicer_than_the_process_and_only_the_job(added: int) -> None:
    seen: list[int] = []
    done = threading.Event()

    def job() -> None:
        seen.append(_niceness())
        done.set()

    before = _niceness()
    threads = JobThreads(niceness=added)
    scheduler = BackgroundScheduler(executors={"default": threads}, timezone="UTC")
    scheduler.add_job(job, "interval", hours=1, next_run_time=datetime.now(UTC))
    scheduler.start()
    assert done.wait(10)
    scheduler.shutdown(wait=False)
    assert threads.finish(10) == []
    assert seen == [min(19, before + added) if sys.platform == "linux" else before], (
        "elsewhere a thread has no niceness of its own"
    )
    assert _niceness() == before
