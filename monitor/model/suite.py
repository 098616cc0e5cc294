"""Which algorithms may sign and digest: one table, and the keys that go with it."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey


class BadKey(ValueError):
    """A key that can't be used; the sentence says why, and never shows the key."""


@dataclass(frozen=True)
class Suite:
    """A signature algorithm by its JOSE name with the digest that links what it signs."""

    algorithm: str
    digest: str
    """The name before the colon of a digest, as in sha256:HEX."""
    hash: Callable[[bytes], Any]
    key_type: Mapping[str, str]
    """What a public key's JWK must say."""


ED25519 = Suite("Ed25519", "sha256", hashlib.sha256, {"kty": "OKP", "crv": "Ed25519"})
"""RFC 8032 by its fully specified name (RFC 9864)."""

SUITES: Mapping[tuple[str, str], Suite] = {(suite.algorithm, suite.digest): suite for suite in (ED25519,)}
"""The allow-list: what a header names and is not here is refused. Another pair is one entry more."""

DEFAULT = ED25519


def suite_of(algorithm: object, digest: object) -> Suite:
    """Return the suite that a header names. Raises ValueError when it isn't allowed."""
    suite = SUITES.get((algorithm, digest)) if isinstance(algorithm, str) and isinstance(digest, str) else None
    if suite is None:
        raise ValueError("the signature's algorithm or digest is not allowed")
    return suite


def digest_of_bytes(data: bytes, suite: Suite = DEFAULT) -> str:
    """Return NAME:HEX of the bytes."""
    return f"{suite.digest}:{suite.hash(data).hexdigest()}"


@dataclass(frozen=True)
class PublicKey:
    """A public key: what verifies."""

    jose: OKPKey

    @classmethod
    def of(cls, jwk: Mapping[str, object], suite: Suite = DEFAULT) -> PublicKey:
        """Read a JWK (RFC 7517). Raises BadKey: it is none, of another algorithm, or holds a private part."""
        wanted = {**suite.key_type, "x": jwk.get("x")}
        if "d" in jwk or not isinstance(jwk.get("x"), str) or any(jwk.get(name) != wanted[name] for name in wanted):
            raise BadKey(f"the key is no public {suite.algorithm} key")
        return _public(str(jwk["x"]), suite.algorithm)

    @cached_property
    def jwk(self) -> dict[str, str]:
        """The key as a JWK, its required members alone."""
        whole = self.jose.as_dict(private=False)
        return {name: str(whole[name]) for name in ("crv", "kty", "x")}

    @cached_property
    def id(self) -> str:
        """The key's thumbprint (RFC 7638): by it envelopes name their key."""
        return self.jose.thumbprint()


@lru_cache(maxsize=4096)
def _public(x: str, algorithm: str) -> PublicKey:
    suite = next(item for item in SUITES.values() if item.algorithm == algorithm)
    try:
        return PublicKey(OKPKey.import_key({**suite.key_type, "x": x}))
    except (JoseError, ValueError, TypeError):
        raise BadKey(f"the key is no public {algorithm} key") from None


@dataclass(frozen=True, repr=False)
class PrivateKey:
    """A private key: what signs. Its representation shows nothing of it."""

    jose: OKPKey

    @classmethod
    def make(cls) -> PrivateKey:
        """Make a new key."""
        return cls(OKPKey.generate_key("Ed25519", private=True))

    @classmethod
    def of_pem(cls, pem: bytes) -> PrivateKey:
        """Read a key that `pem` wrote. Raises BadKey."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                key = OKPKey.import_key(pem)
        except (JoseError, ValueError, TypeError):
            raise BadKey("the private key can't be read") from None
        if not key.is_private or key.curve_name != "Ed25519":
            raise BadKey("the private key is no Ed25519 key")
        return cls(key)

    def pem(self) -> bytes:
        """Return the key in PKCS #8, PEM, not encrypted: whoever keeps it keeps it from others."""
        return self.jose.as_pem(private=True)

    @cached_property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey.of(self.jose.as_dict(private=False))
