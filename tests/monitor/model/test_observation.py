"""Observations: their digest is their content's, however they came about."""

from __future__ import annotations

import pytest

from monitor.model.observation import LONGEST_PRESENCE, LONGEST_READING, STATEMENTS, Kind, Observation
from monitor.model.span import DAY
from support.centre import NOW, instant, span
from support.scene import healthy


def test_a_copy_has_the_digest_of_what_it_says() -> None:
    for item in healthy():
        before = item.digest
        changed = item.model_copy(update={"detail": item.detail + "!"})
        assert changed.digest != before
        assert changed.digest == Observation.model_validate_json(changed.model_dump_json()).digest
        assert item.model_copy().digest == item.digest == before
        assert item.model_copy() == item
        assert "digest" not in item.model_dump()


@pytest.mark.parametrize("kind", list(Kind))
def test_only_what_a_person_says_holds_for_as_long_as_it_says(kind: Kind) -> None:
    """A look that is said to hold for years would hide all that comes after it, once its agent falls silent."""
    far = NOW + 3600 * DAY
    present = kind in {Kind.STREAM, Kind.VIEW, Kind.REACH, Kind.AGENT}
    made = span("camera/gate", "ok", NOW - 1, NOW, kind=kind) if present else instant("camera/gate", kind, NOW, {})
    longest = LONGEST_PRESENCE if present else LONGEST_READING
    assert made.holds_until == made.expires, "what says less is believed"
    said = made.model_copy(update={"expires": far})
    assert said.holds_until == (far if kind in STATEMENTS else NOW + longest)
