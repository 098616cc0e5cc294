"""What waits for the disk or reckons for long is done beside the loop: in order, to its end, and nobody's watching waits for it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from functools import partial
from pathlib import Path

import pytest

from agents.beside import Beside
from agents.journal import Journal
from agents.run import Service
from agents.state import State
from monitor.model.clock import SystemClock
from monitor.model.observation import Kind
from monitor.model.span import to_millis
from monitor.regulations.loader import load
from support.site import site_of, write_site


async def test_a_piece_is_done_to_its_end_though_nobody_waits_for_it_any_more() -> None:
    beside, begun, go_on, done = Beside("test"), threading.Event(), threading.Event(), list[str]()

    def first() -> None:
        begun.set()
        assert go_on.wait(20)
        done.append("first")

    waiting = asyncio.create_task(beside.do(first))
    await asyncio.to_thread(begun.wait, 20)
    waiting.cancel()
    following = asyncio.create_task(beside.do(partial(done.append, "second")))
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    await following
    assert done == ["first", "second"]
    beside.close()


async def test_a_file_that_a_command_holds_delays_nobody_and_loses_nothing(tmp_path: Path) -> None:
    site = site_of(write_site(tmp_path, []))
    state = State(site.state_dir, site.institution.id, enduring=True)
    service = Service(site, load("demo-nursery"), state, SystemClock())
    service._declare()
    held, let_go, order = threading.Event(), threading.Event(), list[str]()

    def hold(_: sqlite3.Connection) -> None:
        held.set()
        assert let_go.wait(60)

    def give_back() -> None:
        order.append("the loop turned")
        let_go.set()

    command = Journal(site.state_dir / "journal.sqlite")
    holding = asyncio.create_task(asyncio.to_thread(command._database.run, hold))
    await asyncio.to_thread(held.wait, 20)
    keeping = asyncio.create_task(service._keep_job())
    keeping.add_done_callback(lambda _: order.append("kept"))
    asyncio.get_running_loop().call_later(0.1, give_back)
    await keeping
    await holding
    assert order == ["the loop turned", "kept"]
    assert [item.kind for item in command.all(to_millis(service.clock.now()))] == [Kind.INVENTORY]
    assert not len(service.pending.journal)
    command.close()
    await service._last_words()
    state.close()
