"""What the collector assigns: pack, hours, closures, waivers, approved inventory and views; the last good one is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from agents.collector import Collector, CollectorError
from agents.state import State
from monitor.model.calendar import Waiver
from monitor.model.inventory import Closure, Identifier, Inventory, OpeningHours
from monitor.model.observation import At
from monitor.model.regulation import Regulation
from monitor.model.view import Approval
from monitor.regulations.messages import said

PATH = "/api/v1/agents/self/assignment"
_KEY = "assignment"

log = structlog.get_logger()


class AssignedView(BaseModel):
    """A view that an officer confirmed. Of each light the newest has its fingerprint: it is the one in force."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    camera: Identifier
    light: str
    view: str
    at: At
    by: str = ""
    settled_at: At | None = None
    fingerprint: dict[str, JsonValue] | None = None

    def approval(self) -> Approval:
        """Return what the judge is told of it."""
        return Approval(self.light, self.view, self.at, self.by, self.settled_at)


class Assignment(BaseModel):
    """The answer of the collector. Keys that this version doesn't know are left alone: a newer collector may say more."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    schema_: Literal["cradlewatch.assignment/1"] = Field(alias="schema")
    institution: Identifier
    regulation: Regulation
    hours: OpeningHours | None = None
    closures: tuple[Closure, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    inventory: Inventory | None = None
    views: tuple[AssignedView, ...] = ()
    minimum_version: str | None = None

    def apply_to(self, declared: Inventory) -> Inventory:
        """Return the inventory to judge by: the approved one, else the declared one with the hours assigned."""
        if self.inventory is not None:
            return self.inventory
        changes: dict[str, object] = {}
        if self.hours is not None:
            changes["hours"] = self.hours
        if self.closures:
            changes["closures"] = self.closures
        return declared.model_copy(update=changes)


def kept_assignment(state: State) -> Assignment | None:
    """Return the last good assignment; None when there is none, or none that this version can read."""
    kept = state.get(_KEY)
    try:
        return Assignment.model_validate_json(str(kept["body"])) if isinstance(kept, dict) else None
    except (ValidationError, KeyError):
        return None


class Assigned:
    """Asks for the assignment and keeps it."""

    def __init__(self, state: State, collector: Callable[[], Collector | None]) -> None:
        """Keep in `state` what `collector` (None: not enrolled) assigns."""
        self._state = state
        self._collector = collector
        self.problem = ""
        """Why the newest assignment isn't used, one sentence; empty when it is."""
        self._current: Assignment | None = None

    def current(self) -> Assignment | None:
        """Return the last good assignment, while the agent is enrolled: as of the last `refresh`."""
        return self._current

    def refresh(self) -> None:
        """Look whether the agent is enrolled, and read what is kept. May be done in a thread."""
        self._current = kept_assignment(self._state) if self._state.has_enrolment() else None

    async def pull(self) -> Assignment | None:
        """Ask for it; return it when it is new, else None. On any failure the last good one stays (see `problem`)."""
        try:
            collector = await asyncio.to_thread(self._collector)
            if collector is None:
                return None
            answer = await collector.get(PATH, await asyncio.to_thread(self._unless_known, collector))
            if answer.status == 304:
                self.problem = ""
                return None
            assignment = await asyncio.to_thread(self._read, answer.body)
        except CollectorError as error:
            self.problem = str(error)
            log.warning("assignment not pulled", reason=self.problem)
            return None
        self._state.put(
            _KEY, {"from": collector.url, "etag": answer.headers.get("etag", ""), "body": answer.body.decode()}
        )
        await asyncio.to_thread(self.refresh)
        self.problem = ""
        return assignment

    def _unless_known(self, collector: Collector) -> dict[str, str]:
        """Ask for a change only, when what is kept is good and from the same collector."""
        kept = self._state.get(_KEY)
        if not isinstance(kept, dict) or kept.get("from") != collector.url or kept_assignment(self._state) is None:
            return {}
        etag = kept.get("etag")
        return {"If-None-Match": etag} if isinstance(etag, str) and etag else {}

    def _read(self, body: bytes) -> Assignment:
        try:
            assignment = Assignment.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            raise CollectorError(
                f"the assignment can't be read ({key}: {said(first, show=False)}); the last one stays"
            ) from None
        enrolment = self._state.enrolment()
        if enrolment is not None and assignment.institution != enrolment.institution:
            raise CollectorError(f"the assignment is for institution {assignment.institution}; the last one stays")
        return assignment
