"""The centre's own keys, shared by all its processes: one for nonces, one that signs what agents are told."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from threading import Lock

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from monitor.model.handover import MOST, Handover, hand_over
from monitor.model.span import Millis
from monitor.model.suite import PrivateKey, PublicKey
from monitor.store.engine import reading, writing
from monitor.store.keys import add_collector_keys, collector_keys, hold_collector_keys, replace_collector_key

NONCE, SIGNING = "nonce", "signing"
_HANDOVER = "handover-"


class RotationError(ValueError):
    """A key that can't be replaced; the sentence says why."""


@dataclass(frozen=True, repr=False)
class OwnKeys:
    """The key of nonces, which never changes. Its representation shows nothing of it."""

    nonce: bytes


class OwnKeyring:
    """Gives the keys, made by whichever process is the first to need them."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._lock = Lock()
        self._keys: OwnKeys | None = None

    def get(self, engine: Engine, now: Millis) -> OwnKeys:
        """Return the key of nonces of this database: read once."""
        with self._lock:
            if self._keys is None:
                self._keys = OwnKeys(bytes.fromhex(_load(engine, now)[NONCE]))
            return self._keys


def stored_nonce_key(session: Session) -> bytes:
    """Return the key of nonces as it is stored: empty where none is, or none that can be read. Nothing is made."""
    try:
        return bytes.fromhex(collector_keys(session).get(NONCE, ""))
    except ValueError:
        return b""


def signing_key(engine: Engine, now: Millis) -> PrivateKey:
    """Return the key that signs what agents are told: read each time, as another process may have replaced it."""
    return _private(_load(engine, now))


def rotate_signing_key(engine: Engine, now: Millis) -> tuple[PublicKey, PublicKey]:
    """Put a new signing key in the place of the old one, which signs that; return both public halves.

    The old private key is gone afterwards. Raises RotationError.
    """
    _load(engine, now)
    with writing(engine) as session:
        found = hold_collector_keys(session)
        old, new = _private(found), PrivateKey.make()
        count = sum(name.startswith(_HANDOVER) for name in found)
        if count >= MOST:
            raise RotationError(f"this collector's key was replaced {MOST} times; agents can't follow more")
        replace_collector_key(session, SIGNING, new.pem().decode("ascii"), now)
        statement = hand_over(old, new.public, now).model_dump_json()
        add_collector_keys(session, {f"{_HANDOVER}{count + 1:04d}": statement}, now)
    return old.public, new.public


def handovers(session: Session) -> tuple[Handover, ...]:
    """Return how the signing key was handed over since the first one, the oldest first."""
    found = sorted(item for item in collector_keys(session).items() if item[0].startswith(_HANDOVER))
    return tuple(Handover.model_validate_json(value) for _, value in found)


def _private(found: dict[str, str]) -> PrivateKey:
    return PrivateKey.of_pem(found[SIGNING].encode("ascii"))


def _load(engine: Engine, now: Millis) -> dict[str, str]:
    with reading(engine) as session:
        found = collector_keys(session)
    if not {NONCE, SIGNING} <= found.keys():
        fresh = {NONCE: secrets.token_hex(32), SIGNING: PrivateKey.make().pem().decode("ascii")}
        with writing(engine) as session:
            add_collector_keys(session, fresh, now)
        with reading(engine) as session:
            found = collector_keys(session)
    return found
