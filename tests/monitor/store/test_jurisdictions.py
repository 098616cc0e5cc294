"""The register of supervising areas: whatever is added, it stays a tree."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from monitor.model.inventory import Jurisdiction, Level
from monitor.store.registry import RegisterError, add_jurisdiction, jurisdictions

codes = st.sampled_from("abcd")
areas = st.builds(Jurisdiction, code=codes, name=st.just("x"), level=st.sampled_from(Level), parent=st.none() | codes)


def add(session: Session, code: str, level: Level, parent: str | None = None) -> None:
    add_jurisdiction(session, Jurisdiction(code=code, name="x", level=level, parent=parent))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(areas, max_size=16))
def test_whatever_is_added_it_stays_a_tree(engine: Engine, asked: list[Jurisdiction]) -> None:
    with Session(engine) as session:  # nothing is committed: each example begins with an empty register
        for area in asked:
            with contextlib.suppress(RegisterError):
                add_jurisdiction(session, area)
        parents = {item.code: item.parent for item in jurisdictions(session)}
    for code in parents:
        above: list[str] = []
        at: str | None = code
        while at is not None:
            assert at not in above, parents
            above.append(at)
            at = parents[at]


def test_a_circle_and_a_level_above_its_parents_are_refused(engine: Engine) -> None:
    with Session(engine) as session:
        add(session, "320509", Level.DISTRICT)
        add(session, "320509101", Level.TOWN, "320509")
        with pytest.raises(
            RegisterError, match=r"320509101 \(town\) can't stand above 320509 \(district\): the levels"
        ):
            add(session, "320509", Level.DISTRICT, "320509101")
        with pytest.raises(RegisterError, match="320509 can't be its own parent"):
            add(session, "320509", Level.TOWN, "320509")
        with pytest.raises(RegisterError, match=r"320509 \(town\) can't stand above 320509101 \(town\)"):
            add(session, "320509", Level.TOWN)  # what lies below it would no longer fit
        with pytest.raises(RegisterError, match=r"320509 \(district\) can't stand above 320500 \(city\)"):
            add(session, "320500", Level.CITY, "320509")
        add(session, "32", Level.PROVINCE)
        add(session, "320509", Level.DISTRICT, "32")  # levels may be left out
