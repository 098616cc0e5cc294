"""A district whose agents reported each hour, by the real way in."""

from __future__ import annotations

from sqlalchemy import func, select

from monitor.collector.evaluate import evaluate
from monitor.model.observation import Kind
from monitor.model.span import HOUR, MINUTE
from monitor.store.engine import open_engine, reading
from monitor.store.schema import migrate
from monitor.store.tables import InstantRow, SpanRow
from support.centre import INVENTORY, Centre, declared, index, make_centre, span

CAMERAS = ("gate", "room1")


def make_district(url: str, institutions: int, reports: int) -> int:
    """Make a database in which so many institutions reported so often; return how many rows their ledgers have."""
    engine = open_engine(url)
    migrate(engine)
    centre = make_centre(engine)
    names = [f"wj-{number:04}" for number in range(1, institutions + 1)]
    for name in names:
        centre.add(name)
        centre.see(declared(centre.context.now(), _inventory(name)), institution=name)
    for _ in range(reports):
        centre.clock.advance(HOUR / 1000)
        for name in names:
            _report(centre, name)
    for name in names:
        evaluate(centre.context, name)
    with reading(engine) as session:
        rows = sum(session.scalars(select(func.count()).select_from(table)).one() for table in (SpanRow, InstantRow))
    engine.dispose()
    return rows


def _inventory(name: str) -> dict[str, object]:
    return {**INVENTORY, "institution": {"id": name, "name": name}}


def _report(centre: Centre, name: str) -> None:
    """Report an hour: each camera up but for a minute, its picture, and its recorder's index."""
    at = centre.context.now()
    seen = []
    for camera in CAMERAS:
        who = f"camera/{camera}"
        cut = at - 30 * MINUTE
        seen += [
            span(who, "up", at - HOUR, cut),
            span(who, "down", cut, cut + MINUTE, cause="timeout"),
            span(who, "up", cut + MINUTE, at),
        ]
        seen += [
            span(who, "ok", at - HOUR, at, kind=Kind.VIEW),
            index(camera, at - MINUTE, 95, holes=[(cut, cut + MINUTE)]),
        ]
    centre.see(*seen, institution=name)
