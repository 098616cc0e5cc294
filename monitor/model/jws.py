"""JSON Web Signatures (RFC 7515) over bytes that travel beside them (RFC 7797), by allowed algorithms alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from joserfc.errors import JoseError
from joserfc.jws import (
    CompactSignature,
    JWSRegistry,
    extract_compact,
    serialize_compact,
    validate_compact,
)

from monitor.model.suite import SUITES, PrivateKey, PublicKey, suite_of

MAX_HEADER_BYTES = 2048
"""Of a header as it travels. Ours have some 700."""
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
_FIXED = {"b64": False, "crit": ["b64"]}


class SignatureError(ValueError):
    """Bytes that no allowed signature vouches for; the sentence says why. `reason` is the word that metrics count."""

    def __init__(self, reason: str, text: str) -> None:
        """Keep the word and the sentence."""
        super().__init__(text)
        self.reason = reason


class _Registry(JWSRegistry):
    max_header_length = MAX_HEADER_BYTES
    max_payload_length = MAX_PAYLOAD_BYTES
    max_signature_length = 192


@lru_cache
def _registry_of(algorithms: tuple[str, ...]) -> _Registry:
    return _Registry(algorithms=list(algorithms), strict_check_header=False)


def _registry() -> _Registry:
    return _registry_of(tuple(name for name, _ in SUITES))


class Signed:
    """A detached signature that was read, not verified yet."""

    def __init__(self, signature: CompactSignature) -> None:
        """Take what the library read."""
        self._signature = signature
        self.header: dict[str, Any] = signature.protected

    def verify(self, key: PublicKey) -> None:
        """Raises SignatureError unless the key signed these very bytes."""
        suite = suite_of(self.header.get("alg"), self.header.get("dig"))
        try:
            good = suite.algorithm == key.suite.algorithm and validate_compact(
                self._signature, key.jose, registry=_registry()
            )
        except (JoseError, ValueError, TypeError):
            good = False
        if not good:
            raise SignatureError("signature", "the signature is not that of the sender's key over these bytes")


def sign(header: Mapping[str, object], payload: bytes, key: PrivateKey) -> bytes:
    """Return HEADER..SIGNATURE over the payload's exact bytes; the algorithm and its digest are put into the header."""
    suite = key.public.suite
    protected = {"alg": suite.algorithm, **_FIXED, "dig": suite.digest, **header}
    text = serialize_compact(protected, payload, key.jose, registry=_registry())
    first, _, last = text.split(".")  # the library leaves a payload inside that is a single word
    return f"{first}..{last}".encode("ascii")


def read(text: bytes, payload: bytes) -> Signed:
    """Read HEADER..SIGNATURE over a payload. Raises SignatureError: no such text, or an algorithm that isn't allowed."""
    if len(text) > MAX_HEADER_BYTES + 200:
        raise SignatureError("form", f"the signature's header is longer than {MAX_HEADER_BYTES} bytes")
    _, dots, last = text.partition(b"..")
    if not dots or b"." in last:
        raise SignatureError("form", "the signature is not written as HEADER..SIGNATURE")
    try:
        # Never with an empty payload in the library: it would take the missing part for the payload.
        signature = extract_compact(text, payload, _registry())
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise SignatureError("form", "the signature can't be read") from None
    header = signature.protected
    if {name: header.get(name) for name in _FIXED} != _FIXED:
        raise SignatureError("form", "the signature's header lacks b64 or crit")
    try:
        suite_of(header.get("alg"), header.get("dig"))
    except ValueError as error:
        raise SignatureError("algorithm", str(error)) from None
    return Signed(signature)
