"""Runs the jobs, each in a thread that the process doesn't wait for when it ends."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from apscheduler.executors.base import BaseExecutor, run_job

from monitor.model.clock import Clock, SystemClock


class JobThreads(BaseExecutor):  # type: ignore[misc]  # apscheduler has no types
    """Runs each job in a daemon thread: those of a pool are joined at the end, however long their database is gone.

    `niceness` is added to the process's own, for their threads alone (Linux): so much they give way to others.
    """

    def __init__(self, clock: Clock | None = None, niceness: int = 0) -> None:
        """Nothing runs."""
        super().__init__()
        self._niceness = niceness
        self._clock = clock or SystemClock()
        self._running: dict[threading.Thread, str] = {}

    def finish(self, seconds: float) -> list[str]:
        """Wait for so long for what runs; return the jobs that are running still."""
        until = self._clock.monotonic() + seconds
        for thread in list(self._running):
            thread.join(max(0.0, until - self._clock.monotonic()))
        return sorted(name for thread, name in list(self._running.items()) if thread.is_alive())

    def _do_submit_job(self, job: Any, run_times: list[Any]) -> None:
        thread = threading.Thread(target=self._run, args=(job, run_times), name=job.id, daemon=True)
        self._running[thread] = job.id
        thread.start()

    def _run(self, job: Any, run_times: list[Any]) -> None:
        try:
            _give_way(self._niceness)
            events = run_job(job, job._jobstore_alias, run_times, self._logger.name)  # noqa: SLF001  (as every executor does)
        except BaseException as error:  # noqa: BLE001  (apscheduler logs it)
            self._run_job_error(job.id, error, sys.exc_info()[2])
        else:
            self._run_job_success(job.id, events)
        finally:
            del self._running[threading.current_thread()]


def _give_way(niceness: int) -> None:
    """Add to this thread's niceness, where each thread has its own: elsewhere it would be the whole process's."""
    if niceness and sys.platform == "linux":
        os.nice(niceness)
