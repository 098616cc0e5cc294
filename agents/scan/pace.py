"""How often a recorder is asked, by how many channels share what is asked of the whole of it. Pure but for what was last."""

from __future__ import annotations

from agents.recorders.base import Cost
from monitor.model.observation import Kind

CALM_ROUNDS = 2
"""While nothing is wrong with a camera only each so many rounds reads what is new of it."""

DEAR_ROUNDS = 3
"""The same, where each search costs several requests."""

LONE_DEAR_ROUNDS = 4
"""The same, of a single channel."""

FEW_CHANNELS = 2
"""So few channels, and the recorder is looked at no more often than its index is read."""

SETTLED_ROUNDS = 12
"""Who it is and which channels it has is asked in each so many rounds, as its settings are: while all streams stay up it
seldom changes."""

STATE = (Kind.CLOCK, Kind.DISKS)
NAMES = (Kind.IDENTITY, Kind.CHANNELS)
ALL = (Kind.IDENTITY, Kind.CLOCK, Kind.CHANNELS, Kind.DISKS)
"""In the order in which they are asked: the first answer tells whether anybody is there."""


def index_rounds(cost: Cost, channels: int) -> int:
    """Return in which rounds the news of a calm camera are read: each, each second, ..."""
    if cost != "dear":
        return CALM_ROUNDS
    return DEAR_ROUNDS if channels > 1 else LONE_DEAR_ROUNDS


def look_rounds(cost: Cost, channels: int) -> int:
    """Return in which rounds a calm recorder's clock and disks are asked for."""
    return 1 if cost == "free" or channels > FEW_CHANNELS else index_rounds(cost, channels)


def name_rounds(cost: Cost) -> int:
    """Return in which rounds a calm recorder's identity and channels are asked for."""
    return 1 if cost == "free" else SETTLED_ROUNDS


def is_due(since: float, every: float, rounds: int) -> bool:
    """Tell whether it is time, `since` after the last one: a round that comes a little early counts."""
    return since >= every * rounds - every / 4


class LookPace:
    """What to ask of one recorder in which look. Instants and lengths in one unit; a recorder that refused is not settled."""

    def __init__(self, cost: Cost, channels: int) -> None:
        """Begin with a recorder that was never asked."""
        self.state_rounds, self.name_rounds = look_rounds(cost, channels), name_rounds(cost)
        self._settled = False
        self._asked = dict.fromkeys(ALL, float("-inf"))

    def due(self, now: float, every: float, *, calm: bool) -> tuple[Kind, ...]:
        """Return what to ask now: everything, unless all was answered and it is calm."""
        if not (calm and self._settled):
            return ALL
        rounds = dict.fromkeys(STATE, self.state_rounds) | dict.fromkeys(NAMES, self.name_rounds)
        return tuple(kind for kind in ALL if is_due(now - self._asked[kind], every, rounds[kind]))

    def rounds(self, kind: Kind) -> int:
        """Return how many rounds the answer has to last."""
        return self.state_rounds if kind in STATE else self.name_rounds

    def asked(self, kinds: tuple[Kind, ...], now: float, *, refused: bool) -> None:
        """Note what was asked; after a refusal the next look asks everything."""
        if kinds:
            self._settled = not refused
        self._asked |= dict.fromkeys(kinds, now)
