"""The credential breaker: a refused login isn't repeated, over protocols, processes, restarts and kills."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import sqlite3
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.breaker import Breaker, LoginHeld
from agents.rtsp import AddressBook, Deadlines, Login, StreamError, StreamRequest, open_stream
from monitor.model.clock import ManualClock, SystemClock
from monitor.model.observation import StreamCause
from support.rtsp_device import Asked, Device, serve

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
HOST = "192.0.2.10"
LOOPBACK = AddressBook([ipaddress.ip_network("127.0.0.0/8")])
SHORT = Deadlines(connect=1, answer=1, total=4, first_frame=1, stall=1, teardown=0.3)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW, 1000.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "breaker.sqlite"


class PatientClock(SystemClock):
    """A clock that tells when somebody began to wait by it."""

    def __init__(self) -> None:
        self.waited = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.waited.set()
        await super().sleep(seconds)


async def try_login(breaker: Breaker, right: bool | None, password: str = "s3cret", host: str = HOST) -> bool:
    """Try; return whether credentials went out. `right` None: nobody knows the outcome."""
    try:
        async with breaker.attempt(host, "viewer", password) as attempt:
            await asyncio.sleep(0)
            if right is not None:
                (attempt.accepted if right else attempt.refused)()
    except LoginHeld:
        return False
    return True


async def test_a_refusal_holds_for_a_day_over_restarts(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    assert await try_login(breaker, right=False)
    sent = [await try_login(breaker, right=False) for _ in range(5)]
    breaker.close()
    for _ in range(10):
        clock.advance(60)
        breaker = Breaker(path, clock)
        sent += await asyncio.gather(*(try_login(breaker, right=False) for _ in range(16)))
        breaker.close()
    assert not any(sent)
    clock.advance(24 * 3600)
    breaker = Breaker(path, clock)
    assert sum(await asyncio.gather(*(try_login(breaker, right=False) for _ in range(16)))) == 1
    breaker.close()


async def test_sixteen_channels_at_once_send_one_wrong_login(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    assert sum(await asyncio.gather(*(try_login(breaker, right=False) for _ in range(16)))) == 1
    breaker.close()


async def test_after_an_accepted_login_the_others_run_side_by_side(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    inside, all_inside = 0, asyncio.Event()

    async def log_in() -> None:
        nonlocal inside
        async with breaker.attempt(HOST, "viewer", "s3cret") as attempt:
            inside += 1
            if inside == 15:
                all_inside.set()
            await all_inside.wait()
            attempt.accepted()
            inside -= 1

    assert await try_login(breaker, right=True)
    async with asyncio.timeout(30):
        await asyncio.gather(*(log_in() for _ in range(15)))
    clock.advance(60)
    most = 0

    async def log_in_alone() -> None:
        nonlocal inside, most
        async with breaker.attempt(HOST, "viewer", "s3cret") as attempt:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            attempt.accepted()
            inside -= 1

    await asyncio.gather(log_in_alone(), log_in_alone())
    assert most == 1  # a minute later the password may have been changed: one goes first again
    breaker.close()


async def test_another_password_is_a_persons_retry_and_an_old_one_stays_held(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    assert await try_login(breaker, right=False, password="old")
    assert await try_login(breaker, right=False, password="new")
    assert not await try_login(breaker, right=False, password="old")
    assert not await try_login(breaker, right=False, password="new")
    breaker.close()


async def test_a_person_clears_it_from_another_process(path: Path, clock: ManualClock) -> None:
    service, command = Breaker(path, clock), Breaker(path, clock)
    assert await try_login(service, right=False)
    await service._beside.do(lambda: None)  # by then it is written
    assert [(hold.host, hold.user) for hold in command.held()] == [(HOST, "viewer")]
    assert command.retry("192.0.2.99") == 0
    assert command.retry(HOST, "viewer") == 1
    assert await try_login(service, right=True)
    assert command.held() == []
    service.close()
    command.close()


async def test_hosts_and_users_are_apart_and_spellings_are_not(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    assert await try_login(breaker, right=False, host="2001:db8::1")
    assert not await try_login(breaker, right=False, host="2001:DB8:0::1")
    assert await try_login(breaker, right=True, host="192.0.2.11")
    breaker.close()


async def test_what_is_held_says_so_in_a_sentence_without_the_password(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    await try_login(breaker, right=False)
    with pytest.raises(LoginHeld) as caught:
        async with breaker.attempt(HOST, "viewer", "s3cret"):
            pass
    assert str(caught.value) == (
        "the login of 'viewer' at 192.0.2.10 is held: the device refused it; correct the password or run agent "
        "check --retry-credentials, else it is tried again after 2026-11-24 04:00 UTC"
    )
    breaker.close()


async def test_a_right_missing_on_one_channel_does_not_stop_a_proven_login(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    async with breaker.attempt(HOST, "viewer", "s3cret") as attempt:
        attempt.accepted()
    async with breaker.attempt(HOST, "viewer", "s3cret") as attempt:
        attempt.forbidden()
    assert await try_login(breaker, right=True)
    async with breaker.attempt(HOST, "viewer", "unproven") as attempt:
        attempt.forbidden()
    assert not await try_login(breaker, right=True, password="unproven")
    breaker.close()


async def test_a_late_refusal_of_an_accepted_login_counts(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    async with breaker.attempt(HOST, "viewer", "s3cret") as attempt:
        attempt.accepted()
    attempt.refused()
    assert not await try_login(breaker, right=True)
    breaker.close()


async def test_unanswered_logins_are_spaced_out(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    assert [await try_login(breaker, right=None) for _ in range(5)] == [True, True, True, False, False]
    clock.advance(10 * 60)
    assert [await try_login(breaker, right=None) for _ in range(2)] == [True, False]
    clock.advance(10 * 60)
    assert await try_login(breaker, right=True)
    assert all([await try_login(breaker, right=None) for _ in range(9)])
    breaker.close()


async def test_an_unclear_answer_changes_nothing(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    for _ in range(9):
        async with breaker.attempt(HOST, "viewer", "s3cret") as attempt:
            attempt.unclear()
    breaker.close()


async def begin_and_die(path: Path, clock: ManualClock) -> bool:
    """Begin an attempt in a breaker that never hears its outcome, as after kill -9."""
    breaker = Breaker(path, clock)
    manager = breaker.attempt(HOST, "viewer", "s3cret")
    try:
        await manager.__aenter__()
    except LoginHeld:
        return False
    finally:
        breaker._database.close()
    KILLED.append(manager)
    return True


KILLED: list[object] = []
"""Kept, so that no finaliser runs their end."""


async def test_kills_in_mid_login_cost_a_new_password_one_try_then_ten_minutes_then_a_day(
    path: Path, clock: ManualClock
) -> None:
    assert await begin_and_die(path, clock)
    for _ in range(10):
        clock.advance(30)
        assert not await begin_and_die(path, clock)
    clock.advance(5 * 60 + 1)
    assert await begin_and_die(path, clock)
    clock.advance(3600)
    assert not await begin_and_die(path, clock)
    clock.advance(23 * 3600)
    assert await begin_and_die(path, clock)


async def test_a_kill_in_mid_login_does_not_hold_a_password_that_was_right(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    assert await try_login(breaker, right=True)
    breaker.close()
    clock.advance(100)
    assert await begin_and_die(path, clock)
    clock.advance(5)
    breaker = Breaker(path, clock)
    assert await try_login(breaker, right=True)
    breaker.close()


async def test_clock_steps_neither_end_a_hold_nor_prolong_it(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    await try_login(breaker, right=False)
    clock.step(10 * 24 * 3600)
    assert not await try_login(breaker, right=False)
    clock.step(-20 * 24 * 3600)
    assert not await try_login(breaker, right=False)
    breaker.close()
    breaker = Breaker(path, clock)
    clock.advance(23 * 3600)
    assert not await try_login(breaker, right=False)
    clock.advance(24 * 3600)
    assert await try_login(breaker, right=False)
    breaker.close()


async def test_another_process_in_mid_login_is_waited_for(path: Path) -> None:
    patient = PatientClock()
    one, two = Breaker(path, SystemClock()), Breaker(path, patient)
    async with one.attempt(HOST, "viewer", "s3cret") as attempt:
        waiting = asyncio.create_task(try_login(two, right=False))
        await patient.waited.wait()
        assert not waiting.done()
        attempt.refused()
    assert await waiting is False
    one.close()
    two.close()


async def test_without_a_durable_record_nothing_is_sent(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    connection = breaker._database._connection
    assert connection is not None
    connection.execute("PRAGMA busy_timeout = 10")
    assert not await try_login(breaker, right=True)
    blocker.execute("ROLLBACK")
    blocker.close()
    assert await try_login(breaker, right=True)
    breaker.close()


async def test_an_outcome_that_cannot_be_written_down_holds_the_login(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    connection = breaker._database._connection
    assert connection is not None
    connection.execute("PRAGMA busy_timeout = 10")
    blocker = sqlite3.connect(path, isolation_level=None)
    async with breaker.attempt(HOST, "viewer", "s3cret") as attempt:
        blocker.execute("BEGIN IMMEDIATE")
        attempt.refused()
        await breaker._beside.do(lambda: None)  # by then it was tried
    blocker.execute("ROLLBACK")
    blocker.close()
    assert not await try_login(breaker, right=False)
    assert [hold.reason for hold in breaker.held()] == ["the last try was cut off before its outcome was known"]
    breaker.close()


@pytest.fixture
def damaged(path: Path) -> Path:
    path.write_bytes(b"this is no database" * 500)
    return path


async def test_a_damaged_file_is_set_aside_and_stops_nothing(damaged: Path, clock: ManualClock) -> None:
    path = damaged
    breaker = Breaker(path, clock)
    assert await try_login(breaker, right=False)
    breaker.close()
    breaker = Breaker(path, clock)
    assert not await try_login(breaker, right=False)
    breaker.close()


async def test_a_cancelled_wait_leaves_the_turn_to_the_next(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    async with breaker.attempt(HOST, "viewer", "s3cret") as attempt:
        waiting = asyncio.create_task(try_login(breaker, right=True))
        for _ in range(10):  # turns of the loop: the password's digest is known, so the lock is asked for at once
            await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        attempt.accepted()
    assert await try_login(breaker, right=True)
    breaker.close()


def test_the_file_is_private_and_holds_no_password(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    asyncio.run(try_login(breaker, right=False))
    breaker.close()
    assert b"s3cret" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0


def test_old_rows_are_forgotten(path: Path, clock: ManualClock) -> None:
    breaker = Breaker(path, clock)
    asyncio.run(try_login(breaker, right=False))
    breaker.close()
    clock.advance(timedelta(days=61).total_seconds())
    breaker = Breaker(path, clock)
    count = breaker._database.run(lambda connection: connection.execute("SELECT count(*) FROM login").fetchone())
    assert count == (0,)
    breaker.close()


async def open_channel(device: Device, breaker: Breaker, channel: int, password: str) -> StreamCause | None:
    request = StreamRequest(device.url(f"/live/{channel}"), Login("viewer", password))
    try:
        stream = await open_stream(request, LOOPBACK, SHORT, clock=SystemClock(), breaker=breaker)
    except StreamError as error:
        return error.cause
    await stream.close()
    return None


async def test_sixteen_rtsp_channels_a_wrong_password_ten_restarts_one_failed_login(path: Path) -> None:
    causes: list[StreamCause | None] = []
    async with serve(Device("viewer", "other")) as device:
        for _ in range(10):
            breaker = Breaker(path, SystemClock())
            causes += await asyncio.gather(*(open_channel(device, breaker, n, "s3cret") for n in range(16)))
            breaker.close()
        assert device.failed_logins == 1
    assert causes.count(StreamCause.UNAUTHORIZED) == 1
    assert causes.count(StreamCause.CREDENTIALS_HELD) == 159


async def test_sixteen_rtsp_channels_with_the_right_password_all_open(path: Path) -> None:
    async with serve(Device("viewer", "s3cret")) as device:
        breaker = Breaker(path, SystemClock())
        assert set(await asyncio.gather(*(open_channel(device, breaker, n, "s3cret") for n in range(16)))) == {None}
        breaker.close()
        assert device.failed_logins == 0


CHILD = """
import asyncio, ipaddress, sys
from pathlib import Path
from agents.breaker import Breaker
from agents.rtsp import AddressBook, Login, StreamRequest, open_stream
from monitor.model.clock import SystemClock

async def main():
    clock = SystemClock()
    breaker = Breaker(Path(sys.argv[1]), clock)
    book = AddressBook([ipaddress.ip_network("127.0.0.0/8")])
    request = lambda n: StreamRequest(f"{sys.argv[2]}/{n}", Login("viewer", "wrong"))
    opening = (open_stream(request(n), book, clock=clock, breaker=breaker) for n in range(16))
    await asyncio.gather(*opening, return_exceptions=True)

asyncio.run(main())
"""


async def test_agents_killed_when_the_credentials_arrive_cost_one_failed_login(path: Path) -> None:
    """The device kills the agent the moment it has the wrong password, before it answers: the worst instant."""
    agents: list[asyncio.subprocess.Process] = []
    device = Device("viewer", "other")

    async def kill(_: Device, asked: Asked, __: asyncio.StreamWriter) -> bool:
        if "Authorization" in asked.headers:
            os.kill(agents[-1].pid, signal.SIGKILL)
        return True

    device.override = kill
    root = Path(__file__).parents[2]
    async with serve(device):
        for _ in range(4):
            command = [sys.executable, "-c", CHILD, str(path), device.url("/live")]
            agents.append(await asyncio.create_subprocess_exec(*command, cwd=root))
            async with asyncio.timeout(30):
                await agents[-1].wait()
        assert device.failed_logins == 1
    assert agents[0].returncode == -signal.SIGKILL
