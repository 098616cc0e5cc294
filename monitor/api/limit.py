"""Slows down who guesses: a few failures a minute for each address."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from threading import Lock

WINDOW_SECONDS = 60.0
MAX_FAILURES = 10
MAX_CLIENTS = 10_000


_SITE_BITS = 64
"""Of an IPv6 address: who has one has all that begin so, and could come with another one each time."""


def who_comes(address: str) -> str:
    """Return by which name an address counts: an IPv6 one by the network that its owner has, any other by itself."""
    try:
        found = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), _SITE_BITS), strict=False))


class FailureLimit:
    """Failures of each client within a minute, in this process alone: it needs no precision."""

    def __init__(self) -> None:
        """Begin with nobody known."""
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._lock = Lock()

    def blocked_seconds(self, client: str, now: float) -> int:
        """Return for how many seconds a client is blocked, 0 when it isn't; `now` is the monotonic clock's."""
        with self._lock:
            since, count = self._failures.get(client, (now, 0))
            left = since + WINDOW_SECONDS - now
            return int(left) + 1 if count >= MAX_FAILURES and left > 0 else 0

    def failed(self, client: str, now: float) -> None:
        """Note a failure."""
        with self._lock:
            since, count = self._failures.pop(client, (now, 0))
            self._failures[client] = (now, 1) if now - since > WINDOW_SECONDS else (since, count + 1)
            while len(self._failures) > MAX_CLIENTS:
                self._failures.popitem(last=False)
