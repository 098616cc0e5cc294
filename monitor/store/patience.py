"""How long PostgreSQL is waited for, by who waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Seconds; None is for ever."""

    statement: float | None
    """The server breaks a statement off after so long."""
    lock: float
    """The server breaks a statement off that waits so long for what another one holds."""
    silence: float | None
    """A server that says nothing for so long while it is asked is taken for gone: longer than `statement`."""
    connect: int
    """Until a connection is there."""
    ping: float
    """Until a connection that nobody used shows that it is good still."""
    queue: float
    """Until one of this process's connections is free."""


REQUEST = Patience(statement=10, lock=8, silence=15, connect=5, ping=5, queue=10)
"""Of who is asked over HTTP: an agent gives up after 60 s, a person sooner."""
JOB = Patience(statement=300, lock=30, silence=310, connect=10, ping=10, queue=30)
"""Of what the collector does by itself; it comes again."""
UNHURRIED = Patience(statement=None, lock=30, silence=None, connect=30, ping=30, queue=30)
"""Of commands, where somebody looks on: a migration or a check may take hours. A host that is gone is noticed all the same."""

LINE = {
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""What libpq asks of TCP: a host that is gone is noticed within 30 s (the last in milliseconds)."""
