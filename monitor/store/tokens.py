"""Secrets that the centre hands out and keeps only as hashes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

SECRET_BYTES = 32


def new_secret() -> str:
    """Return 256 random bits as a word that can stand in a header, a cookie and a shell."""
    return secrets.token_urlsafe(SECRET_BYTES)


def new_code() -> str:
    """Return a one-time code for people to type: 80 random bits in four groups, without letters that look alike."""
    word = base64.b32encode(secrets.token_bytes(10)).decode()
    return "-".join(word[index : index + 4] for index in range(0, 16, 4))


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret in hexadecimal. Ours are random: they need no slow hash, passwords do."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def same_hash(secret: str, kept: str) -> bool:
    """Compare a secret with a kept hash in a time that tells nothing."""
    return hmac.compare_digest(hash_secret(secret), kept)
