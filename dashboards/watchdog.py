"""Looks after the one process that does everything: where its event loop hangs, it starts itself again."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import socket

import structlog

from dashboards.server import CollectorServer
from monitor.model.clock import Clock, SystemClock

log = structlog.get_logger(__name__)

TURN_SECONDS = 0.25
"""How often whoever is looked after is looked at."""
SHOWN_FRAMES = 6
"""Of where the event loop hangs, the innermost ones."""


def turns_of_time(clock: Clock, wait: Callable[[float], bool]) -> Iterator[float]:
    """Give again and again how many seconds went by, at most a second; end when `wait` says so.

    Who was held up itself, as on a machine that slept, holds nothing against whom it looks after.
    """
    before = clock.monotonic()
    while not wait(TURN_SECONDS):
        now = clock.monotonic()
        yield min(now - before, 4 * TURN_SECONDS)
        before = now


@contextmanager
def watchdog(server: CollectorServer, limit_seconds: float, again: Callable[[], object]) -> Iterator[None]:
    """Call `again` from a thread once the server's event loop hasn't turned for so long; to be entered in the loop's thread.

    A thread sees what holds up the loop alone (a deadlock, a call that waits for ever), not what lets no thread run.
    """
    ended = threading.Event()
    looked_after = threading.get_ident()

    def look() -> None:
        turns, silent = 0, 0.0
        for seconds in turns_of_time(SystemClock(), ended.wait):
            silent = silent + seconds if server.turns == turns else 0.0
            turns = server.turns
            if turns and silent > limit_seconds:
                log.error(
                    "the collector's event loop hangs, the collector starts itself again",
                    reason=f"it has not turned for {limit_seconds:g} s",
                    where=_where(looked_after),
                )
                again()
                return

    thread = threading.Thread(target=look, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _where(thread: int) -> list[str]:
    """Return which lines a thread is at, the innermost last: places in the code, no values."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001  (CPython's documented way to see another thread's stack)
    stack = traceback.extract_stack(frame)[-SHOWN_FRAMES:] if frame else []
    return [f"{item.filename}:{item.lineno} {item.name}" for item in stack]


def start_again(listening: socket) -> None:
    """Put the same command anew in this process's place, with the socket it listens at: no connection that waits is refused.

    What was in the works was not answered, and what was stored is stored; all other files and connections close.
    """
    os.set_inheritable(listening.fileno(), True)
    handed = ["--listen", f"fd:{listening.fileno()}"]
    command = sys.orig_argv if sys.orig_argv[-2:] == handed else [*sys.orig_argv, *handed]
    os.execv(sys.executable, [sys.executable, *command[1:]])  # noqa: S606  (itself, as it was started)
