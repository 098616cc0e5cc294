"""Signatures written by hand from RFC 7515 and RFC 7797: for forgeries, and to check what the product wrote."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def decode(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def header_of(envelope: bytes) -> dict[str, Any]:
    """Return an envelope's header, unchecked."""
    value: dict[str, Any] = json.loads(decode(envelope.split(b".", 1)[0]))
    return value


def signed(header: Any, payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return HEADER..SIGNATURE, whatever the header says."""
    first = encode(json.dumps(header).encode())
    return first + b".." + encode(key.sign(first + b"." + payload))


def envelope(header: Any, payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return an envelope, whatever its header says."""
    return signed(header, payload, key) + b"\n" + payload


def check(text: bytes, payload: bytes, key: Ed25519PublicKey) -> None:
    """Raises cryptography's InvalidSignature unless the key signed this."""
    first, _, last = text.partition(b"..")
    key.verify(decode(last), first + b"." + payload)
