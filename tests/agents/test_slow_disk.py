"""A disk that hangs: what the service learns waits for it, and nobody who watches a camera does."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agents.behind import Behind
from agents.breaker import Breaker
from agents.database import Database, DatabaseError
from agents.pins import Pins
from agents.rtsp import Deadlines, StreamError, session
from agents.run import Service
from agents.state import State
from monitor.model.clock import SystemClock
from monitor.model.observation import Kind, StreamCause
from monitor.model.span import SECOND, Spans, to_millis
from monitor.regulations.loader import load
from support.rtsp_device import Device, serve
from support.rtsp_opening import LOGIN, opened
from support.site import behind, nvr, recorder, site_of, write_site

RHYTHM = dict.fromkeys(
    ("look_every", "reach_every", "recorder_every", "index_every", "settings_every", "report_every", "reconnect_most"),
    "1s",
)
PATIENT = 60.0
HOST = "192.0.2.10"


class Disk:
    """Stands before all transactions of this process: while it hangs they wait, in whichever thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._goes = threading.Event()
        self._goes.set()
        self.waiting = set[str]()
        """Names of the files whose transactions wait."""
        begin = Database._transaction

        def transaction(database: Database, work: Callable[[sqlite3.Connection], Any], how: str) -> Any:
            if not self._goes.is_set():
                self.waiting.add(database.path.name)
                assert self._goes.wait(PATIENT), "somebody on the loop waits for the disk"
            return begin(database, work, how)

        monkeypatch.setattr(Database, "_transaction", transaction)

    def hang(self) -> None:
        self.waiting.clear()
        self._goes.clear()

    def go_on(self) -> None:
        self._goes.set()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENT / 2):
        while not condition():  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0.02)


@pytest.mark.timeout(180)
async def test_cameras_are_watched_while_no_file_can_be_written(tmp_path: Path, disk: Disk) -> None:
    async with recorder(2) as simulator:
        site = site_of(write_site(tmp_path, behind(simulator), [nvr(simulator)], rhythm=RHYTHM))
        state = State(site.state_dir, site.institution.id, enduring=True)
        service = Service(site, load("demo-nursery"), state, SystemClock())
        running = asyncio.create_task(service.run())
        watches = list(service.watches.values())
        await until(lambda: all(watch.stream.state == "up" for watch in watches) and service.judging.verdicts)
        began = to_millis(service.clock.now())
        disk.hang()
        frames = [watch.state.frames for watch in watches]
        await until(lambda: "state.sqlite" in disk.waiting)
        await until(
            lambda: all(watch.state.frames > before + 30 for watch, before in zip(watches, frames, strict=True))
        )
        state.put("learnt meanwhile", 1)
        assert state.get("learnt meanwhile") == 1
        ended = to_millis(service.clock.now())
        disk.go_on()
        await until(lambda: all(watch._seen_until > ended + SECOND for watch in watches))
        service.stop()
        await running
        seen = [item for item in _read(site.state_dir / "journal.sqlite") if item[0] == Kind.STREAM and item[2] == "up"]
        state.close()
    for name in ("c1", "c2"):
        held = Spans.of((start, end) for _, subject, _, start, end in seen if subject == name)
        assert not Spans.window(began, ended).subtract(held), "no hole"
    again = State(site.state_dir, site.institution.id)
    assert again.get("learnt meanwhile") == 1
    again.close()


def _read(journal: Path) -> list[tuple[str, str, str, int, int]]:
    with sqlite3.connect(journal) as connection:
        return connection.execute('SELECT kind, subject, state, start, "end" FROM span').fetchall()


async def test_a_login_waits_for_the_disk_and_its_outcome_does_not(tmp_path: Path, disk: Disk) -> None:
    breaker = Breaker(tmp_path / "breaker.sqlite", SystemClock())
    async with breaker.attempt(HOST, "viewer", "s3cret") as attempt:
        disk.hang()
        attempt.accepted()
    waiting = asyncio.create_task(_log_in(breaker, "another"))
    await until(lambda: disk.waiting)
    assert not waiting.done(), "no credentials before it is written down that they go out"
    disk.go_on()
    await waiting
    assert breaker.held() == []
    breaker.close()


async def test_logins_given_up_while_they_wait_for_the_disk_are_no_tries(tmp_path: Path, disk: Disk) -> None:
    """The first is being written when it is given up, the second not yet: nothing was sent by either."""
    breaker = Breaker(tmp_path / "breaker.sqlite", SystemClock())
    await breaker._key(HOST, "viewer", "s3cret")
    for _ in range(3):
        disk.hang()
        given_up = [asyncio.create_task(_log_in(breaker, "s3cret", host)) for host in (HOST, "192.0.2.11")]
        await until(lambda: disk.waiting)
        for task in given_up:
            task.cancel()
        await asyncio.wait(given_up)
        disk.go_on()
        assert breaker.held() == []
    await _log_in(breaker, "s3cret")
    breaker.close()


async def _log_in(breaker: Breaker, password: str, host: str = HOST) -> None:
    async with breaker.attempt(host, "viewer", password) as attempt:
        attempt.accepted()


async def test_a_turn_to_log_in_that_comes_too_late_is_not_the_devices_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of the time is less than an answer may take: nothing is sent, and the device isn't called silent."""
    breaker = Breaker(tmp_path / "breaker.sqlite", SystemClock())
    async with serve(Device("viewer", "s3cret")) as device:
        with monkeypatch.context() as patched:
            patched.setattr(session, "LONG_WAIT_SECONDS", 0.0)
            for _ in range(4):
                with pytest.raises(StreamError, match="came too late to wait for the device's answer") as caught:
                    async with opened(device.url(), LOGIN, Deadlines(answer=40, total=30), breaker=breaker):
                        pass
                assert caught.value.cause is StreamCause.CREDENTIALS_HELD
        assert not [asked for asked in device.asked if "Authorization" in asked.headers]
        assert breaker.held() == []
        async with opened(device.url(), LOGIN, breaker=breaker) as stream:
            assert await stream.batch()
    breaker.close()


def test_a_certificate_that_was_seen_counts_before_it_is_written(tmp_path: Path, disk: Disk) -> None:
    pins, other = Pins(tmp_path / "pins.sqlite"), Pins(tmp_path / "pins.sqlite")
    disk.hang()
    pins.keep("nvr", "ab" * 32)
    pins.keep("nvr", "cd" * 32)
    assert pins.get("nvr") == "ab" * 32
    disk.go_on()
    pins.settle()
    other.keep("nvr", "cd" * 32)
    assert other.get("nvr") == "cd" * 32, "until the file is looked at again"
    other.settle()
    assert other.get("nvr") == "ab" * 32, "the first one stays"
    other.keep("door", "ef" * 32)
    other.close()
    pins.settle()
    assert pins.get("door") == "ef" * 32
    pins.close()
    last = Pins(tmp_path / "pins.sqlite")
    assert last.get("nvr") == "ab" * 32
    last.close()


def values(path: Path) -> Behind:
    schema = "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID"

    def write(connection: sqlite3.Connection, key: str, value: str | None) -> None:
        connection.execute("DELETE FROM kept WHERE key = ?", (key,))
        if value is not None:
            connection.execute("INSERT INTO kept VALUES (?, ?)", (key, value))

    return Behind("test", Database(path, schema), "SELECT key, value FROM kept", write)


def test_what_was_put_last_is_what_is_written(tmp_path: Path, disk: Disk) -> None:
    kept = values(tmp_path / "kept.sqlite")
    kept.put("a", "1")
    kept.settle()
    disk.hang()
    for key, value in (("a", "2"), ("b", "2"), ("b", None), ("c", "2"), ("a", "3")):
        kept.put(key, value)
    assert [kept.get(key) for key in "abc"] == ["3", None, "2"]
    disk.go_on()
    kept.close()
    again = values(tmp_path / "kept.sqlite")
    assert [again.get(key) for key in "abc"] == ["3", None, "2"]
    again.close()


def test_what_the_disk_refused_is_written_when_it_no_longer_does(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    kept, holder = values(path), sqlite3.connect(path, isolation_level=None)
    connection = kept._database._connection
    assert connection is not None
    connection.execute("PRAGMA busy_timeout = 10")
    holder.execute("BEGIN IMMEDIATE")
    kept.put("a", "1")
    with pytest.raises(DatabaseError, match="locked"):
        kept.settle()
    assert kept.get("a") == "1"
    holder.execute("ROLLBACK")
    kept.settle()
    assert holder.execute("SELECT value FROM kept").fetchall() == [("1",)]
    holder.execute("UPDATE kept SET value = '2'")
    holder.close()
    kept.settle()
    assert kept.get("a") == "2", "as another process put it"
    kept.close()
    for use in (partial(kept.put, "a", "3"), kept.settle):
        with pytest.raises(DatabaseError, match="is closed"):
            use()
