"""A connection to PostgreSQL that gives up a server which says nothing any more, as none of TCP's own means does it for sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.waiting import Ready, Wait
from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

from monitor.model.clock import SystemClock
from monitor.store.patience import LINE, Patience

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection

T = TypeVar("T")

_SET = (
    "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false),"
    " set_config('synchronous_commit', CASE now_set WHEN 'off' THEN 'on' ELSE now_set END, false)"
    " FROM current_setting('synchronous_commit') AS now_set"
)
"""What is acknowledged is on the disk, whatever the server, the database or the user is set to: agents delete it then. All other values
than `off` sync it here, and say what standbys do beside, which is the operator's to decide."""

INTERVAL_SECONDS = 0.1
"""So often a wait for the server is looked at."""

TRUSTED_SECONDS = 1.0
"""A connection that was used so long ago, or longer, is asked whether the server is still there before it is used again. SQLAlchemy's own
`pool_pre_ping` asks at each use, which was a twentieth of what a group of reports costs. One that has gone since fails with its first
statement, as it would have a moment later: who asked is told to come again."""


class PatientConnection(psycopg.Connection[Any]):
    """Ends itself when the server says nothing for `silence` seconds while it is asked.

    A server that stands still, or a proxy before one that is gone, goes on taking what is sent: neither TCP nor the server's
    own limits end that.
    """

    silence: float | None = None
    used_at = float("inf")
    """The monotonic second in which it was given back to the pool."""
    _put_off: tuple[tuple[bytes, Sequence[Any]], ...] = ()

    def wait(self, gen: PQGen[T], interval: float = INTERVAL_SECONDS, **more: Any) -> T:  # type: ignore[override]  # the rest is handed on
        """Consume a generator over the connection. Raises OperationalError when the server says nothing for too long."""
        if self._pipeline is not None:
            gen = self._sent(gen)
        found: T = super().wait(
            gen if self.silence is None else self._heard(gen, interval, self.silence), interval, **more
        )
        return found

    def put_off(self, statement: str, values: Sequence[Any]) -> None:
        """Let a statement wait for the transaction's end: what was put off is sent with COMMIT, all in one way there and back.

        What is wrong with it is raised by `commit` then, and nothing is committed.
        """
        self._put_off = (*self._put_off, (statement.encode(), values))

    def commit(self) -> None:
        """End a transaction, after what was put off."""
        if not self._put_off:
            super().commit()
            return
        statements, self._put_off = self._put_off, ()
        with self.pipeline():
            for statement, values in statements:
                self.execute(statement, values)
            super().commit()

    def rollback(self) -> None:
        """End a transaction. One that could only read, and didn't fail, is committed, which comes to the same.

        After a ROLLBACK psycopg has the server forget all that it prepared: each statement was planned anew for every group of reports.
        """
        self._put_off = ()
        if self.read_only and self.pgconn.transaction_status == TransactionStatus.INTRANS:
            self.commit()
        else:
            super().rollback()

    def set_read_only(self, value: bool | None) -> None:
        """Let the next transactions only read, or do what the server lets them.

        SQLAlchemy takes "only read" back by "read and write", which would pass over a server that is set to only read
        (`default_transaction_read_only`): whoever moves a database elsewhere relies on it that nothing more is stored here.
        """
        super().set_read_only(value or None)

    def _sent(self, gen: PQGen[T]) -> PQGen[T]:
        """Pass on what a generator waits for; where it waits to be answered, send on what the line didn't take at once.

        psycopg's pipeline doesn't: beyond what fits into the system's buffers it waits for the answer to what the server never got.
        """
        try:
            waits = next(gen)
            while True:
                unsent = waits == Wait.R and self.pgconn.flush()
                ready = yield Wait.RW if unsent else waits
                if not unsent:
                    waits = gen.send(ready)
                elif ready & Ready.R:
                    waits = gen.send(Ready.R)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _heard(self, gen: PQGen[T], interval: float, most: float) -> PQGen[T]:
        """Pass on what a generator waits for; psycopg sends it nothing (0) each time that an interval went by in silence."""
        silent = 0.0
        try:
            waits = next(gen)
            while True:
                ready = yield waits
                silent = 0.0 if ready else silent + interval
                if silent > most:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the server said nothing for {most:g} s")
                waits = gen.send(ready)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def wait_as_told(engine: Engine, patience: Patience) -> None:
    """Let an engine over PostgreSQL wait for its server as `patience` says."""
    clock = SystemClock()

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, _given: object, options: Mapping[str, Any]) -> PatientConnection:
        found = PatientConnection.connect(**{**LINE, "connect_timeout": patience.connect, **options}, autocommit=True)
        found.silence = patience.ping
        limits = (_milliseconds(patience.statement), _milliseconds(patience.lock))
        # By a statement, not as an option of the connection: PgBouncer refuses those that it doesn't know.
        found.execute(_SET, limits)
        found.autocommit = False
        found.silence = patience.silence
        return found

    @event.listens_for(engine, "checkin")  # codespell:ignore
    def rest(connection: PatientConnection | None, _record: object) -> None:
        if connection is not None:  # it was found to be gone
            connection.used_at = clock.monotonic()

    @event.listens_for(engine, "checkout")
    def work(connection: PatientConnection, _record: object, _proxy: object) -> None:
        if clock.monotonic() - connection.used_at >= TRUSTED_SECONDS:
            connection.silence = patience.ping
            try:
                engine.dialect.do_ping(cast("DBAPIConnection", connection))
            except psycopg.Error:
                raise InvalidatePoolError from None  # with this one all go, and the pool connects anew
        connection.silence = patience.silence


def _milliseconds(seconds: float | None) -> str:
    return str(int((seconds or 0) * 1000))  # 0 is for ever
