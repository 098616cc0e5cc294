"""What every use case of the centre needs, put together once for a process."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sqlalchemy import Engine

from monitor.collector.own_keys import OwnKeyring, OwnKeys, signing_key
from monitor.collector.packs import Packs
from monitor.collector.settings import Settings
from monitor.model.clock import Clock, SystemClock
from monitor.model.kept import KeptIndexes
from monitor.model.span import Millis, to_millis
from monitor.model.suite import PrivateKey
from monitor.store.engine import MOST_CONNECTIONS, open_engine, with_patience
from monitor.store.patience import UNHURRIED, Patience


@dataclass(frozen=True)
class Context:
    """The database, the clock, the settings and the packs. It holds no state of its own: any number run side by side.

    What it keeps was read already, and is found by its content alone.
    """

    engine: Engine
    clock: Clock = field(default_factory=SystemClock)
    settings: Settings = field(default_factory=Settings)
    packs: Packs = field(default_factory=Packs)
    keyring: OwnKeyring = field(default_factory=OwnKeyring, repr=False, compare=False)
    kept: KeptIndexes = field(default_factory=KeptIndexes, repr=False, compare=False)

    @classmethod
    def open(
        cls,
        settings: Settings,
        clock: Clock | None = None,
        connections: int = MOST_CONNECTIONS,
        patience: Patience = UNHURRIED,
    ) -> Context:
        """Put a context together from settings; the database, of which it holds so many `connections`, is not contacted yet."""
        engine = open_engine(settings.database_url, connections, patience)
        return cls(engine, clock or SystemClock(), settings, Packs(settings.pack_dirs))

    def within(self, patience: Patience) -> Context:
        """Return the same whose statements may take so long on PostgreSQL."""
        return replace(self, engine=with_patience(self.engine, patience))

    def now(self) -> Millis:
        """Return the clock's wall time in UTC milliseconds."""
        return to_millis(self.clock.now())

    def keys(self) -> OwnKeys:
        """Return the centre's key of nonces."""
        return self.keyring.get(self.engine, self.now())

    def signing(self) -> PrivateKey:
        """Return the key that signs what agents are told, as it is now."""
        return signing_key(self.engine, self.now())
