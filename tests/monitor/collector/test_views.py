"""Views that a site proposes: an officer confirms or rejects, the agent hears of it, and no finding is closed by it alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import Engine

from monitor.api.routes import build_api
from monitor.collector.arrival import Identity
from monitor.collector.assignment import assignment
from monitor.collector.evaluate import evaluate, verdicts_as_of
from monitor.collector.views import NoSuchViewError, ViewMove, ViewMoveError, decide_view
from monitor.model.observation import Kind, Observation, Source
from monitor.model.span import HOUR, MINUTE, Millis
from monitor.model.view import Proposal, Sketch, view_id
from monitor.store.accounts import create_api_token, create_user
from monitor.store.engine import reading, writing
from monitor.store.findings import current_verdicts, finding_rows
from monitor.store.views import ProposedView, listed, open_proposals
from support.centre import INVENTORY, NOW, Centre, declared, instant, make_centre, span
from support.packs import pack
from support.planted import plant

SKETCH = ["..ab", "CD..", "efGH"]
SITE = "wj-0001"


def seen_as(number: int) -> dict[str, Any]:
    return {"version": 1, "cells": f"of view {number}", "luma": 100.25}


def proposal(at: Millis, number: int = 1, *, light: str = "day", camera: str = "gate", **more: Any) -> Observation:
    facts = {
        "light": light, "view": view_id(seen_as(number)), "by": "李园长", "looks": 5, "overlap": None, "state": "ok",
        "sketch": {"rows": SKETCH}, "fingerprint": seen_as(number), **more,
    }  # fmt: skip
    return instant(f"camera/{camera}", Kind.BASELINE, at, facts, state="proposed", source=Source.PERSON)


@pytest.fixture
def centre(engine: Engine) -> Centre:
    made = make_centre(engine, pack(view={"approved_view_required": True}))
    made.add()
    made.see(declared(NOW - HOUR))
    return made


def waiting(centre: Centre) -> list[ProposedView]:
    with reading(centre.context.engine) as session:
        return open_proposals(session, SITE)


def view_state(centre: Centre) -> str:
    with reading(centre.context.engine) as session:
        rows = current_verdicts(session, SITE)
    return next(row.state for row in rows if (row.requirement, row.subject_id) == ("view", "gate"))


def moved(centre: Centre) -> list[tuple[str, Millis | None]]:
    with reading(centre.context.engine) as session:
        rows = finding_rows(session, institution=SITE, requirement="view")
    return [(row.state, None if row.ended is None else row.ended - NOW) for row in rows]


def looked(state: str, start: Millis, end: Millis, number: int | None = None) -> Observation:
    cause = None if number is None else view_id(seen_as(number))
    return span("camera/gate", state, start, end, kind=Kind.VIEW, cause=cause)


def confirm(centre: Centre, **more: Any) -> ProposedView:
    (view,) = waiting(centre)
    return decide_view(centre.context, SITE, view.id, ViewMove.CONFIRM, "王督察", **more)


def told(centre: Centre) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = assignment(centre.context, Identity(SITE, "box")).body["views"]
    return found


def test_a_proposed_view_counts_when_an_officer_confirmed_it_and_the_agent_is_told(centre: Centre) -> None:
    centre.see(proposal(NOW - MINUTE), looked("ok", NOW - HOUR, NOW))
    evaluate(centre.context, SITE)
    assert view_state(centre) == "no_baseline"
    assert told(centre) == []
    before = assignment(centre.context, Identity(SITE, "box")).etag
    confirm(centre)
    evaluate(centre.context, SITE)
    assert view_state(centre) == "ok"
    assert waiting(centre) == []
    (assigned,) = told(centre)
    assert assigned == {
        "camera": "gate", "light": "day", "view": view_id(seen_as(1)), "at": NOW, "by": "王督察", "settled_at": None,
        "fingerprint": seen_as(1),
    }  # fmt: skip
    assert assignment(centre.context, Identity(SITE, "box")).etag != before


def test_what_an_officer_rejects_does_not_count_and_is_decided_once(centre: Centre) -> None:
    centre.see(proposal(NOW - MINUTE), looked("ok", NOW - HOUR, NOW))
    (view,) = waiting(centre)
    decide_view(centre.context, SITE, view.id, ViewMove.REJECT, "王督察")
    evaluate(centre.context, SITE)
    assert (view_state(centre), waiting(centre), told(centre)) == ("no_baseline", [], [])
    with pytest.raises(ViewMoveError, match="already"):
        decide_view(centre.context, SITE, view.id, ViewMove.CONFIRM, "王督察")
    with pytest.raises(ViewMoveError, match="only a confirmed view"):
        decide_view(centre.context, SITE, view.id, ViewMove.SETTLE, "王督察")


def test_a_newer_view_of_a_light_replaces_the_older_and_other_lights_stay(centre: Centre) -> None:
    centre.see(proposal(NOW - 3 * MINUTE, 1))
    confirm(centre)
    centre.see(proposal(NOW - 2 * MINUTE, 2, light="infrared"))
    centre.clock.advance(1)
    confirm(centre)
    centre.clock.advance(60)
    centre.see(proposal(centre.context.now(), 3), proposal(centre.context.now() - 1, 4))
    assert [item.proposal.view for item in waiting(centre)] == [view_id(seen_as(3))], (
        "the newest of a light is asked about"
    )
    confirm(centre)
    assert waiting(centre) == [], "what was proposed before the newest decision is overtaken"
    in_force = {(item["light"], item["view"]) for item in told(centre) if item["fingerprint"] is not None}
    assert in_force == {("day", view_id(seen_as(3))), ("infrared", view_id(seen_as(2)))}
    assert len(told(centre)) == 3, "earlier approvals are told without their fingerprints"


def turned_away(centre: Centre) -> None:
    """The gate's view 1 was approved; then the camera was turned, and somebody proposes what it shows now."""
    centre.see(proposal(NOW - 50 * MINUTE, 1))
    confirm(centre)
    centre.clock.advance(2 * 3600)
    centre.see(looked("ok", NOW, NOW + HOUR, 1), looked("moved", NOW + HOUR, NOW + 2 * HOUR))
    evaluate(centre.context, SITE)
    assert moved(centre) == [("moved", None)]
    centre.see(proposal(NOW + 2 * HOUR, 2, overlap=0.1, state="moved"))


def test_confirming_the_new_view_closes_no_finding_and_the_old_view_seen_again_does(centre: Centre) -> None:
    turned_away(centre)
    confirm(centre)
    centre.clock.advance(3600)
    centre.see(looked("ok", NOW + 2 * HOUR + MINUTE, NOW + 3 * HOUR, 2))
    evaluate(centre.context, SITE)
    assert (moved(centre), view_state(centre)) == ([("moved", None)], "ok")
    centre.clock.advance(3600)
    centre.see(looked("ok", NOW + 3 * HOUR, NOW + 4 * HOUR, 1))
    evaluate(centre.context, SITE)
    assert moved(centre) == [("moved", 3 * HOUR)]


def test_an_officer_may_say_that_the_new_view_settles_it_at_once_or_later(centre: Centre) -> None:
    turned_away(centre)
    confirm(centre)
    centre.clock.advance(3600)
    centre.see(looked("ok", NOW + 2 * HOUR + MINUTE, NOW + 3 * HOUR, 2))
    with reading(centre.context.engine) as session:
        (view,) = (item for item in listed(session, SITE) if item.proposal.view == view_id(seen_as(2)))
    decide_view(centre.context, SITE, view.id, ViewMove.SETTLE, "王督察")
    with pytest.raises(ViewMoveError, match="only once"):
        decide_view(centre.context, SITE, view.id, ViewMove.SETTLE, "王督察")
    evaluate(centre.context, SITE)
    assert moved(centre) == [("moved", 3 * HOUR)], "from the instant on at which it was said"
    with reading(centre.context.engine) as session:
        earlier = verdicts_as_of(session, SITE, NOW + 3 * HOUR - 1, centre.context.packs)
    (verdict,) = (item for item in earlier if str(item.subject) == "camera/gate" and item.requirement.kind == "view")
    assert [item.ended for item in verdict.episodes or ()] == [None], "nobody had said so then"


def test_settling_at_once_closes_it_when_the_camera_agrees_with_the_new_view(centre: Centre) -> None:
    turned_away(centre)
    decided = confirm(centre, settles=True)
    assert decided.decision is not None
    assert decided.decision.settled_by == "王督察"
    evaluate(centre.context, SITE)
    assert moved(centre) == [("moved", None)], "nothing has been seen to be in order yet"
    centre.clock.advance(3600)
    centre.see(looked("ok", NOW + 2 * HOUR + MINUTE, NOW + 3 * HOUR, 2))
    evaluate(centre.context, SITE)
    assert moved(centre) == [("moved", 2 * HOUR + MINUTE)]


@pytest.mark.parametrize(
    "change",
    [
        {"view": "view:0000000000000000"},
        {"sketch": {"rows": ["ab", "abc"]}},
        {"sketch": {"rows": ["<b>"]}},
        {"sketch": {"rows": ["a" * 65]}},
        {"sketch": None},
        {"looks": 0},
        {"overlap": 7},
        {"by": ""},
        {"fingerprint": {"cells": "x" * 900}},
    ],
)
def test_what_is_no_proposal_is_never_asked_about(centre: Centre, change: dict[str, Any]) -> None:
    centre.see(proposal(NOW - MINUTE, **change))
    assert waiting(centre) == []
    with pytest.raises(NoSuchViewError):
        decide_view(centre.context, SITE, "sha256:" + "0" * 64, ViewMove.CONFIRM, "王督察")


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_any_json_is_a_sketch_or_an_error(value: Any) -> None:
    with contextlib.suppress(ValidationError):
        Sketch.model_validate(value)
    facts = value if isinstance(value, dict) else {}
    assert Proposal.of(instant("camera/gate", Kind.BASELINE, NOW, facts)) is None


# --- the API ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(centre: Centre) -> Iterator[TestClient]:
    with TestClient(build_api(centre.context)) as made:
        with writing(centre.context.engine) as session:
            create_user(session, "inspector", "a long password", NOW)
            token = plant(create_api_token(session, "inspector", "script", NOW))
        made.headers["Authorization"] = f"Bearer {token}"
        yield made


def test_the_api_lists_views_and_takes_an_officers_word(centre: Centre, client: TestClient) -> None:
    centre.see(proposal(NOW - MINUTE, overlap=0.42, second_look="other_light"))
    (item,) = client.get(f"/api/v1/institutions/{SITE}/views").json()["items"]
    assert (item["camera"], item["light"], item["overlap"], item["sketch"]) == ("gate", "day", 0.42, SKETCH)
    assert (item["proposed_by"], item["decision"]) == ("李园长", None)
    assert (item["second_look"], item["left_ratio"]) == ("other_light", None)
    evaluate(centre.context, SITE)
    (summary,) = client.get("/api/v1/institutions?views_wait=true").json()["items"]
    assert (summary["id"], summary["views_waiting"]) == (SITE, 1)
    assert "fingerprint" not in item
    path = f"/api/v1/institutions/{SITE}/views/{item['id']}/moves"
    answer = client.post(path, json={"move": "confirm"})
    assert (answer.status_code, answer.json()["decision"], answer.json()["decided_by"]) == (
        200,
        "confirmed",
        "inspector",
    )
    assert client.post(path, json={"move": "reject"}).status_code == 409
    assert client.post(path, json={"move": "settle"}).json()["settled_at"] is not None
    (item,) = client.get(f"/api/v1/institutions/{SITE}/views").json()["items"]
    assert item["decision"] == "confirmed"


def test_the_api_refuses_what_it_must(centre: Centre, client: TestClient) -> None:
    centre.see(proposal(NOW - MINUTE))
    (view,) = waiting(centre)
    path = f"/api/v1/institutions/{SITE}/views/{view.id}/moves"
    assert client.post(path, json={"move": "bless"}).status_code == 422
    assert client.post(path, json={"move": "confirm", "more": 1}).status_code == 422
    assert client.post(path, content=b"\xff").status_code == 422
    assert client.post(f"/api/v1/institutions/{SITE}/views/nothing/moves", json={"move": "confirm"}).status_code == 404
    assert client.get("/api/v1/institutions/nobody/views").status_code == 404
    other = path.replace(SITE, "wj-0002")
    assert client.post(other, json={"move": "confirm"}).status_code == 404
    client.headers.pop("Authorization")
    assert client.post(path, json={"move": "confirm"}).status_code == 401
    assert client.get(f"/api/v1/institutions/{SITE}/views").status_code == 401
    assert len(waiting(centre)) == 1


def test_thresholds_that_a_site_changed_show_in_the_api(centre: Centre, client: TestClient) -> None:
    assert client.get(f"/api/v1/institutions/{SITE}").json()["thresholds"] == []
    change = {"camera": "gate", "light": None, "name": "dark_p90", "value": 50.0, "default": 44.0}
    centre.see(declared(NOW, {**INVENTORY, "thresholds": [change]}))
    assert client.get(f"/api/v1/institutions/{SITE}").json()["thresholds"] == [change]
