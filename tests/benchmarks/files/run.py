"""A tree of recorded files scanned beside a bare walk of it, and a first scan that is killed and goes on."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

from agents.breaker import Breaker
from agents.recorders.files import Files
from agents.recorders.settings import RecorderSettings
from agents.rtsp.address import AddressBook
from monitor.model.clock import ManualClock
from monitor.model.span import DAY, Spans, to_millis
from support.tiny_mp4 import tiny_mp4

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
MIDNIGHT = datetime(2026, 11, 23, tzinfo=ZONE)
LAYOUTS = {
    "nested": "{camera}/%Y-%m-%d/%H%M%S.mp4",
    "flat": "{camera}/%Y-%m-%d_%H-%M-%S.mp4",
    "one": "{camera}_%Y-%m-%d_%H-%M-%S.mp4",
}
"""A folder for each camera and day; one for each camera; one for all. The latter two have just changed at each scan."""

SEGMENT_SECONDS = 600
SEGMENT_BYTES = 37_500_000
"""Ten minutes at 500 kb/s; a hole but for the first hundred bytes."""


@dataclass(frozen=True)
class Measured:
    """Seconds of CPU (of the first scan: of time), and counts of files."""

    files: int
    bare: float
    known: float
    moved_on: float
    """Of a scan after each camera has gained a file and lost its oldest."""
    first_seconds: float
    killed_after: int
    """So many files had been looked into when the first scan was killed."""
    kept: int
    """What they hold was kept of so many of them."""
    looked_into: int
    """In the scan after the kill."""

    @property
    def times(self) -> float:
        """Return how many bare walks a scan of the known tree costs."""
        return self.known / self.bare


def make(root: Path, layout: str, cameras: int, days: int, a_day: int = 86_400 // SEGMENT_SECONDS) -> int:
    """Write the tree, each file and folder changed when its recording ended; return how many files it has."""
    head = tiny_mp4(SEGMENT_SECONDS, SEGMENT_BYTES)
    for camera in range(cameras):
        for day in range(1, days + 1):
            begun = MIDNIGHT - timedelta(days=day)
            path = root
            for number in range(a_day):
                at = begun + timedelta(seconds=SEGMENT_SECONDS * number)
                path = root / f"{at:{LAYOUTS[layout].format(camera=f'c{camera}')}}"
                if number == 0:
                    path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, head, at.timestamp() + SEGMENT_SECONDS)
            os.utime(path.parent, (begun.timestamp() + 86_400,) * 2)
    return cameras * days * a_day


def _write(path: Path, head: bytes, changed: float) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(file, head)
    os.ftruncate(file, SEGMENT_BYTES)
    os.utime(file, (changed, changed))
    os.close(file)


def bare_walk(root: str) -> int:
    """Return how many files a tree has: its folders listed, and nothing asked of any file."""
    count, pending = 0, [root]
    while pending:
        with os.scandir(pending.pop()) as listing:
            for entry in listing:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    count += 1
    return count


def driver_of(root: Path, state: Path, layout: str) -> Files:
    """Return a driver of the tree that keeps its catalogue in `state`, as a fresh process would make it."""
    clock = ManualClock(NOON)
    return Files(
        RecorderSettings(
            id="disk", driver="files", timezone=ZONE, addresses=AddressBook([ip_network("127.0.0.0/8")]),
            breaker=Breaker(state / "breaker.sqlite", clock), clock=clock, options={"path": LAYOUTS[layout]},
            base_dir=root, state_dir=state,
        )
    )  # fmt: skip


async def scan(root: Path, state: Path, layout: str, days: int) -> tuple[dict[str, Spans], int, int]:
    """Return what each camera holds in the last days, how many bytes that is, and how many files were looked into."""
    driver = driver_of(root, state, layout)
    held, size = {}, 0
    for channel in await driver.channels():
        footage = await driver.footage(channel.id, to_millis(NOON) - (days + 2) * DAY, to_millis(NOON))
        held[channel.id] = footage.spans
        assert footage.sizes is not None
        size += int(footage.sizes.rows[:, 2].sum())
    looked_into = driver.looked_into
    await driver.close()
    return held, size, looked_into


def measure(folder: Path, layout: str, cameras: int, days: int, *, rounds: int = 5, a_day: int = 144) -> Measured:
    """Make a tree, scan it for the first time with a kill in between, and then beside bare walks, the best of `rounds`."""
    root, state = folder / "recordings", folder / "state"
    state.mkdir()
    files = make(root, layout, cameras, days, a_day)
    began = time.monotonic()
    kept = _killed_scan(root, state, layout, days, files // 2)
    held, size, looked_into = asyncio.run(scan(root, state, layout, days))
    first = time.monotonic() - began
    truth = Spans.of([
        (to_millis(at), to_millis(at) + SEGMENT_SECONDS * 1000)
        for day in range(1, days + 1) for number in range(a_day)
        for at in [MIDNIGHT - timedelta(days=day) + timedelta(seconds=SEGMENT_SECONDS * number)]
    ])  # fmt: skip
    assert list(held.values()) == [truth] * cameras
    assert size == files * SEGMENT_BYTES
    bare, known, moved_on = [], [], []
    for _ in range(rounds):
        bare.append(_cpu(lambda: bare_walk(str(root)) == files))
        if layout != "nested":
            _changed_just_now(root, cameras)
        known.append(_cpu(lambda: asyncio.run(scan(root, state, layout, days)) == (held, size, 0)))
    for number in range(rounds):
        one = timedelta(seconds=SEGMENT_SECONDS * number)
        _move_on(root, layout, cameras, MIDNIGHT - timedelta(days=days) + one, MIDNIGHT + one)
        truth = truth.shift(SEGMENT_SECONDS * 1000)
        held = dict.fromkeys(held, truth)
        moved_on.append(_cpu(lambda: asyncio.run(scan(root, state, layout, days)) == (held, size, cameras)))  # noqa: B023
    return Measured(files, min(bare), min(known), min(moved_on), first, files // 2, kept, looked_into)


def _changed_just_now(root: Path, cameras: int) -> None:
    """A recorder writes into its one folder all the time: its change time spares nobody the listing."""
    for folder in (root, *(root / f"c{camera}" for camera in range(cameras))):
        if folder.is_dir():
            os.utime(folder, (NOON.timestamp(),) * 2)


def _move_on(root: Path, layout: str, cameras: int, oldest: datetime, newest: datetime) -> None:
    """Let each camera lose its oldest file and gain one, the folders of both changed just now."""
    head = tiny_mp4(SEGMENT_SECONDS, SEGMENT_BYTES)
    for camera in range(cameras):
        gone, new = (root / f"{at:{LAYOUTS[layout].format(camera=f'c{camera}')}}" for at in (oldest, newest))
        gone.unlink()
        new.parent.mkdir(exist_ok=True)
        _write(new, head, newest.timestamp() + SEGMENT_SECONDS)
        for folder in (gone.parent, new.parent):
            os.utime(folder, (NOON.timestamp(),) * 2)


def _cpu(work: Callable[[], bool]) -> float:
    began = time.process_time()
    assert work()
    return time.process_time() - began


def _killed_scan(root: Path, state: Path, layout: str, days: int, files: int) -> int:
    """Let a first scan run in a process of its own, kill it with -9 after `files`; return how many of them were kept."""
    command = [sys.executable, "-m", "benchmarks.files.first", str(root), str(state), layout, str(days), str(files)]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=found) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"standing still\n"
        finally:
            child.kill()
    (catalogue,) = state.glob("files-*.sqlite")
    with closing(sqlite3.connect(catalogue)) as connection:
        return int(connection.execute("SELECT coalesce(sum(length(segments)) / 32, 0) FROM shelf").fetchone()[0])
