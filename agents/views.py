"""Approved views on site: fingerprints by camera and light, never a picture. Those that an officer confirmed come first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import JsonValue, ValidationError

from agents.assignment import AssignedView, kept_assignment
from agents.state import State
from agents.vision.fingerprint import Fingerprint
from agents.vision.light import Light
from agents.vision.match import Match
from monitor.model.inventory import Strict
from monitor.model.observation import At
from monitor.model.view import Approval, view_id

MOST_EARLIER = 20
"""How many approvals of one camera are remembered after others took their place."""

log = structlog.get_logger()


@dataclass(frozen=True)
class ApprovedView:
    """An approved view that is in force: what one camera is meant to show in one light."""

    light: Light
    view: str
    """Its id (monitor.model.view.view_id)."""
    by: str
    fingerprint: Fingerprint
    confirmed: bool
    """By an officer at the centre; else approved on site alone."""


class _Kept(Strict):
    """One approval made on site, as it lies in the state directory."""

    light: str
    view: str
    at: At
    by: str
    fingerprint: dict[str, JsonValue] | None = None
    """None once another one took its place."""


class ViewBook:
    """The approved views of a site's cameras, read once and again when `refresh` is called."""

    def __init__(self, state: State, cameras: Sequence[str]) -> None:
        """Read what is approved of these cameras. Raises DatabaseError, StateError."""
        self._state = state
        self._cameras = tuple(cameras)
        self._in_force: dict[str, tuple[ApprovedView, ...]] = {}
        self._approvals: dict[str, tuple[Approval, ...]] = {}
        self._read: dict[str, Fingerprint] = {}
        """Fingerprints read so far, by id: a refresh every minute costs little then."""
        self.refresh()

    def refresh(self) -> None:
        """Read again: an officer confirmed, or somebody approved a view beside the service. May be done in a thread."""
        in_force, approvals = dict[str, tuple[ApprovedView, ...]](), dict[str, tuple[Approval, ...]]()
        assignment = kept_assignment(self._state) if self._state.has_enrolment() else None
        assigned = assignment.views if assignment is not None else ()
        for camera in self._cameras:
            confirmed = [item for item in assigned if item.camera == camera]
            kept = _kept(self._state.get(_key(camera)))
            views = {item.light: item for item in self._views(kept, confirmed=False)}
            views |= {item.light: item for item in self._views(confirmed, confirmed=True)}
            in_force[camera] = tuple(views.values())
            said = [item.approval() for item in confirmed] if assignment is not None else list(map(_approval, kept))
            approvals[camera] = tuple(sorted(said, key=lambda item: item.at))
        self._in_force, self._approvals = in_force, approvals

    def of(self, camera: str) -> tuple[ApprovedView, ...]:
        """Return the views in force of a camera, one a light: the officer's, else those approved on site."""
        return self._in_force.get(camera, ())

    def approvals(self) -> Mapping[str, tuple[Approval, ...]]:
        """Return the approvals by which the site is judged: once enrolled, those that an officer confirmed."""
        return {camera: items for camera, items in self._approvals.items() if items}

    def approve(self, camera: str, fingerprint: Fingerprint, at: int, by: str) -> str:
        """Approve a view on site, in place of the one of its light; return its id. Durable when this returns."""
        written = fingerprint.to_json()
        fresh = _Kept(light=fingerprint.light, view=view_id(written), at=at, by=by, fingerprint=written)
        before = [
            item.model_copy(update={"fingerprint": None}) if item.light == fresh.light else item
            for item in _kept(self._state.get(_key(camera)))
        ]
        in_force = [item for item in before if item.fingerprint is not None]
        earlier = [item for item in before if item.fingerprint is None][-MOST_EARLIER:]
        kept: list[JsonValue] = [item.model_dump(mode="json") for item in (*earlier, *in_force, fresh)]
        self._state.put(_key(camera), kept)
        self.refresh()
        return fresh.view

    def _views(self, items: Iterable[_Kept | AssignedView], *, confirmed: bool) -> Iterator[ApprovedView]:
        """Yield those in force; one that can't be used is none."""
        for item in items:
            if item.fingerprint is None:
                continue
            found = self._read.get(item.view) or _fingerprint(item.fingerprint, item.view)
            if found is not None:
                self._read[item.view] = found
                yield ApprovedView(found.light, item.view, item.by, found, confirmed)


def agreed_view(matched: Match | None, views: Sequence[ApprovedView]) -> str | None:
    """Return the id of the approved view that a look was held against; None for none, or one of another light."""
    if matched is None or not matched.same_light:
        return None
    return next((item.view for item in views if item.light == matched.beside), None)


def _key(camera: str) -> str:
    return f"views/{camera}"


def _kept(value: JsonValue) -> list[_Kept]:
    """Read what was kept; what can't be read any more is no approved view."""
    found = []
    for item in value if isinstance(value, list) else ():
        try:
            found.append(_Kept.model_validate(item))
        except ValidationError:
            log.warning("an approved view that was kept can't be read; take it again")
    return found


def _fingerprint(value: dict[str, Any], view: str) -> Fingerprint | None:
    """Read a fingerprint; one of another version, or that is not the one that was approved, is none."""
    try:
        found = Fingerprint.from_json(value)
    except ValueError as error:
        log.warning("an approved view can't be used", view=view, reason=str(error))
        return None
    if view_id(value) != view:
        log.warning("an approved view is not what was approved", view=view)
        return None
    return found


def _approval(item: _Kept) -> Approval:
    return Approval(item.light, item.view, item.at, item.by)
