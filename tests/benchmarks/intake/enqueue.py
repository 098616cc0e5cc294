"""B10: reports put durably into an agent's outbox, one a commit, beside the bare disk: as many bytes appended and synced."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median

from agents.outbox import Outbox

BAR = 0.7
WAITING = 10_000
"""So many reports wait already in the second form: a week without a line."""


def bench(reports: int, runs: int) -> bool:
    """Print both sides, in turns, with an empty outbox and a full one; return whether the bar is reached."""
    payload = os.urandom(4096)
    reached = True
    with tempfile.TemporaryDirectory(prefix="cw-bench-") as name:
        for waiting in (0, WAITING):
            outbox = Outbox(Path(name) / f"outbox-{waiting}.sqlite")
            _fill(outbox, payload, waiting)
            sides = [
                (_floor(Path(name) / "floor", payload, reports), _put(outbox, payload, reports)) for _ in range(runs)
            ]
            outbox.close()
            print(f"B10, {waiting} reports waiting")
            for floor, put in sides:
                print(f"  fdatasync {floor:8.0f} a second; outbox {put:8.0f} reports/s")
            ratio = median(put / floor for floor, put in sides)
            word = "reached" if ratio >= BAR else "MISSED"
            print(f"  {ratio:.2f} times the disk (bar {BAR:.2f}): {word}", flush=True)
            reached &= ratio >= BAR
    return reached


def _fill(outbox: Outbox, payload: bytes, count: int) -> None:
    for _ in range(count):
        outbox.put("b" * 32, lambda _slot: payload)


def _put(outbox: Outbox, payload: bytes, reports: int) -> float:
    """Return how many reports a second are put in, each durable before the next; they are taken out again."""
    newest = outbox.newest()
    began = time.monotonic()
    for _ in range(reports):
        outbox.put("b" * 32, lambda _slot: payload)
    rate = reports / (time.monotonic() - began)
    outbox.delivered(outbox.take(reports, 1 << 40, after=newest))
    return rate


def _floor(path: Path, payload: bytes, times: int) -> float:
    """Return how often a second a report's bytes can be appended to a file and synced."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        began = time.monotonic()
        for _ in range(times):
            os.write(handle, payload)
            os.fdatasync(handle)
        return times / (time.monotonic() - began)
    finally:
        os.close(handle)
