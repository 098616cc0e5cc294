"""Which algorithms may sign and digest: one table, and the keys that go with it."""

from __future__ import annotations

import base64
import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, cast

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

Key = ECKey | OKPKey | RSAKey
"""The library's keys that come in pairs."""


class BadKey(ValueError):
    """A key that can't be used; the sentence says why, and never shows the key."""


Words = Mapping[str, object]
"""A key's JWK (RFC 7517)."""


def _never(_jwk: Words) -> bool:
    """Tell of a key whose algorithm has none that binds nobody."""
    return False


@dataclass(frozen=True)
class Suite:
    """A signature algorithm by its JOSE name with the digest that links what it signs."""

    algorithm: str
    digest: str
    """The name before the colon of a digest, as in sha256:HEX."""
    hash: Callable[[bytes], Any]
    key_type: Mapping[str, str]
    """What a public key's JWK must say."""
    retired: bool = False
    """Nothing new that names it is taken; what was taken before is still checked. Without its entry nothing can be."""
    binds_nobody: Callable[[Words], bool] = _never
    """Tells by the JWK of a public key of this algorithm whether anybody could sign for it: such a key is taken for none."""


_PRIME = 2**255 - 19
_OF_EIGHT = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_BIND_NOBODY = frozenset({0, 1, _PRIME - 1, _OF_EIGHT, _PRIME - _OF_EIGHT})
"""The y of the points of Ed25519 that have eight multiples at most. One signature by such a key is good for any text, and anybody can
write it down: whoever enrols with one could deny whatever it reports."""


def _has_few_multiples(jwk: Words) -> bool:
    """Tell whether a key of Ed25519 is one of those points, however it is written."""
    point = int.from_bytes(base64.urlsafe_b64decode(f"{jwk['x']}="), "little")
    return (point & (2**255 - 1)) % _PRIME in _BIND_NOBODY


ED25519 = Suite("Ed25519", "sha256", hashlib.sha256, {"kty": "OKP", "crv": "Ed25519"}, binds_nobody=_has_few_multiples)
"""RFC 8032 by its fully specified name (RFC 9864)."""

SUITES: Mapping[tuple[str, str], Suite] = {(suite.algorithm, suite.digest): suite for suite in (ED25519,)}
"""The allow-list: what a header names and is not here is refused. Another pair is one entry more."""

DEFAULT = ED25519

RETIRED = "the signature's algorithm or digest is not taken any more"
"""Why something new is refused that a retired suite signed."""


def suite_of(algorithm: object, digest: object) -> Suite:
    """Return the suite that a header names. Raises ValueError when it isn't allowed."""
    suite = SUITES.get((algorithm, digest)) if isinstance(algorithm, str) and isinstance(digest, str) else None
    if suite is None:
        raise ValueError("the signature's algorithm or digest is not allowed")
    return suite


def digest_of_bytes(data: bytes, suite: Suite = ED25519) -> str:
    """Return NAME:HEX of the bytes."""
    return f"{suite.digest}:{suite.hash(data).hexdigest()}"


def digest_again(data: bytes, digest: str) -> str | None:
    """Return NAME:HEX of the bytes by the algorithm that another digest names; None where it isn't known, or not any more."""
    name = digest.partition(":")[0]
    suite = next((item for item in (ED25519, *SUITES.values()) if item.digest == name), None)
    return None if suite is None else digest_of_bytes(data, suite)


def suite_for(jwk: Words) -> Suite | None:
    """Return the suite with which a key signs, by what its JWK says: the default one, or the first that it fits; None: it fits none.

    A retired one is the last resort.
    """
    return min(_fitting(jwk), key=lambda suite: suite.retired, default=None)


def _fitting(jwk: Words) -> list[Suite]:
    return [suite for suite in (DEFAULT, *SUITES.values()) if suite.key_type.items() <= jwk.items()]


@dataclass(frozen=True)
class PublicKey:
    """A public key: what verifies."""

    jose: Key

    @classmethod
    def of(cls, jwk: Words) -> PublicKey:
        """Read a JWK (RFC 7517). Raises BadKey: it is none, of an algorithm that isn't allowed, or holds a private part."""
        words = {name: value for name, value in jwk.items() if isinstance(value, str)}
        if suite_for(words) is None or "d" in jwk:
            raise BadKey(f"the key is no public {_allowed()} key")
        return _public(tuple(sorted(words.items())))

    @cached_property
    def suite(self) -> Suite:
        """With what the key's owner signs."""
        return _suite_of_key(self.jose)

    @cached_property
    def jwk(self) -> dict[str, str]:
        """The key as a JWK, its required members alone."""
        whole = self.jose.as_dict(private=False)
        return {name: str(whole[name]) for name in sorted({*_required(self.jose), "kty"})}

    @cached_property
    def id(self) -> str:
        """The key's thumbprint (RFC 7638): by it envelopes name their key."""
        return self.jose.thumbprint()


def key_id_of(jwk: Words) -> str | None:
    """Return the thumbprint of a key of any algorithm, allowed or not; None where it is no key."""
    try:
        return JWKRegistry.import_key(cast("Any", dict(jwk))).thumbprint()
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _required(key: Key) -> list[str]:
    return [name for name, member in key.value_registry.items() if member.required]


def _allowed() -> str:
    return " or ".join(dict.fromkeys(suite.algorithm for suite in SUITES.values()))


def _suite_of_key(key: Key) -> Suite:
    found = suite_for(key.as_dict(private=False))
    if found is None:
        raise BadKey(f"the key is no {_allowed()} key")
    return found


@lru_cache(maxsize=4096)
def _public(words: tuple[tuple[str, str], ...]) -> PublicKey:
    try:
        key = cast("Key", JWKRegistry.import_key(dict(words)))
        found = cast("Key", JWKRegistry.import_key({name: dict(words)[name] for name in (*_required(key), "kty")}))
        jwk = found.as_dict(private=False)
        binds_nobody = any(suite.binds_nobody(jwk) for suite in _fitting(jwk))
    except (JoseError, ValueError, TypeError, KeyError):
        raise BadKey(f"the key is no public {_allowed()} key") from None
    if binds_nobody:
        raise BadKey("the key is one for which anybody can sign")
    return PublicKey(found)


@dataclass(frozen=True, repr=False)
class PrivateKey:
    """A private key: what signs. Its representation shows nothing of it."""

    jose: Key

    @classmethod
    def make(cls) -> PrivateKey:
        """Make a new key."""
        kind = DEFAULT.key_type
        return cls(cast("Key", JWKRegistry.generate_key(kind["kty"], kind["crv"], private=True)))

    @classmethod
    def of_pem(cls, pem: bytes) -> PrivateKey:
        """Read a key that `pem` wrote. Raises BadKey."""
        found = [
            key for kind in sorted({suite.key_type["kty"] for suite in SUITES.values()}) if (key := _import(pem, kind))
        ]
        if not found:
            raise BadKey("the private key can't be read")
        (key,) = found[:1]
        if not key.is_private or suite_for(key.as_dict(private=False)) is None:
            raise BadKey(f"the private key is no {_allowed()} key")
        return cls(key)

    def pem(self) -> bytes:
        """Return the key in PKCS #8, PEM, not encrypted: whoever keeps it keeps it from others."""
        return self.jose.as_pem(private=True)

    @cached_property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey.of(self.jose.as_dict(private=False))


def _import(pem: bytes, kind: str) -> Key | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            key = cast("Key", JWKRegistry.import_key(pem, kind))
            key.as_dict(private=False)  # a key of another kind may be found out here alone
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key
