"""The answer to a recorder's digest challenge, and its nonce, kept for the minute of a round."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence

import httpx2

from monitor.model.clock import Clock

KEEP_SECONDS = 60.0
"""So long a nonce is used again: the questions of one round. Makers' own clients keep theirs for minutes."""

_UNAUTHORIZED = 401
_ALGORITHMS = frozenset({"MD5", "MD5-SESS", "SHA-256", "SHA-256-SESS"})
_ALGORITHM = re.compile(r'\balgorithm\s*=\s*"?([A-Za-z0-9-]+)', re.IGNORECASE)
_QOP = re.compile(r'\bqop\s*=\s*(?:"([^"]*)"|([\w-]+))', re.IGNORECASE)


class DigestAnswer(httpx2.Auth):
    """Answers one given challenge: never repeats a refused login by itself, as a general client would."""

    def __init__(self, username: str, password: str, challenge: str) -> None:
        """Take the value of a WWW-Authenticate header that asks for Digest."""
        self._digest = httpx2.DigestAuth(username, password)
        self._challenge = challenge

    @property
    def may_be_reused(self) -> bool:
        """Whether further requests may count on from the same nonce: RFC 7616 has the count (nc) with qop alone.

        What "-sess" digests keep of the first answer is read in two ways, so these aren't.
        """
        found = _QOP.search(self._challenge)
        words = (found[1] or found[2] or "").split(",") if found else []
        return "auth" in {word.strip().lower() for word in words} and not _algorithm(self._challenge).endswith("-SESS")

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Add the answer, the next time with the next count; whatever comes back is final."""
        flow = self._digest.auth_flow(request)
        next(flow)
        if "Authorization" not in request.headers:
            headers = {"www-authenticate": self._challenge}
            flow.send(httpx2.Response(_UNAUTHORIZED, headers=headers, request=request))
        yield request


def digest_answer(offers: Sequence[str], username: str, password: str) -> DigestAnswer | None:
    """Return the answer to the strongest digest that is offered; None where none of those that are known is."""
    known = [offer for offer in offers if offer.lower().startswith("digest ") and _algorithm(offer) in _ALGORITHMS]
    if not known:
        return None
    best = max(known, key=lambda offer: _algorithm(offer).startswith("SHA-256"))
    return DigestAnswer(username, password, best)


class KeptAnswer:
    """The answer that one device took last, for as long as its nonce is likely to be taken again.

    A device that says that a nonce ran out is asked with younger ones from then on; one that refuses a used nonce
    without that word, and takes a fresh one, hands out nonces for one use: none of its is ever used again.
    """

    def __init__(self, clock: Clock) -> None:
        """Keep nothing yet."""
        self._clock = clock
        self._kept: DigestAnswer | None = None
        self._since = 0.0
        self._seconds = KEEP_SECONDS
        self._suspected = False

    def get(self) -> DigestAnswer | None:
        """Return what may be used again now; None without any."""
        return self._kept if self._age < self._seconds else None

    def keep(self, answer: DigestAnswer) -> None:
        """Keep what was just taken, fresh."""
        if self._suspected:
            self._seconds = 0.0
        if answer.may_be_reused and self._seconds:
            self._kept, self._since = answer, self._clock.monotonic()

    def forget(self) -> None:
        """Let go of it."""
        self._kept = None

    def refused(self, *, stale: bool) -> None:
        """Note that the used nonce was answered with 401; `stale`: in words that say that it ran out."""
        if stale:
            self._seconds = min(self._seconds, self._age / 2)
        else:
            self._suspected = True
        self.forget()

    @property
    def _age(self) -> float:
        return self._clock.monotonic() - self._since


def _algorithm(offer: str) -> str:
    found = _ALGORITHM.search(offer)
    return found[1].upper() if found else "MD5"
