"""Requests that are taken in together: the same as one after the other, whoever waits for whom."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select

from monitor.collector.ingest import ingest_together
from monitor.collector.verify import verify_institution
from monitor.model.report import Receipts
from monitor.model.span import SECOND
from monitor.store.engine import open_engine, reading, writing
from monitor.store.tables import AgentRow, DisputedReportRow, InstantRow, ReportRow, SpanRow
from support.centre import NOW, Centre, make_centre, span

SITES = ("wj-0001", "wj-0002", "wj-0003")
TABLES: tuple[Any, ...] = (ReportRow, SpanRow, InstantRow, DisputedReportRow, AgentRow)


def everything(engine: Engine) -> list[list[tuple[object, ...]]]:
    with reading(engine) as session:
        return [sorted(map(tuple, session.execute(select(*table.__table__.columns))), key=repr) for table in TABLES]


def forget(engine: Engine) -> None:
    """Leave the agents as they were when they were enrolled."""
    empty = {"reports": 0, "chain": None, "missing": 0, "forked_at": None, "disputed": 0, "version": None}
    with writing(engine) as session:
        for table in TABLES[:-1]:
            session.execute(delete(table))
        session.execute(
            AgentRow.__table__.update().values(  # type: ignore[attr-defined]
                last_report_at=None, silent_due_at=None, clock_offset=None, clock_at=None, **empty
            )
        )


@pytest.fixture
def centre(engine: Engine) -> Centre:
    made = make_centre(engine)
    for site in SITES:
        made.add(site)
    return made


def written(centre: Centre, site: str, number: int) -> bytes:
    start = NOW - (60 - number) * SECOND
    report = centre.report(span("camera/gate", "up" if number % 4 else "down", start, start + SECOND), institution=site)
    return centre.agents[site].envelope(report.to_bytes())


@given(
    order=st.lists(st.tuples(st.sampled_from(SITES), st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=8),
    cuts=st.sets(st.integers(1, 7)),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_together_comes_to_the_same_as_one_by_one(
    centre: Centre, engine: Engine, order: list[tuple[str, int, int]], cuts: set[int]
) -> None:
    """Any requests of any sites, copies and what is out of order included, cut into groups anyhow."""
    forget(engine)
    for agent in centre.agents.values():
        agent.after = None
    sealed = {site: [written(centre, site, number) for number in range(7)] for site in SITES}
    requests = [sealed[site][first : first + count] for site, first, count in order]
    told = [outcome for request in requests for outcome in ingest_together(centre.context, [request])]
    alone = everything(engine)
    forget(engine)
    edges = [0, *sorted(cut for cut in cuts if cut < len(requests)), len(requests)]
    again: list[Any] = []
    for begin, end in pairwise(edges):
        again += ingest_together(centre.context, requests[begin:end])
    assert everything(engine) == alone
    assert [_receipts(item) for item in again] == [_receipts(item) for item in told]


def _receipts(outcome: Receipts | Exception) -> object:
    assert isinstance(outcome, Receipts)
    return outcome.receipts


def test_groups_that_hold_each_others_sites_do_not_wait_for_each_other_for_ever(database_url: str) -> None:
    engine = open_engine(database_url)
    centre = make_centre(engine)
    for site in SITES:
        centre.add(site)
    sealed = {site: [written(centre, site, number) for number in range(16)] for site in SITES}
    start = threading.Barrier(2)
    found: list[Any] = []

    def work(sites: tuple[str, ...], numbers: range) -> None:
        start.wait()
        for number in numbers:
            found.extend(ingest_together(centre.context, [[sealed[site][number]] for site in sites]))

    threads = [
        threading.Thread(target=work, args=(SITES, range(16))),
        threading.Thread(target=work, args=(SITES[::-1], range(16))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [item for item in found if not isinstance(item, Receipts)] == []
    statuses = [item.receipts[0].status for item in found]
    assert (statuses.count("stored"), statuses.count("already have it")) == (48, 48)
    assert all(not verify_institution(centre.context, site).problems for site in SITES)
    engine.dispose()
