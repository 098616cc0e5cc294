"""What really happened in a clip, as the scorer needs it, and what a detector said: the two sides of a score."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Event:
    """One tamper that happened. Times are seconds of the video."""

    state: str
    variant: str
    changes_from: float
    """When the first trace of it can be there."""
    begins: float
    """When it is severe enough to count: delays are counted from here."""
    until: float
    counts: bool
    """False below the floor: neither a miss nor a false alarm."""
    also: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tolerated:
    """A stretch in which an alarm of this state is right but not asked for: a room without a lamp at night."""

    state: str
    start: float
    until: float


@dataclass(frozen=True)
class Truth:
    """What happened in one video."""

    clip: str
    scene: str
    seconds: float
    look_seconds: float
    events: tuple[Event, ...] = ()
    tolerated: tuple[Tolerated, ...] = ()
    clean_days: float = 0.0
    """How many camera-days the video stands for, where it has no event."""

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Truth:
        """Read what `save` wrote."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw["events"] = tuple(
            Event(**{**item, "also": tuple(item["also"]), "passing": tuple(item["passing"])}) for item in raw["events"]
        )
        raw["tolerated"] = tuple(Tolerated(**item) for item in raw["tolerated"])
        return cls(**raw)


@dataclass(frozen=True)
class Alarm:
    """One rise: a state that was not on before."""

    state: str
    began: float
    """When the detector says that it began."""
    raised: float
    """When it said so."""
    until: float | None = None
    """When it says that it ended, infinite where it was on to the end of the video; None of a detector that doesn't tell."""


def alarms_from(document: dict[str, Any]) -> tuple[Alarm, ...]:
    """Read the alarms of a `cradlewatch.diagnose/1` document."""
    return tuple(
        Alarm(
            str(item["state"]),
            float(item["from_seconds"]),
            float(item["raised_at_seconds"]),
            _end_of(item),
        )
        for item in document["alarms"]
    )


def _end_of(alarm: dict[str, Any]) -> float | None:
    if "until_seconds" not in alarm:
        return None
    return math.inf if alarm["until_seconds"] is None else float(alarm["until_seconds"])


def document_of(name: str, alarms: Iterable[Alarm]) -> dict[str, Any]:
    """Return alarms in the form of `alarms_from`, so that all detectors are kept and scored alike."""
    return {
        "schema": "cradlewatch.diagnose/1",
        "file": name,
        "alarms": [
            {"state": item.state, "from_seconds": item.began, "raised_at_seconds": item.raised} for item in alarms
        ],
    }
