"""What was planted, from the simulators' own words: the demo knows what is to be found without asking the product."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from agents.demo.institution import Began, Institution, Json, Plant
from monitor.model.span import isoformat, to_millis


@dataclass
class Notes:
    """What the demo wrote down while it ran. Instants are ISO 8601 in UTC."""

    ready: Json = field(default_factory=dict)
    """The simulators' line `ready`."""
    done: list[Json] = field(default_factory=list)
    """Their lines `done`, each with the instant at which it began."""
    started: dict[str, str] = field(default_factory=dict)
    """When each institution's agent was started."""
    killed: dict[str, str] = field(default_factory=dict)
    """When it was killed."""


def planted(district: Iterable[Institution], notes: Notes) -> list[Json]:
    """Return what has been planted so far, in the form of `planted`, and when it was healed."""
    found: list[Json] = []
    for item in district:
        for plant in item.plants:
            began_at = _began_at(item, plant, notes)
            if began_at is None:
                continue
            found.append(
                {
                    "institution": item.id,
                    "requirement": plant.requirement,
                    "subject": {"kind": plant.kind, "id": plant.id},
                    "state": plant.state,
                    "began_at": began_at,
                    "ended_at": _done_at(item, plant, plant.healed_by, notes) if plant.healed_by else None,
                }
            )
    return found


def _began_at(item: Institution, plant: Plant, notes: Notes) -> str | None:
    """Return when a fault began; None while it has not happened."""
    match plant.began:
        case Began.FIRST_LOOK:
            return notes.started.get(item.id)
        case Began.KILLED:
            return notes.killed.get(item.id)
        case Began.EVENT:
            return _done_at(item, plant, plant.do, notes)
        case Began.HOLE:
            if item.id not in notes.started:
                return None
            holes = notes.ready["recorders"][item.device]["channels"][str(plant.channel)]["holes"]
            return _utc(min(hole["start_at"] for hole in holes))


def _done_at(item: Institution, plant: Plant, do: str, notes: Notes) -> str | None:
    for line in notes.done:
        if (line.get("recorder"), line.get("channel"), line.get("do")) == (item.device, plant.channel, do):
            return _utc(line["at"])
    return None


def _utc(text: str) -> str:
    return isoformat(to_millis(datetime.fromisoformat(text)))
