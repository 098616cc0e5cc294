"""The centre's own keys, shared by all its processes: one for nonces, one that signs what agents are told."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from threading import Lock

from sqlalchemy import Engine

from monitor.model.span import Millis
from monitor.model.suite import PrivateKey
from monitor.store.engine import reading, writing
from monitor.store.keys import add_collector_keys, collector_keys

NONCE, SIGNING = "nonce", "signing"


@dataclass(frozen=True, repr=False)
class OwnKeys:
    """Both keys. Their representation shows nothing of them."""

    nonce: bytes
    signing: PrivateKey


class OwnKeyring:
    """Gives the keys: read once, made by whichever process is the first to need them."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._lock = Lock()
        self._keys: OwnKeys | None = None

    def get(self, engine: Engine, now: Millis) -> OwnKeys:
        """Return the keys of this database."""
        with self._lock:
            if self._keys is None:
                self._keys = _load(engine, now)
            return self._keys


def _load(engine: Engine, now: Millis) -> OwnKeys:
    with reading(engine) as session:
        found = collector_keys(session)
    if not {NONCE, SIGNING} <= found.keys():
        fresh = {NONCE: secrets.token_hex(32), SIGNING: PrivateKey.make().pem().decode("ascii")}
        with writing(engine) as session:
            add_collector_keys(session, fresh, now)
        with reading(engine) as session:
            found = collector_keys(session)
    return OwnKeys(bytes.fromhex(found[NONCE]), PrivateKey.of_pem(found[SIGNING].encode("ascii")))
