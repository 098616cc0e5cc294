"""Nonces: what carries one was written after the moment at which the centre gave it. Nothing is stored for them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from monitor.model.span import Millis

_TIME, _RANDOM, _TAG = 6, 16, 16


def new_nonce(key: bytes, institution: str, agent: str, now: Millis) -> str:
    """Return a nonce for one agent: the moment, 128 random bits, and a tag by a key that no one else has."""
    body = now.to_bytes(_TIME, "big") + secrets.token_bytes(_RANDOM)
    return base64.urlsafe_b64encode(body + _tag(key, institution, agent, body)).rstrip(b"=").decode("ascii")


def nonce_moment(key: bytes, institution: str, agent: str, nonce: str) -> Millis | None:
    """Return when the centre gave a nonce to this agent; None when it never did. The same on all its processes."""
    try:
        data = base64.b64decode(nonce + "=" * (-len(nonce) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    body, tag = data[: _TIME + _RANDOM], data[_TIME + _RANDOM :]
    good = len(tag) == _TAG and hmac.compare_digest(tag, _tag(key, institution, agent, body))
    return int.from_bytes(body[:_TIME], "big") if good else None


def _tag(key: bytes, institution: str, agent: str, body: bytes) -> bytes:
    text = body + f"{institution}/{agent}".encode()
    return hmac.new(key, text, hashlib.sha256).digest()[:_TAG]
