"""Observations: their digest is their content's, however they came about."""

from __future__ import annotations

from monitor.model.observation import Observation
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
