"""How a collector's key gives way to the next one: each statement is signed by the key before, and agents follow them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, ValidationError

from monitor.model import jws
from monitor.model.envelope import KeyId
from monitor.model.inventory import Strict
from monitor.model.jws import SignatureError
from monitor.model.span import Millis
from monitor.model.suite import BadKey, PrivateKey, PublicKey

PATH = "/api/v1/handovers"
MOST = 1000
"""So many of one collector at the most: rotation is for people's hands."""


class Handover(Strict):
    """A statement as it travels: a detached signature, and the exact text that it is over."""

    signature: str = Field(max_length=jws.MAX_HEADER_BYTES + 200)
    statement: str = Field(max_length=1000)


class Handovers(Strict):
    """All statements of a collector, the oldest first."""

    handovers: tuple[Handover, ...] = Field(max_length=MOST)


class _Header(Strict):
    alg: str
    dig: str
    b64: Literal[False]
    crit: list[str]
    typ: Literal["cradlewatch-handover"]
    kid: KeyId


class _Statement(Strict):
    key: dict[str, str]
    at: Millis


def hand_over(old: PrivateKey, new: PublicKey, at: Millis) -> Handover:
    """Return the old key's statement that the new one takes its place at an instant (UTC ms)."""
    statement = _Statement(key=new.jwk, at=at).model_dump_json()
    signature = jws.sign({"typ": "cradlewatch-handover", "kid": old.public.id}, statement.encode(), old)
    return Handover(signature=signature.decode("ascii"), statement=statement)


def follow(pinned: PublicKey, handovers: Iterable[Handover]) -> PublicKey:
    """Return the key that a pinned one was handed over to, in however many steps; itself where it was to none.

    A statement counts only by the signature of the key that it hands over from. Raises SignatureError: one that is
    reached isn't signed so or can't be read, a key handed over to two, or a key comes back.
    """
    by_key: dict[str, list[Handover]] = {}
    for item in handovers:
        by_key.setdefault(_key_id(item), []).append(item)
    key, passed = pinned, {pinned.id}
    while found := by_key.get(key.id):
        after = {_read(item, key).id: _read(item, key) for item in found}
        if len(after) > 1:
            raise SignatureError("handover", "the collector's key was handed over to two others")
        (key,) = after.values()
        if key.id in passed:
            raise SignatureError("handover", "the collector's key was handed back to an earlier one")
        passed.add(key.id)
    return key


def _key_id(item: Handover) -> str:
    """Return by which key a statement says that it is signed; nothing of it is proved yet."""
    return str(_signed(item).header.get("kid"))


def _signed(item: Handover) -> jws.Signed:
    try:
        return jws.read(item.signature.encode("ascii"), item.statement.encode())
    except UnicodeEncodeError:
        raise SignatureError("form", "the hand-over's signature can't be read") from None


def _read(item: Handover, key: PublicKey) -> PublicKey:
    signed = _signed(item)
    signed.verify(key)
    try:
        _Header.model_validate(signed.header)
        return PublicKey.of(_Statement.model_validate_json(item.statement).key)
    except (ValidationError, BadKey):
        raise SignatureError("handover", "a hand-over of the collector's key can't be read") from None
