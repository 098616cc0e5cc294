"""Basic and Digest authentication: from a challenge to an Authorization header, pure but for the client nonce."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from agents.rtsp.errors import MalformedError
from agents.rtsp.request import Login

_HASHES: dict[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),  # RFC 2617, what most cameras offer
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}
_STRENGTH = ["MD5", "MD5-SESS", "SHA-256", "SHA-256-SESS"]
_PARAMETER = re.compile(r'(?<![\w-])([A-Za-z][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_BREAKS_A_LINE = re.compile(r"[\x00-\x1f\x7f]")
"""What was quoted in a challenge is sent back: with one of these in it the request would be no line any more."""

_NEXT_SCHEME = re.compile(r"(?:^|,)\s*(Basic|Digest)\s+(?=[A-Za-z][\w-]*\s*=)|^\s*(Basic)\s*$", re.IGNORECASE)
MAX_CHALLENGE_LENGTH = 4096


@dataclass(frozen=True)
class Challenge:
    """One WWW-Authenticate challenge that this client can answer."""

    scheme: str
    realm: str = ""
    nonce: str = ""
    algorithm: str = "MD5"
    qop_auth: bool = False
    opaque: str | None = None
    algorithm_given: bool = False
    stale: bool = False

    @property
    def strength(self) -> int:
        """Order among challenges: Basic sends the password itself and comes last."""
        return _STRENGTH.index(self.algorithm) + 1 if self.scheme == "digest" else 0

    def __str__(self) -> str:
        """Return the scheme, and the algorithm of a digest."""
        return f"Digest {self.algorithm}" if self.scheme == "digest" else "Basic"


def choose_challenge(headers: Iterable[str]) -> Challenge:
    """Return the strongest challenge of the WWW-Authenticate headers that can be answered.

    Raises MalformedError when there is none.
    """
    found = [challenge for header in headers for challenge in _challenges(header[:MAX_CHALLENGE_LENGTH])]
    if not found:
        raise MalformedError("the device asks for a login of a kind that is not supported")
    return max(found, key=lambda challenge: challenge.strength)


def _challenges(header: str) -> list[Challenge]:
    """Split one header, which may hold several challenges; unsupported ones are left out."""
    starts = list(_NEXT_SCHEME.finditer(header))
    ends = [match.start() for match in starts[1:]] + [len(header)]
    found = (
        _challenge((match[1] or match[2]).lower(), header[match.end() : end])
        for match, end in zip(starts, ends, strict=False)  # without any start there is one end
    )
    return [challenge for challenge in found if challenge is not None]


def _challenge(scheme: str, text: str) -> Challenge | None:
    values: dict[str, str] = {}
    if _BREAKS_A_LINE.search(text):
        return None
    for match in _PARAMETER.finditer(text):
        quoted, bare = match[2], match[3]
        values[match[1].lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
    if scheme == "basic":
        return Challenge("basic", realm=values.get("realm", ""))
    algorithm = values.get("algorithm", "MD5").upper()
    offered = [item.strip().lower() for item in values.get("qop", "").split(",") if item.strip()]
    if algorithm not in _STRENGTH or not values.get("nonce") or (offered and "auth" not in offered):
        return None
    return Challenge(
        "digest",
        realm=values.get("realm", ""),
        nonce=values["nonce"],
        algorithm=algorithm,
        qop_auth=bool(offered),
        opaque=values.get("opaque"),
        algorithm_given="algorithm" in values,
        stale=values.get("stale", "").lower() == "true",
    )


@dataclass
class Authenticator:
    """Answers one connection's challenges: counts the nonce's uses, as a server may demand."""

    login: Login
    challenge: Challenge
    client_nonce: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)
    _uses: int = 0

    def renew(self, challenge: Challenge) -> None:
        """Go on with a fresh nonce."""
        self.challenge = challenge
        self._uses = 0

    def authorization(self, method: str, url: str) -> str:
        """Return the Authorization header's value for one request."""
        if self.challenge.scheme == "basic":
            pair = f"{self.login.username}:{self.login.password}".encode()
            return "Basic " + base64.b64encode(pair).decode("ascii")
        self._uses += 1
        return self._digest(method, url, f"{self._uses:08x}")

    def _digest(self, method: str, url: str, count: str) -> str:
        challenge = self.challenge
        digest = _HASHES[challenge.algorithm.removesuffix("-SESS")]

        def hashed(*parts: str) -> str:
            return digest(":".join(parts).encode("utf-8", "surrogateescape"))

        secret = hashed(self.login.username, challenge.realm, self.login.password)
        if challenge.algorithm.endswith("-SESS"):
            secret = hashed(secret, challenge.nonce, self.client_nonce)
        request = hashed(method, url)
        if challenge.qop_auth:
            response = hashed(secret, challenge.nonce, count, self.client_nonce, "auth", request)
        else:
            response = hashed(secret, challenge.nonce, request)
        fields = [
            f"username={_quoted(self.login.username)}",
            f"realm={_quoted(challenge.realm)}",
            f"nonce={_quoted(challenge.nonce)}",
            f"uri={_quoted(url)}",
            f'response="{response}"',
        ]
        if challenge.algorithm_given:
            fields.append(f"algorithm={challenge.algorithm.replace('-SESS', '-sess')}")
        if challenge.opaque is not None:
            fields.append(f"opaque={_quoted(challenge.opaque)}")
        if challenge.qop_auth:
            fields += ["qop=auth", f"nc={count}", f'cnonce="{self.client_nonce}"']
        elif challenge.algorithm.endswith("-SESS"):
            fields.append(f'cnonce="{self.client_nonce}"')
        return "Digest " + ", ".join(fields)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
