"""Whose turn a proof by decoding is: once a day for each camera, one at a time for each recorder, in quiet hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.scan.proof import FINAL, REFUSALS, Outcome
from monitor.model.span import HOUR, SECOND, Millis

AGAIN: Millis = HOUR
"""A proof that was not to be had (busy, no line) is tried again after so long, the same night."""
MOST_TRIES = 3
SLACK: Millis = 6 * HOUR
"""The next night's turn comes at the beginning of the quiet hours, whenever it came the night before."""


@dataclass(frozen=True)
class Turn:
    """A camera's last proof."""

    at: Millis
    done: bool
    """It says something, or would say the same today: else it may be tried again."""
    tries: int = 1


@dataclass(frozen=True)
class Round:
    """One recorder's turns; a flat value that the agent's state keeps over restarts."""

    turns: Mapping[str, Turn] = field(default_factory=dict)
    refused_at: Millis | None = None
    """When the login, or its right to play back, was refused: nothing is played again that day."""

    def next(self, cameras: Iterable[str], now: Millis, every_seconds: float) -> str | None:
        """Return the camera whose turn it is: the one whose last proof is the oldest; None when none is due."""
        every = round(every_seconds * SECOND)
        fresh = every - min(SLACK, every // 4)
        if self.refused_at is not None and 0 <= now - self.refused_at < fresh:
            return None
        due = [(turn.at if turn else 0, name) for name in cameras if _due(turn := self.turns.get(name), now, fresh)]
        return min(due, key=lambda pair: pair[0])[1] if due else None

    def after(self, camera: str, outcome: Outcome, now: Millis) -> Round:
        """Return the round after a camera's turn."""
        before = self.turns.get(camera)
        tries = before.tries + 1 if before is not None and not before.done and now - before.at < SLACK else 1
        done = outcome.state != "not_proved" or outcome.cause in FINAL or tries >= MOST_TRIES
        refused = now if outcome.cause in REFUSALS else self.refused_at
        return Round({**self.turns, camera: Turn(now, done, tries)}, refused)

    def to_json(self) -> dict[str, Any]:
        """Return it as the state keeps it."""
        turns = {name: [turn.at, turn.done, turn.tries] for name, turn in self.turns.items()}
        return {"turns": turns, "refused_at": self.refused_at}


def _due(turn: Turn | None, now: Millis, fresh: Millis) -> bool:
    """Tell whether a camera may be proved; a last turn in the future was told by a clock that has been set since."""
    if turn is None or now < turn.at:
        return True
    return now - turn.at >= (fresh if turn.done else min(AGAIN, fresh))


def read_round(value: Any) -> Round:
    """Read what the state keeps; what can't be read has not happened."""
    if not isinstance(value, dict) or not isinstance(value.get("turns"), dict):
        return Round()
    turns = {}
    for name, item in value["turns"].items():
        match item:
            case [int(at), bool(done), int(tries)] if not isinstance(at, bool) and not isinstance(tries, bool):
                turns[str(name)] = Turn(at, done, tries)
    refused = value.get("refused_at")
    return Round(turns, refused if type(refused) is int else None)
