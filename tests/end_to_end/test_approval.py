"""A view's way: taken on site, proposed in a report, confirmed by an officer, and back in force on site."""

from __future__ import annotations

import json
from pathlib import Path

from agents.assignment import Assignment
from agents.baseline import approve
from agents.identity import keep, key_path
from agents.state import Enrolment, State
from agents.taking import Taken
from agents.views import ViewBook
from agents.vision.fingerprint import fingerprint
from monitor.collector.arrival import Identity
from monitor.collector.assignment import assignment
from monitor.collector.ingest import ingest
from monitor.collector.views import ViewMove, decide_view
from monitor.model.span import from_millis, to_millis
from monitor.store.engine import open_engine, reading
from monitor.store.schema import migrate
from monitor.store.views import open_proposals
from support.centre import INVENTORY, NOW, declared, make_centre
from support.ports import closed_port
from support.site import site_of, write_site
from support.views import drawn_room, looked_at

SITE = "wj-0001"


def test_a_view_is_proposed_on_site_confirmed_at_the_centre_and_in_force_on_site_again(tmp_path: Path) -> None:
    centre = make_centre(open_engine(f"sqlite:///{tmp_path}/centre.db"))
    migrate(centre.context.engine)
    sender = centre.add(SITE)
    centre.see(declared(NOW, INVENTORY))
    stream = f"rtsp://127.0.0.1:{closed_port()}/s"
    site = site_of(write_site(tmp_path, [{"id": "gate", "zones": ["gate"], "stream": stream}]))
    state = State(site.state_dir, SITE)
    keep(key_path(state.directory, sender.key.public.id), sender.key.pem())
    state.save_enrolment(
        Enrolment(
            institution=SITE, agent="box", collector="https://collector.example", key=sender.key.public.id,
            collector_key=centre.context.signing().public.jwk, nonce=sender.nonce,
        )
    )  # fmt: skip
    book = ViewBook(state, ["gate"])
    seen = fingerprint(looked_at(drawn_room(3)))
    (done,) = approve(site, state, centre.clock, book, [Taken("gate", state="ok", looks=5, fingerprint=seen)], "李园长")
    assert (done.outcome, book.of("gate")) == ("proposed", ())

    outbox = state.outbox()
    receipts = ingest(centre.context, [item.payload for item in outbox.take(10, 1 << 20)])
    outbox.close()
    assert [item.status for item in receipts.receipts] == ["stored"]
    with reading(centre.context.engine) as session:
        (view,) = open_proposals(session, SITE)
    assert (view.camera, view.proposal.by, from_millis(view.at)) == ("gate", "李园长", centre.clock.now())
    decide_view(centre.context, SITE, view.id, ViewMove.CONFIRM, "王督察")

    answer = json.dumps(assignment(centre.context, Identity(SITE, "box")).body)
    assert Assignment.model_validate_json(answer).views[0].approval().at == to_millis(centre.clock.now())
    state.put("assignment", {"from": "https://collector.example", "etag": "", "body": answer})
    book.refresh()
    (held,) = book.of("gate")
    assert (held.by, held.confirmed, held.light) == ("王督察", True, seen.light)
    assert held.fingerprint.to_json() == seen.to_json()
    assert [item.view for item in book.approvals()["gate"]] == [view.proposal.view]
    state.close()
    centre.context.engine.dispose()
