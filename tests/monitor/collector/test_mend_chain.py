"""What is kept of an agent's chain may be spoilt: reports are taken in all the same, it is said, and it is made again from them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from monitor.api.routes import build_api
from monitor.collector.evaluate import evaluate
from monitor.collector.evidence import ExportError, export_evidence
from monitor.collector.ingest import ingest
from monitor.collector.mend_chain import MendError, mend_chain
from monitor.collector.verify import verify_institution
from monitor.model.envelope import MEDIA_TYPE, frame
from monitor.model.observation import Kind
from monitor.model.span import DAY
from monitor.store.agents import AgentSummary, agents_of
from monitor.store.engine import reading
from monitor.store.findings import finding_rows
from support.centre import BOOT, NOW, Centre, declared, index, instant, make_centre, span
from support.packs import pack

SITE = "wj-0001"
SPOILT = [
    "nonsense",
    "{",
    "[]",
    "7",
    '{"segments": 3}',
    '{"written by": "a newer version"}',
    '{"told": []}x',
    "[" * 5000,
]


@pytest.fixture
def centre(engine: Engine) -> Centre:
    made = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    made.add()
    made.see(declared(NOW - DAY), index("gate", NOW, 36))
    see(made, 2)
    return made


def see(centre: Centre, count: int) -> None:
    for _ in range(count):
        centre.clock.advance(60)
        centre.see(span("camera/gate", "up", centre.context.now() - 60_000, centre.context.now()))


def spoil(centre: Centre, chain: str = "nonsense") -> None:
    with centre.context.engine.begin() as connection:
        connection.execute(text("UPDATE agent SET chain = :chain"), {"chain": chain})


def agent(centre: Centre) -> AgentSummary:
    with reading(centre.context.engine) as session:
        (found,) = agents_of(session, SITE)
    return found


def problems(centre: Centre) -> list[str]:
    return verify_institution(centre.context, SITE).problems


@pytest.mark.parametrize("chain", SPOILT)
def test_reports_are_taken_in_and_the_chain_is_what_it_would_have_been(centre: Centre, chain: str) -> None:
    spoil(centre, chain)
    since = centre.context.now() + 60_000
    with capture_logs() as logs:
        see(centre, 3)
    (said,) = [item for item in logs if "can't be read" in item["event"]]
    assert (said["log_level"], said["institution"], said["agent"]) == ("error", SITE, "box")
    found = agent(centre)
    assert (found.state, found.reports, found.chain_lost_at) == ("unreadable", 6, since)
    with centre.context.engine.connect() as connection:  # what somebody wrote there stays to be looked at
        assert connection.execute(text("SELECT chain FROM agent")).scalar_one() == chain
    (problem,) = problems(centre)
    assert "what is kept of its chain can't be read, and lacks reports since 2026-11-23T04:03:00Z" in problem
    done = mend_chain(centre.context, SITE, "box")
    assert (done.reports, done.left_out, done.agent.state) == (6, 0, "whole")
    assert problems(centre) == []
    see(centre, 2)
    assert (agent(centre).state, problems(centre)) == ("whole", [])


def test_a_chain_that_can_be_read_again_is_not_believed_where_it_lacks_reports(centre: Centre) -> None:
    """As when a newer version wrote it, and an older one took reports in meanwhile: the next one would look like a fork."""
    with centre.context.engine.connect() as connection:
        kept = connection.execute(text("SELECT chain FROM agent")).scalar_one()
    spoil(centre)
    see(centre, 1)
    spoil(centre, kept)
    see(centre, 1)
    assert agent(centre).state == "unreadable"
    assert mend_chain(centre.context, SITE, "box").agent.state == "whole"
    assert problems(centre) == []


def test_nothing_is_refused_that_would_be_taken_nor_taken_that_would_be_refused(centre: Centre) -> None:
    own = centre.agents[SITE]
    first = centre.report()
    spoil(centre)
    assert [item.status for item in centre.give([first.to_bytes()])] == ["stored"]
    assert [item.status for item in centre.give([first.to_bytes()])] == ["already have it"]
    other = first.model_copy(update={"monotonic_seconds": 2.0})
    assert [item.reason for item in centre.send(other)] == ["equivocation"]
    place = own.after
    assert place is not None
    own.after = place.model_copy(update={"sequence": 99})
    assert [item.reason for item in centre.send(centre.report())] == ["order"]


def test_holes_forks_and_what_was_given_up_come_back(centre: Centre) -> None:
    own = centre.agents[SITE]
    own.envelope(centre.report().to_bytes())  # lost on the way
    see(centre, 1)
    own.envelope(centre.report().to_bytes())  # given up
    centre.clock.advance(60)
    ranges = [{"boot": BOOT, "first": 6, "last": 6, "why": "full", "digests": []}]
    centre.see(instant("agent/box", Kind.DROPPED, centre.context.now(), {"ranges": ranges}, state="dropped"))
    before = agent(centre)
    assert (before.missing, before.chain.dropped) == (2, 1)
    spoil(centre)
    found = mend_chain(centre.context, SITE, "box").agent
    assert found == before
    spoil(centre)
    place = own.after
    for _ in range(2):  # both follow the same one, while nothing can tell
        own.after = place
        see(centre, 1)
    assert agent(centre).forked_at is None
    found = mend_chain(centre.context, SITE, "box").agent
    assert (found.state, found.forked_at, found.missing) == ("forked", centre.context.now(), 2)
    assert problems(centre) == []


def test_what_was_edited_stays_named_after_it(centre: Centre, engine: Engine) -> None:
    spoil(centre)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM report WHERE sequence = 2"))
        connection.execute(text("UPDATE report SET envelope = :new WHERE sequence = 1"), {"new": b"x"})
    named = [item for item in problems(centre) if "mend" not in item]
    assert any("3 reports were taken in, and 2 are stored" in item for item in named)
    done = mend_chain(centre.context, SITE, "box")
    assert (done.reports, done.left_out, done.agent.missing) == (1, 1, 2)
    after = problems(centre)
    assert all(item in after for item in named if "is not as" not in item)


def test_nobody_else_waits_and_every_answer_is_given(centre: Centre, engine: Engine) -> None:
    spoil(centre)
    centre.add("wj-0002")
    own = centre.agents[SITE]
    bodies = [own.envelope(centre.report().to_bytes()) for _ in range(2)]
    with TestClient(build_api(centre.context), raise_server_exceptions=False) as client:
        answer = client.post("/api/v1/reports", content=frame(bodies), headers={"Content-Type": MEDIA_TYPE})
        assert (answer.status_code, [item["status"] for item in answer.json()["receipts"]]) == (200, ["stored"] * 2)
        metrics = client.get("/metrics").text
    assert 'cradlewatch_agent_chain_unreadable{agent="box",institution="wj-0001"} 1.0' in metrics
    assert 'cradlewatch_agent_chain_unreadable{agent="box",institution="wj-0002"} 0.0' in metrics
    found = agent(centre).to_json()["chain"]
    assert isinstance(found, dict)
    assert (found["state"], found["unreadable"]) == ("unreadable", True)


def test_no_bundle_says_of_it_that_reports_are_gone(centre: Centre, tmp_path: Path) -> None:
    evaluate(centre.context, SITE)
    with reading(centre.context.engine) as session:
        finding = finding_rows(session, institution=SITE)[0]
    spoil(centre)
    with pytest.raises(ExportError, match=r"agent mend box --institution wj-0001` makes it again"):
        export_evidence(centre.context, finding.id, tmp_path / "bundle.zip")
    mend_chain(centre.context, SITE, "box")
    assert export_evidence(centre.context, finding.id, tmp_path / "bundle.zip") == 3


def test_who_is_not_there_is_named(centre: Centre) -> None:
    with pytest.raises(MendError, match="wj-0001 has no agent other"):
        mend_chain(centre.context, SITE, "other")


def test_a_chain_that_can_be_read_becomes_itself(centre: Centre) -> None:
    before = agent(centre)
    assert mend_chain(centre.context, SITE, "box").agent == before


@pytest.mark.parametrize("boot", [BOOT, "b" * 32])
def test_what_follows_a_stored_report_with_an_older_nonce_is_refused_meanwhile_too(centre: Centre, boot: str) -> None:
    """It ends the chain, so that nothing would show it once that is made again."""
    own = centre.agents[SITE]
    old = own.nonce
    see(centre, 3)
    spoil(centre)
    sent = own.envelope(centre.report(boot=boot).to_bytes(), nonce=old)
    (receipt,) = ingest(centre.context, [sent]).receipts
    assert (receipt.status, receipt.reason) == ("rejected", "nonce")


def test_what_was_out_of_order_meanwhile_is_named_when_the_chain_is_made_again(centre: Centre) -> None:
    """What it follows comes in after it, so that nobody could tell when it did."""
    own = centre.agents[SITE]
    old = own.nonce
    see(centre, 3)
    spoil(centre)
    report = centre.report()
    first = own.envelope(report.to_bytes())
    back = centre.report(boot="b" * 32).model_copy(update={"sequence": 1})
    for sent in (own.envelope(back.to_bytes(), nonce=old), first):
        assert [item.status for item in ingest(centre.context, [sent]).receipts] == ["stored"]
    done = mend_chain(centre.context, SITE, "box")
    assert done.out_of_order == ((BOOT, report.sequence),), "the later one to come in of the two that don't go together"
    assert (done.agent.state, done.agent.missing) == ("forked", 0)
