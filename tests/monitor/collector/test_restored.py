"""A database restored from a backup: what it lost is told where an operator looks, and apart from what a site left out."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine
from structlog.testing import capture_logs

from dashboards.cli import _print_restored
from monitor.api.routes import build_api
from monitor.collector.nonce import new_nonce
from monitor.collector.own_keys import stored_nonce_key
from monitor.collector.restored import lost_here
from monitor.collector.verify_all import verify_all
from monitor.store import agents
from monitor.store.engine import reading, writing
from monitor.store.listening import listens
from support.centre import Centre, make_centre


def listening(centre: Centre, seconds: int) -> None:
    """Let time pass, and note that the collector listens."""
    for _ in range(seconds // 10):
        centre.clock.advance(10)
        with writing(centre.context.engine) as session:
            listens(session, centre.context.now())


@pytest.mark.parametrize("restored", [True, False])
def test_what_a_restored_database_lost_shows_in_the_log_the_metrics_and_where_it_is_verified(
    engine: Engine, restored: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """An hour after the backup the database is lost; the agent had two reports acknowledged in it, and follows the second."""
    centre = make_centre(engine)
    box = centre.add()
    listening(centre, 60)
    centre.see()
    if restored:
        centre.clock.advance(3600)  # of which the backup knows nothing
    else:
        listening(centre, 3600)
    for _ in range(2):
        box.envelope(centre.report().to_bytes())  # taken by what is lost; or left out by the site
    with reading(engine) as session:
        key = stored_nonce_key(session)
    assert key is not None
    word = centre.context.now()
    box.nonce = new_nonce(key, "wj-0001", "box", word)
    listening(centre, 60)
    with capture_logs() as said:
        centre.see()
    with capture_logs() as later:
        centre.see()
    assert later == []
    assert [(line["log_level"], line["agent"], line["reports"]) for line in said] == (
        [("warning", "box", 2)] if restored else []
    )
    with reading(engine) as session:
        found = [
            (agent.id, gap.count, gap.nonce_at)
            for agent, gaps in lost_here(session, agents.agents_of(session, "wj-0001"))
            for gap in gaps
        ]
    assert found == ([("box", 2, word)] if restored else [])
    for checked in verify_all(centre.context, ["wj-0001"], 1, lambda _said: None):
        _print_restored(checked)
    told = capsys.readouterr().out
    assert told.startswith("wj-0001\tbox\tnote: 2 reports missing: the next report carries") is restored
    assert ("it was restored from a backup, and may have lost these reports itself" in told) is restored
    with TestClient(build_api(centre.context)) as client:
        families = {item.name: item for item in text_string_to_metric_families(client.get("/metrics").text)}
    values = [
        families[f"cradlewatch_agent_{name}"].samples[0].value for name in ("missing_reports", "reports_lost_here")
    ]
    assert values == [2, 2 if restored else 0]
