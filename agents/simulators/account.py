"""A device's one account: Basic and Digest logins over all its protocols, and what was tried against it."""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from typing import Final, Literal

_PARAMETER: Final = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')

Scheme = Literal["Basic", "Digest"]
Algorithm = Literal["MD5", "SHA-256"]
Monotonic = Callable[[], float]


class Answer(enum.Enum):
    """How a request's credentials were taken."""

    OK = "ok"
    CHALLENGE = "challenge"  # none were sent: no failed login
    STALE = "stale"  # right, but under an expired nonce: no failed login either
    REFUSED = "refused"
    LOCKED = "locked"


class Account:
    """The user that a device knows, its lock, and counters of what clients tried."""

    def __init__(
        self,
        username: str,
        password: str,
        *,
        lock_after: int | None = None,
        lock_seconds: float = 1800.0,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        """`lock_after` failed logins in a row lock the account for `lock_seconds`; None never locks."""
        self.username, self._password = username, password
        self.lock_after, self.lock_seconds, self._monotonic = lock_after, lock_seconds, monotonic
        self.failed_logins = 0
        self.good_logins = 0
        self.repeated_refusals = 0
        self.attempts_while_locked = 0
        self._failures_in_a_row = 0
        self._locked_until = float("-inf")
        self._refused_names: set[str] = set()
        self._doubted_names: set[str] = set()

    @property
    def locked_for_seconds(self) -> float:
        """Return how long the lock still holds; 0 when there is none."""
        return max(0.0, self._locked_until - self._monotonic())

    @property
    def tries_left(self) -> int | None:
        """Return how many more failed logins lock the account; None when it never locks."""
        return None if self.lock_after is None else self.lock_after - self._failures_in_a_row

    def change_password(self, password: str) -> None:
        """Give the account another password. What was refused before may now be tried again without blame."""
        self._password = password
        self._refused_names.clear()
        self._doubted_names.clear()

    def judge(self, name: str, matches: Callable[[str, str], bool], *, fresh: bool = True) -> Answer:
        """Count one login attempt under `name`; `matches` is asked with the true name and password.

        `fresh` false: the client can't tell its refusal from a nonce that ran out, and may try once more.
        """
        if self.locked_for_seconds:
            self.attempts_while_locked += 1
            return Answer.LOCKED
        if name == self.username and matches(self.username, self._password):
            self.good_logins += 1
            self._failures_in_a_row = 0
            self._refused_names.discard(name)
            self._doubted_names.discard(name)
            return Answer.OK
        self._count_failure(name, fresh=fresh)
        return Answer.REFUSED

    def _count_failure(self, name: str, *, fresh: bool) -> None:
        self.failed_logins += 1
        self._failures_in_a_row += 1
        # A digest hides the password, so the name stands for the credentials until the device's password changes.
        self.repeated_refusals += name in self._refused_names or (not fresh and name in self._doubted_names)
        (self._refused_names if fresh else self._doubted_names).add(name)
        if self.lock_after is not None and self._failures_in_a_row >= self.lock_after:
            self._locked_until = self._monotonic() + self.lock_seconds
            self._failures_in_a_row = 0

    def stats(self) -> dict[str, int]:
        """Return the counters."""
        return {
            "failed_logins": self.failed_logins,
            "good_logins": self.good_logins,
            "repeated_refusals": self.repeated_refusals,
            "attempts_while_locked": self.attempts_while_locked,
        }


class Authenticator:
    """One protocol's door to an account: its challenges and its nonces."""

    def __init__(
        self,
        account: Account | None,
        realm: str,
        *,
        schemes: tuple[Scheme, ...] = ("Digest",),
        algorithm: Algorithm = "MD5",
        qop: bool = False,
        nonce_seconds: float = 600.0,
        nonces_once: bool = False,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        """`account` None lets everyone in; `qop` offers qop="auth", as HTTP servers do and most RTSP servers don't.

        `nonces_once`: a nonce that comes again is a failed login, whatever the password.
        """
        self.account, self.realm, self.schemes, self.qop = account, realm, schemes, qop
        self.algorithm, self.nonce_seconds, self._monotonic = algorithm, nonce_seconds, monotonic
        self.nonces_once = nonces_once
        self._nonces: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        """How far the client has counted under each nonce."""

    def expire_nonces(self) -> None:
        """Make every nonce stale from now on."""
        self._nonces = dict.fromkeys(self._nonces, float("-inf"))

    def challenges(self, *, stale: bool = False) -> list[str]:
        """Return the values of WWW-Authenticate headers, one for each scheme, with a fresh nonce."""
        return [
            self._digest_challenge(stale=stale) if scheme == "Digest" else f'Basic realm="{self.realm}"'
            for scheme in self.schemes
        ]

    def _digest_challenge(self, *, stale: bool) -> str:
        nonce = secrets.token_hex(16)
        self._nonces[nonce] = self._monotonic() + self.nonce_seconds
        qop = ', qop="auth"' if self.qop else ""
        algorithm = f", algorithm={self.algorithm}" if self.algorithm != "MD5" else ""
        return f'Digest realm="{self.realm}", nonce="{nonce}", stale="{str(stale).upper()}"{qop}{algorithm}'

    def check(self, method: str, uri: str, header: str | None) -> Answer:
        """Judge an Authorization header of a request for `uri` by `method`."""
        if self.account is None:
            return Answer.OK
        if not header:
            return Answer.CHALLENGE
        scheme, _, rest = header.strip().partition(" ")
        if scheme.lower() == "basic" and "Basic" in self.schemes:
            return self._check_basic(self.account, rest)
        if scheme.lower() == "digest" and "Digest" in self.schemes:
            return self._check_digest(self.account, method, uri, _parameters(rest))
        return Answer.CHALLENGE

    def _check_basic(self, account: Account, encoded: str) -> Answer:
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return account.judge("", lambda *_: False)
        return account.judge(name, lambda _, true: hmac.compare_digest(true.encode(), password.encode()))

    def _check_digest(self, account: Account, method: str, uri: str, given: dict[str, str]) -> Answer:
        expires = self._nonces.get(given.get("nonce", ""))

        def matches(username: str, password: str) -> bool:
            expected = self._response(username, password, method, given)
            return given.get("uri") == uri and hmac.compare_digest(expected, given.get("response", "").lower())

        if expires is None or expires <= self._monotonic():
            # Not one of ours or expired: nothing is known about the password, so nobody is blamed.
            return Answer.STALE
        nonce, count = given["nonce"], _hexadecimal(given.get("nc", ""))
        last = self._counts.get(nonce, 0)
        self._counts[nonce] = max(last, count)
        again = last > 0 and (self.nonces_once or count <= last)
        return account.judge(given.get("username", ""), (lambda *_: False) if again else matches, fresh=last == 0)

    def _response(self, username: str, password: str, method: str, given: dict[str, str]) -> str:
        first = self._hash(f"{username}:{self.realm}:{password}")
        second = self._hash(f"{method}:{given.get('uri', '')}")
        nonce = given.get("nonce", "")
        if given.get("qop"):
            return self._hash(
                f"{first}:{nonce}:{given.get('nc', '')}:{given.get('cnonce', '')}:{given['qop']}:{second}"
            )
        return self._hash(f"{first}:{nonce}:{second}")

    def _hash(self, text: str) -> str:
        if self.algorithm == "SHA-256":
            return hashlib.sha256(text.encode()).hexdigest()
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _parameters(text: str) -> dict[str, str]:
    return {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(text)}
