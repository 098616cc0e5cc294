"""PostgreSQL that says nothing, is slow or is held up: who waits is told in time, and goes on when it is back."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from monitor.api.routes import build_api
from monitor.collector.context import Context
from monitor.collector.settings import Settings
from monitor.model.envelope import MEDIA_TYPE, frame
from monitor.store import patient_connection
from monitor.store.engine import asking, forgets, is_away, open_engine, reading, with_patience, writing
from monitor.store.patience import JOB, REQUEST, UNHURRIED, Patience
from support.centre import Centre, make_centre
from support.databases import BOTH, Emptied, PostgresServer
from support.stalling import StallingLine, stalling

pytestmark = pytest.mark.postgres

SHORT = Patience(statement=30, lock=0.2, silence=0.6, connect=2, ping=0.6, queue=5)
"""Silence alone is to be seen here, and what it costs to wait for another."""
MOST_SECONDS = 10
"""Ample beside these on a busy machine; without them there is no end."""


@contextmanager
def opened(url: str, patience: Patience) -> Iterator[Engine]:
    """Give an engine."""
    engine = open_engine(url, patience=patience)
    try:
        yield engine
    finally:
        engine.dispose()


def name_of(url: str) -> str:
    """Return the name of a database."""
    return str(make_url(url).database)


def ask(engine: Engine, statement: str) -> Any:
    """Run one statement and return what it says."""
    with reading(engine) as session:
        return session.connection().exec_driver_sql(statement).scalar()


def refused(client: TestClient, centre: Centre) -> float:
    """Send a report that is to be told to come again; return the seconds that it took."""
    envelope = centre.agents["wj-0001"].envelope(centre.report().to_bytes())
    began = time.monotonic()
    answer = client.post("/api/v1/reports", content=frame([envelope]), headers={"Content-Type": MEDIA_TYPE})
    assert (answer.status_code, answer.json()["detail"]) == (
        503,
        "the database does not answer or takes nothing now; nothing is acknowledged, try again later",
    )
    assert int(answer.headers["Retry-After"]) > 0
    return time.monotonic() - began


def taken(client: TestClient, centre: Centre) -> bool:
    """Send a report; tell whether it was stored."""
    envelope = centre.agents["wj-0001"].envelope(centre.report().to_bytes())
    answer = client.post("/api/v1/reports", content=frame([envelope]), headers={"Content-Type": MEDIA_TYPE})
    return answer.status_code == 200 and answer.json()["receipts"][0]["status"] == "stored"


def test_a_database_that_vanishes_is_told_in_time_and_used_again_when_it_is_back(
    postgres_server: PostgresServer, emptied: Emptied
) -> None:
    with ExitStack() as stack:
        name = name_of(stack.enter_context(emptied.database()))
        line: StallingLine = stack.enter_context(stalling(postgres_server))
        centre = make_centre(stack.enter_context(opened(line.url(name), SHORT)))
        centre.add()
        client = stack.enter_context(TestClient(build_api(centre.context), raise_server_exceptions=False))
        assert taken(client, centre)
        line.stall()
        assert refused(client, centre) < MOST_SECONDS
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 503
        line.resume()
        assert taken(client, centre), "the first request after it is back is answered"


def test_a_server_process_that_stands_still_in_a_transaction_is_told_in_time(emptied: Emptied) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(emptied.database())
        engine = stack.enter_context(opened(url, SHORT))
        with reading(engine) as session:
            backend = session.connection().exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            os.kill(backend, signal.SIGSTOP)
            stack.callback(os.kill, backend, signal.SIGCONT)
            began = time.monotonic()
            with pytest.raises(OperationalError, match=r"said nothing for 0\.6 s"):
                session.connection().exec_driver_sql("SELECT 1")
            assert time.monotonic() - began < MOST_SECONDS
        assert ask(engine, "SELECT pg_backend_pid()") != backend, "by another connection"


def test_connections_that_the_server_has_closed_are_asked_once_they_lay_idle(
    emptied: Emptied, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(emptied.database())
        engine, other = (stack.enter_context(opened(url, SHORT)) for _ in range(2))
        ended = ask(engine, "SELECT pg_backend_pid()")
        assert ask(other, f"SELECT pg_terminate_backend({ended}, 5000)")
        with pytest.raises(OperationalError):
            ask(engine, "SELECT 1")  # used a moment ago: nobody asked
        ended = ask(engine, "SELECT pg_backend_pid()")
        assert ask(other, f"SELECT pg_terminate_backend({ended}, 5000)")
        monkeypatch.setattr(patient_connection, "TRUSTED_SECONDS", 0.0)
        assert ask(engine, "SELECT pg_backend_pid()") != ended, "nobody notices"


def test_what_was_prepared_stays_so_after_reading_and_who_reads_can_not_write(emptied: Emptied) -> None:
    """Else each statement of a group of reports is planned anew, since the one before it looked up keys."""
    with ExitStack() as stack:
        url = stack.enter_context(emptied.database())
        engine = stack.enter_context(opened(url, REQUEST))
        for _ in range(8):  # psycopg prepares what it has seen five times
            with writing(engine) as session:
                session.connection().exec_driver_sql("SELECT 42")
            ask(engine, "SELECT 1")
        assert ask(engine, "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT 42'") == 1
        with pytest.raises(DBAPIError, match="read-only transaction"):
            ask(engine, "DELETE FROM agent")
        with writing(engine) as session:
            session.connection().exec_driver_sql("DELETE FROM agent")


def test_who_asks_once_holds_no_transaction_and_whoever_comes_next_has_one(emptied: Emptied) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(emptied.database())
        engine = open_engine(url, connections=1)
        stack.callback(engine.dispose)
        found = []
        for _ in range(8):  # psycopg prepares what it has seen five times
            with asking(engine) as session:
                assert session.connection().exec_driver_sql("SELECT 42").scalar_one() == 42
                driver = session.connection().connection.driver_connection
                assert isinstance(driver, patient_connection.PatientConnection)
                found.append(driver.info.transaction_status)
            with writing(engine) as session:
                session.execute(text("DELETE FROM agent"))
                found.append(driver.info.transaction_status)
        assert found == [TransactionStatus.IDLE, TransactionStatus.INTRANS] * 8
        assert ask(engine, "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT 42'") == 1
        with pytest.raises(DBAPIError, match="read-only transaction"):
            ask(engine, "DELETE FROM agent")


def test_who_waits_for_another_ones_lock_is_told_in_time(emptied: Emptied) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(emptied.database())
        centre = make_centre(stack.enter_context(opened(url, SHORT)))
        centre.add()
        client = stack.enter_context(TestClient(build_api(centre.context), raise_server_exceptions=False))
        with writing(centre.context.engine) as session:
            session.connection().exec_driver_sql("SELECT 1 FROM institution FOR UPDATE")
            assert refused(client, centre) < MOST_SECONDS
        assert taken(client, centre)


def test_a_long_statement_is_broken_off_where_somebody_waits_and_nowhere_else(emptied: Emptied) -> None:
    hasty = Patience(statement=0.1, lock=5, silence=10, connect=5, ping=5, queue=5)
    with ExitStack() as stack:
        url = stack.enter_context(emptied.database())
        engine = stack.enter_context(opened(url, hasty))
        backend = ask(engine, "SELECT pg_backend_pid()")
        with pytest.raises(OperationalError, match="statement timeout"):
            ask(engine, "SELECT pg_sleep(5)")
        assert ask(engine, "SELECT pg_backend_pid()") == backend, "the connection is good still"
        command = Context.open(Settings(database_url=url))
        stack.callback(command.engine.dispose)
        job, request = (with_patience(command.engine, patience) for patience in (JOB, REQUEST))
        for found, limit in ((command.engine, "0"), (job, "5min"), (request, "10s")):
            assert ask(found, "SHOW statement_timeout") == limit
            found.dispose()


@pytest.mark.parametrize(
    ("given", "found"),
    [("off", "on"), ("local", "local"), ("remote_write", "remote_write"), ("remote_apply", "remote_apply")],
)
def test_a_commit_is_synced_whatever_the_server_is_set_to(emptied: Emptied, given: str, found: str) -> None:
    """What standbys do beside is the operator's to decide."""
    with ExitStack() as stack:
        url = stack.enter_context(emptied.database())
        with stack.enter_context(opened(url, REQUEST)).begin() as connection:
            connection.exec_driver_sql(f'ALTER DATABASE "{name_of(url)}" SET synchronous_commit = {given}')
        for patience in (REQUEST, JOB, UNHURRIED):
            engine = stack.enter_context(opened(url, patience))
            with writing(engine) as session:
                assert session.connection().exec_driver_sql("SHOW synchronous_commit").scalar_one() == found
            with engine.connect() as connection:
                said = forgets(connection)
            assert [("fsync=off" in item, "synchronous_commit=off" in item) for item in said] == [
                (True, False), *([(False, True)] if given == "off" else [])
            ], "the suite's server syncs nothing"  # fmt: skip


def test_a_host_that_is_gone_is_noticed_by_tcp(postgres_server: PostgresServer, emptied: Emptied) -> None:
    with ExitStack() as stack:
        name = name_of(stack.enter_context(emptied.database()))
        line: StallingLine = stack.enter_context(stalling(postgres_server))
        command = Context.open(Settings(database_url=line.url(name)))
        stack.callback(command.engine.dispose)
        connection = stack.enter_context(command.engine.connect())
        with socket.socket(fileno=os.dup(connection.connection.dbapi_connection.fileno())) as tcp:  # type: ignore[union-attr]  # it is there
            assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
            assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


@pytest.mark.parametrize("database_url", BOTH[1:], indirect=True)
def test_what_the_server_is_set_to_holds_after_a_connection_was_used_to_only_read(database_url: str) -> None:
    engine = open_engine(f"{database_url}&options=-c%20default_transaction_read_only%3Don", connections=1)
    for _ in range(2):
        with pytest.raises(DBAPIError, match="read-only transaction") as refused, writing(engine) as session:
            session.execute(text("CREATE TABLE anything (x int)"))
        assert is_away(refused.value)
        with reading(engine) as session:
            assert session.execute(text("SELECT 1")).scalar_one() == 1
    engine.dispose()
