"""Whose view played footage shows: sure before anybody is accused."""

from __future__ import annotations

import numpy as np

from agents.scan.beside import Beside, Dated, beside
from agents.vision.fingerprint import Fingerprint, fingerprint
from agents.vision.thresholds import Thresholds
from support.views import drawn_room, looked_at

MINUTE, BEFORE, AFTER = 1000, 0, 2000
GATE, ROOM, HALL = (fingerprint(looked_at(drawn_room(seed))) for seed in (7, 5, 42))
DARK = fingerprint(looked_at((drawn_room(7) * 0.04).astype(np.uint8)))
VIEWS = {"gate": [Dated(GATE, BEFORE)], "room": [Dated(ROOM, BEFORE)], "hall": [Dated(HALL, AFTER)]}


def shown(*pictures: Fingerprint, views: dict[str, list[Dated]] | None = None) -> Beside:
    found = beside(pictures, "gate", VIEWS if views is None else views, MINUTE, Thresholds())
    return Beside(found.likeness, found.shows)


def test_one_picture_of_the_approved_view_matches() -> None:
    assert shown(GATE) == Beside("matches")
    assert shown(ROOM, GATE) == Beside("matches")
    assert shown(GATE, views={"gate": [Dated(GATE, AFTER)]}) == Beside("matches"), "whenever it was approved"


def test_another_camera_is_named_only_when_all_pictures_are_its_view() -> None:
    assert shown(ROOM, ROOM) == Beside("other", "room")
    assert shown(HALL) == Beside("other", "hall")
    assert shown(ROOM, HALL) == Beside("other")
    twins = {**VIEWS, "twin": [Dated(ROOM, BEFORE)]}
    assert shown(ROOM, views=twins) == Beside("other"), "it could be either of two"


def test_a_view_that_was_approved_later_accuses_nobody() -> None:
    assert shown(ROOM, views={"gate": [Dated(GATE, AFTER)], "room": [Dated(ROOM, BEFORE)]}) == Beside("unknown")


def test_what_is_too_dark_to_tell_or_was_never_approved_is_unknown() -> None:
    assert shown(DARK, views={"gate": [Dated(ROOM, BEFORE)]}) == Beside("unknown")
    assert shown(GATE, views={}) == Beside("unknown")
    assert shown(views=VIEWS) == Beside("unknown")
