"""Cameras beside their declaration: seen at work before the day on which they are said to have come."""

from __future__ import annotations

from datetime import date

from pydantic import JsonValue

from monitor.evaluation.basis import camera_subject
from monitor.model.calendar import local_date
from monitor.model.inventory import Camera, Recorder
from monitor.model.ledger import Facts
from monitor.model.span import Millis, isoformat


def seen_before_commissioned(facts: Facts, recorder: Recorder) -> list[JsonValue]:
    """Return the cameras that worked before the day on which they are said to have been commissioned.

    Whatever was behind the channel then was not the camera that is declared, or the date is wrong: a date moved forward
    would make a camera new again, and excuse its missing history.
    """
    found: list[JsonValue] = []
    zone = facts.inventory.institution.zone_info
    for camera in facts.inventory.cameras:
        if camera.recorder != recorder.id or camera.commissioned is None:
            continue
        worked = _worked(facts, camera)
        if worked is not None and local_date(worked, zone) < camera.commissioned:
            found.append(_early(camera, camera.commissioned, worked))
    return found


def _early(camera: Camera, commissioned: date, worked: Millis) -> dict[str, JsonValue]:
    return {"id": camera.id, "commissioned": commissioned.isoformat(), "worked_at": isoformat(worked)}


def _worked(facts: Facts, camera: Camera) -> Millis | None:
    """Return the first instant at which the agent knows the camera to have worked: frames, or footage since first contact.

    That it was asked for in vain is no sign of it; footage from before first contact may be another camera's.
    """
    first = facts.inventory_seen.get(camera_subject(camera.id))
    stream, reading = facts.streams.get(camera.id), facts.recordings.get(camera.id)
    starts = [None if stream is None else stream.where("up").start]
    if first is not None and reading is not None:
        starts.append(reading.footage.clip(first, facts.as_of).start)
    return min((start for start in starts if start is not None), default=None)
