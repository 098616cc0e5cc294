"""How the agent's own disk and files are: told in the log and the metrics at once, to the collector with the next report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from agents.database import DatabaseError
from agents.held import Held
from agents.outbox import Outbox
from agents.state import StateError
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import DAY, Millis

HOLDS: Millis = DAY
"""So long the word about the storage counts unless another follows."""

log = structlog.get_logger()


@dataclass(frozen=True)
class File:
    """One of the agent's files."""

    name: str
    problem: str | None
    damaged: int = 0
    """So many damaged ones were set aside by this process."""
    unreadable: int = 0
    """So many rows were skipped."""


class Storage:
    """What the service knows of its files, and what of that it has told."""

    def __init__(self) -> None:
        """Begin with nothing wrong, and nothing to tell."""
        self.files: tuple[File, ...] = ()
        self._since: Millis | None = None
        self._told: tuple[object, ...] | None = None
        self._logged: dict[str, str] = {}
        self._garbled = 0

    def attempt(self, what: str, work: Callable[[], None]) -> bool:
        """Do what needs a file; tell whether it went well. What it was to store is kept in memory and tried again."""
        try:
            work()
        except (DatabaseError, StateError, OSError) as error:
            reason = str(error)
            if self._logged.get(what) != reason:
                # Its sentence says all: a trace of where it was raised helps nobody on site.
                log.error(  # noqa: TRY400
                    "what was seen could not be stored; it is kept in memory and tried again", file=what, reason=reason
                )
            self._logged[what] = reason
            return False
        if self._logged.pop(what, None) is not None:
            log.info("what was seen is stored again", file=what)
        return True

    def garbled(self, outbox: Outbox) -> int:
        """Return how many reports in the queue could not be read; as last known while it can't be asked."""
        with suppress(DatabaseError):
            self._garbled = outbox.status().damaged
        return self._garbled

    def note(self, files: Sequence[File]) -> None:
        """Take note of how the files stand, for the metrics alone."""
        self.files = tuple(files)

    def look(self, now: Millis, agent: str, files: Sequence[File], held: Held) -> Observation | None:
        """Take note of the files; return what the collector is to be told, None when it knows it already.

        That all is well is told when something was wrong before, also before a restart nobody remembers: not at first.
        """
        self.note(files)
        failing = [file for file in files if file.problem is not None]
        self._since = (self._since or now) if failing else None
        lost = max(held.journal.lost, held.reports.lost)
        damaged, unreadable = sum(file.damaged for file in files), sum(file.unreadable for file in files)
        word = (bool(failing), tuple(file.name for file in failing), lost, damaged, unreadable)
        if word == self._told or (self._told is None and word == (False, (), 0, 0, 0)):
            return None
        self._told = word
        return Observation(
            subject=Subject(kind="agent", id=agent), kind=Kind.STORAGE, start=now, end=now,
            state="failing" if failing else "ok", expires=now + HOLDS,
            detail=_without_place(failing[0].problem or "") if failing else "",
            facts={
                "failing": [file.name for file in failing], "since_at": self._since, "lost": lost, "damaged": damaged,
                "unreadable": unreadable,
            },
        )  # fmt: skip


def _without_place(sentence: str) -> str:
    """Return a sentence about a file without the folders it lies in: where they are is nobody's business at the centre."""
    return sentence.rpartition("/")[2][:500]
