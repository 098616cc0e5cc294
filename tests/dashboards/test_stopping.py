"""The collector is told to stop: it ends soon, whatever hangs, and no report that it answered is lost or there twice."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psycopg
import pytest

from benchmarks.agent_process import until
from monitor.collector.context import Context
from monitor.store.engine import open_engine
from support.databases import PostgresServer
from support.senders import Sender, sending
from support.served import serving
from support.stalling import stalling

MOST_SECONDS = 10
"""Docker's patience, unless it is told otherwise."""


@pytest.mark.postgres
def test_it_ends_in_time_while_its_database_is_gone(tmp_path: Path, postgres_server: PostgresServer) -> None:
    database = postgres_server.copy()
    context = Context(open_engine(postgres_server.url(database)))
    senders = [Sender.enrolled(context, f"wj-{number}") for number in range(4)]
    with stalling(postgres_server) as line:
        collector = serving(tmp_path, more="workers: 2\n", url=line.url(database))
        with collector as (address, process), sending(senders, address):
            until(lambda: all(len(sender.answered) >= 3 for sender in senders), 40, "reports are taken in")
            line.stall()
            told = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert time.monotonic() - told < MOST_SECONDS
        line.resume()
    assert "jobs are broken off" in (tmp_path / "log").read_text()
    audit(postgres_server.url(database), senders, context)
    context.engine.dispose()
    postgres_server.execute(f"DROP DATABASE {database} WITH (FORCE)")


def audit(url: str, senders: list[Sender], context: Context) -> None:
    """What was answered is there; what wasn't is taken, or there already; everything once."""
    for sender in senders:
        assert set(sender.answered) == {"stored"}
        assert len(sender.made) == len(sender.answered) + 1, "one was on its way"
        assert set(range(1, len(sender.answered) + 1)) <= set(stored(url, sender))
        assert set(sender.send_rest(context)) <= {"stored", "already have it"}
        assert stored(url, sender) == list(range(1, len(sender.made) + 1))


def stored(url: str, sender: Sender) -> list[int]:
    """Read the numbers of an agent's reports as plain rows."""
    with psycopg.connect(url) as connection:
        asked = "SELECT sequence FROM report WHERE institution_id = %s ORDER BY sequence"
        return [number for (number,) in connection.execute(asked, (sender.agent.institution,))]
