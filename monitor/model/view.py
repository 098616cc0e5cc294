"""Approved views: what each camera is meant to show, one a light, known by the id of its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from monitor.model.observation import digest_of
from monitor.model.span import Millis

PREFIX = "view:"
"""What a cause begins with that names the approved view a picture was found to agree with."""

_DIGITS = 16


@dataclass(frozen=True)
class Approval:
    """A view of one camera in one light was approved at an instant, by somebody; later ones of the light replace it."""

    light: str
    view: str
    """Id of the view, as of `view_id`."""
    at: Millis
    by: str = ""
    settled_at: Millis | None = None
    """When an officer said that faults found against earlier views are over by it; None: nobody said so."""


def view_id(fingerprint: Mapping[str, JsonValue]) -> str:
    """Return the id of a view: a digest of its fingerprint's canonical JSON, short enough for a cause."""
    return PREFIX + digest_of(dict(fingerprint)).removeprefix("sha256:")[:_DIGITS]
