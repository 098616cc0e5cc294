"""The collector is told to stop: it ends soon, whatever hangs, and no report that it answered is lost or there twice."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from benchmarks.agent_process import until
from monitor.collector.context import Context
from monitor.store.engine import open_engine
from support.databases import PostgresServer
from support.senders import Sender, sending
from support.served import command_of, serving, workers_of
from support.stalling import stalling

pytestmark = pytest.mark.postgres

MOST_SECONDS = 10
"""Docker's patience, unless it is told otherwise."""


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of an empty database."""
    name = postgres_server.copy()
    yield name
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def context(postgres_server: PostgresServer, database: str) -> Iterator[Context]:
    """What stands beside the collector, over its database."""
    found = Context(open_engine(postgres_server.url(database)))
    yield found
    found.engine.dispose()


@pytest.fixture
def senders(context: Context) -> list[Sender]:
    """Agents that have sent nothing yet."""
    return [Sender.enrolled(context, f"wj-{number}") for number in range(4)]


def take_some(senders: list[Sender]) -> None:
    """Wait until reports of all are taken in; more are on their way."""
    until(lambda: all(len(sender.answered) >= 5 for sender in senders), 40, "reports are taken in")


def test_reports_that_are_on_their_way_are_answered_and_there_or_refused_and_nowhere_twice(
    tmp_path: Path, postgres_server: PostgresServer, database: str, context: Context, senders: list[Sender]
) -> None:
    url = postgres_server.url(database)
    collector = serving(tmp_path, more="workers: 2\n", url=url, evaluate_every="2s")
    with collector as (address, process), sending(senders, address):
        take_some(senders)
        workers = workers_of(process.pid)
        assert len(workers) == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not any(command_of(str(pid)) for pid in workers)
    log = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    quick = "what the database has acknowledged may be lost"  # the tests' PostgreSQL syncs nothing, and is told so
    wrong = [item for item in log if item["level"] in {"warning", "error", "critical"} and item["event"] != quick]
    assert not wrong, "nothing was broken off"
    audit(url, senders, context)


@pytest.mark.long
def test_it_ends_in_time_while_its_database_is_gone(
    tmp_path: Path, postgres_server: PostgresServer, database: str, context: Context, senders: list[Sender]
) -> None:
    with stalling(postgres_server) as line:
        collector = serving(tmp_path, more="workers: 2\n", url=line.url(database), evaluate_every="2s")
        with collector as (address, process), sending(senders, address):
            take_some(senders)
            line.stall()
            told = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert time.monotonic() - told < MOST_SECONDS
        line.resume()
    assert "jobs are broken off" in (tmp_path / "log").read_text()
    audit(postgres_server.url(database), senders, context)


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
