"""How much one agent may have stored: who has a key may still be somebody who wants the disk to be full."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Final

import structlog

from monitor.collector.arrival import Identity

log = structlog.get_logger(__name__)

AT_ONCE_BYTES: Final = 256 * 1024 * 1024
"""All that an agent keeps of reports that could not be sent."""
BYTES_A_SECOND: Final = 64 * 1024
"""Thereafter: hundreds of times what a large site reports, and no more than 6 GB a day."""
WAIT_SECONDS: Final = 60
"""So long whoever has used it up is told to wait."""
MOST_AGENTS: Final = 20_000
"""Those who sent last are remembered."""
TOLD_EACH_SECONDS: Final = 3600.0


class TooMuchError(Exception):
    """A request of an agent that has sent more than it may; nothing of it is stored."""


@dataclass
class _Used:
    """What an agent has used by some monotonic second."""

    bytes: float
    at: float
    told_at: float = -math.inf


class Allowance:
    """What each agent has used of it, in this process alone: it needs no precision.

    What is kept counts, and nothing else: a report's signature holds for ever, and who has got hold of one could else use up what its agent may send.
    """

    def __init__(self, at_once: float = AT_ONCE_BYTES, a_second: float = BYTES_A_SECOND) -> None:
        """Begin with nobody known."""
        self._at_once, self._a_second = at_once, a_second
        self._used: OrderedDict[Identity, _Used] = OrderedDict()
        self._lock = Lock()

    def ask(self, who: Identity, now: float) -> None:
        """Raises TooMuchError where an agent has used it up by the monotonic second `now`; the log says so once an hour."""
        with self._lock:
            used = self._used.get(who)
            if used is None or self._level(used, now) < self._at_once:
                return
            tells = now - used.told_at > TOLD_EACH_SECONDS
            if tells:
                used.told_at = now
        if tells:
            log.warning(
                "an agent sends far more than any site has to report, and is told to wait: look at what it sends, and revoke its key"
                " (`cradlewatch collector agent revoke`) if nobody can explain it",
                institution=who.institution,
                agent=who.agent,
            )
        raise TooMuchError("this agent has sent far more than a site has to report; it may go on later, more slowly")

    def took(self, who: Identity, size: int, now: float) -> None:
        """Note so many bytes that are kept of an agent."""
        with self._lock:
            used = self._used.pop(who, None) or _Used(0.0, now)
            used.bytes, used.at = self._level(used, now) + size, now
            self._used[who] = used
            while len(self._used) > MOST_AGENTS:
                self._used.popitem(last=False)

    def _level(self, used: _Used, now: float) -> float:
        """Return how much of what was used counts still."""
        return max(0.0, used.bytes - self._a_second * (now - used.at))
