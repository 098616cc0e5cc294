"""The centre's own keys, shared by all its processes: one for nonces, one that signs what agents are told."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from threading import Lock

import structlog
from pydantic import ValidationError
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from monitor.model.handover import MOST, Handover, hand_over
from monitor.model.span import Millis
from monitor.model.suite import BadKey, PrivateKey, PublicKey
from monitor.store.engine import reading, writing
from monitor.store.keys import add_collector_keys, collector_keys, hold_collector_keys, replace_collector_key

log = structlog.get_logger(__name__)

NONCE, SIGNING = "nonce", "signing"
_HANDOVER = "handover-"


_NONCE_BYTES = 32
_WITHOUT = {
    NONCE: "stop the collector and delete the row: a new key is made, sites tell anew what waits there, and `cradlewatch collector"
    " verify` says of each report of before that its moment is not that of its nonce",
    SIGNING: "delete the row: a new key is made, and every agent has to be enrolled again",
    _HANDOVER: "delete the row: agents that haven't followed that replacement yet have to be enrolled again",
}
"""What to do about a row of which there is no backup."""


class RotationError(ValueError):
    """A key that can't be replaced; the sentence says why."""


class OwnKeyError(ValueError):
    """One of the centre's own keys that can't be read; the sentence names its row and says what to do."""

    def __init__(self, name: str) -> None:
        """Name the row; its value is a secret."""
        self.name = name
        without = _WITHOUT[_HANDOVER if name.startswith(_HANDOVER) else name]
        super().__init__(
            f"the row {name} of the table collector_key can't be read: somebody edited it, or a disk spoilt it; put its value"
            f" back from a backup of the database; without one {without}"
        )


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
        """Return the key of nonces of this database: read once. Raises OwnKeyError."""
        with self._lock:
            if self._keys is None:
                self._keys = OwnKeys(_nonce_key(_load(engine, now)))
            return self._keys

    @property
    def is_read(self) -> bool:
        """Tell whether this process has the key already: it goes on with it, whatever becomes of its row."""
        return self._keys is not None


def stored_nonce_key(session: Session) -> bytes | None:
    """Return the key of nonces as it is stored: empty where none is, None where it can't be read. Nothing is made."""
    found = collector_keys(session)
    try:
        return _nonce_key(found) if NONCE in found else b""
    except OwnKeyError:
        return None


def unreadable_keys(session: Session) -> list[OwnKeyError]:
    """Return what is wrong with the rows of the centre's own keys that can't be read."""
    wrong = []
    for name, value in sorted(collector_keys(session).items()):
        try:
            if name == NONCE:
                _nonce_key({name: value})
            elif name == SIGNING:
                _private({name: value})
            elif name.startswith(_HANDOVER):
                _handover(name, value)
        except OwnKeyError as error:
            wrong.append(error)
    return wrong


def signing_key(engine: Engine, now: Millis) -> PrivateKey:
    """Return the key that signs what agents are told: read each time, as another process may have replaced it.

    Raises OwnKeyError.
    """
    return _private(_load(engine, now))


def rotate_signing_key(engine: Engine, now: Millis) -> tuple[PublicKey, PublicKey]:
    """Put a new signing key in the place of the old one, which signs that; return both public halves.

    The old private key is gone afterwards. Raises RotationError, OwnKeyError.
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
    """Return how the signing key was handed over since the first one, the oldest first.

    Without a step that can't be read: who needs it can't follow any more, the others can.
    """
    steps = []
    for name, value in sorted(collector_keys(session).items()):
        if name.startswith(_HANDOVER):
            try:
                steps.append(_handover(name, value))
            except OwnKeyError as error:
                log.warning("a replacement of the collector's key is not told", reason=str(error))
    return tuple(steps)


def _handover(name: str, value: str) -> Handover:
    try:
        return Handover.model_validate_json(value)
    except ValidationError:
        raise OwnKeyError(name) from None


def _nonce_key(found: dict[str, str]) -> bytes:
    try:
        key = bytes.fromhex(found[NONCE])
    except ValueError:
        raise OwnKeyError(NONCE) from None
    if len(key) != _NONCE_BYTES:  # a shorter one could be guessed
        raise OwnKeyError(NONCE)
    return key


def _private(found: dict[str, str]) -> PrivateKey:
    try:
        return PrivateKey.of_pem(found[SIGNING].encode("ascii"))
    except (BadKey, UnicodeEncodeError):
        raise OwnKeyError(SIGNING) from None


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
