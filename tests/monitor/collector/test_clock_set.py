"""The centre is told that an agent's clock was set back: what was told twice is unknown, and the index may settle it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from agents.run import clock_set
from monitor.collector.evaluate import evaluate
from monitor.collector.verify import verify_institution
from monitor.model.ledger import fold
from monitor.model.observation import Subject
from monitor.model.span import HOUR
from monitor.store.engine import reading
from monitor.store.ledger import load_observations
from support.centre import NOW, declared, make_centre, span


def test_an_outage_told_before_the_clock_went_back_does_not_vanish(engine: Engine) -> None:
    centre = make_centre(engine)
    centre.add()
    centre.see(declared(NOW - 5 * HOUR), span("camera/gate", "up", NOW - 3 * HOUR, NOW - 2 * HOUR))
    centre.see(span("camera/gate", "down", NOW - 2 * HOUR, NOW - HOUR, cause="refused"))
    step = clock_set(Subject(kind="agent", id="box"), NOW - HOUR, NOW - 2 * HOUR)
    centre.see(step, span("camera/gate", "up", NOW - 2 * HOUR, NOW))
    evaluate(centre.context, "wj-0001")
    with reading(centre.context.engine) as session:
        facts = fold(load_observations(session, "wj-0001", NOW), NOW)
    assert facts is not None
    spans: list[tuple[Any, ...]] = [(s.state, s.cause, s.start - NOW, s.end - NOW) for s in facts.streams["gate"].spans]
    assert spans == [
        ("up", None, -3 * HOUR, -2 * HOUR),
        ("unknown", "clock_set", -2 * HOUR, -HOUR),
        ("up", None, -HOUR, 0),
    ]
    assert not facts.agents["box"].spans, "that the clock was set doesn't say how the agent was"
    found = verify_institution(centre.context, "wj-0001")
    assert (found.ledger.problems, found.findings.problems) == ([], [])
