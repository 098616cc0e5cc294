"""Approves or proposes the views that were taken of a site's cameras."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from pydantic import JsonValue

from agents.reporter import Reporter
from agents.site import Site
from agents.sketch import sketch
from agents.state import State
from agents.taking import Taken
from agents.views import ViewBook
from agents.vision.diagnose import OK
from agents.vision.fingerprint import Fingerprint
from monitor.model.clock import Clock
from monitor.model.observation import Kind, Observation, Source, Subject
from monitor.model.span import DAY, SECOND, Basis, Millis, isoformat, to_millis
from monitor.model.view import Proposal, view_id

HOLDS_FOR: Millis = 3660 * DAY - DAY
"""A proposal waits for an officer for as long as it takes."""

_EXTENSIONS = {"h264": "h264", "h265": "h265", "mjpeg": "jpg"}


class BaselineError(Exception):
    """Views can't be taken or approved as asked; the text is one sentence."""


def _view(taken: Taken) -> Fingerprint:
    if taken.fingerprint is None:
        raise BaselineError(f"camera {taken.camera}: no view was taken")
    return taken.fingerprint


def approve(site: Site, state: State, clock: Clock, book: ViewBook, taken: Sequence[Taken], by: str) -> list[Taken]:
    """Approve the views in the name of `by`; once enrolled, propose them: an officer confirms at the centre.

    Views with a problem are refused. Each approval is written down as an observation; what it was held against, and
    how far it overlaps, stays with it. Raises BaselineError without a name, DatabaseError when nothing can be kept.
    """
    who = by.strip()[:200]
    if not who:
        raise BaselineError("--by is empty: write the name of the person who vouches for these views")
    enrolled = state.enrolment() is not None
    at = to_millis(clock.now())
    sound = [item for item in taken if not item.problem]
    observations = [_observation(item, at, who, proposed=enrolled) for item in sound]
    journal = state.journal()
    try:
        journal.append(observations)
    finally:
        journal.close()
    if enrolled and observations:
        _report(state, clock, observations)
    for item in sound:
        if not enrolled:
            book.approve(item.camera, _view(item), at, who)
        if site.keep_images:
            _keep_image(state, item)
    done = "proposed" if enrolled else "approved"
    return [replace(item, outcome="refused" if item.problem else done) for item in taken]


def _observation(taken: Taken, at: Millis, by: str, *, proposed: bool) -> Observation:
    view, held = _view(taken), taken.in_force
    written = view.to_json()
    facts = Proposal(
        light=view.light,
        view=view_id(written),
        by=by,
        looks=taken.looks,
        overlap=None if held is None else round(held.overlap, 4),
        state=taken.state or OK,
        second_look=taken.second_look,
        left_ratio=taken.left_ratio,
        sketch=sketch(view),
        fingerprint=written,
    ).model_dump(mode="json")
    return Observation(
        subject=Subject(kind="camera", id=taken.camera), kind=Kind.BASELINE, start=at, end=at,
        state="proposed" if proposed else "approved", basis=Basis.ATTESTED, source=Source.PERSON,
        expires=at + HOLDS_FOR, facts=facts,
    )  # fmt: skip


def _report(state: State, clock: Clock, observations: Sequence[Observation]) -> None:
    outbox = state.outbox()
    try:
        identity = state.identity()
        if identity is not None:
            Reporter(outbox, clock, identity, state.boot).report(observations)
    finally:
        outbox.close()


def _keep_image(state: State, taken: Taken) -> None:
    """Keep the camera's own keyframe, as it came, for its owner alone; it is never sent anywhere."""
    folder = state.directory / "views"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{taken.camera}-{_view(taken).light}.{_EXTENSIONS.get(taken.codec, 'bin')}"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(taken.keyframe)


def as_json(site: Site, at: Millis, taken: Sequence[Taken]) -> dict[str, JsonValue]:
    """Return the form for scripts."""
    return {
        "schema": "cradlewatch.baseline/1",
        "institution": site.institution.id,
        "as_of": isoformat(at // SECOND * SECOND),
        "cameras": [item.to_json() for item in taken],
    }
