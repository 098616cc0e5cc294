"""Views on an institution's page: proposed ones with their sketch, an officer's decision, the picture's last 24 hours."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboards.web.charts import sketch
from monitor.collector.evaluate import evaluate
from monitor.model.inventory import ChangedThreshold, Institution
from monitor.model.observation import Kind, Observation, Source
from monitor.model.span import DAY, HOUR, MINUTE
from monitor.model.view import DIRECTIONS, view_id
from monitor.store.engine import reading
from monitor.store.views import decisions, open_proposals
from support import seeded
from support.dashboard import District, token_in
from support.seeded import NOON, camera, read, span

SITE = "wj-0009"
EVIL = "<script>alert(1)</script>"


def proposal(number: int, at: int, **more: Any) -> Observation:
    seen: dict[str, Any] = {"version": 1, "cells": str(number)}
    facts = {
        "light": "day", "view": view_id(seen), "by": f"李园长{EVIL}", "looks": 5, "overlap": 0.145, "state": "moved",
        "sketch": {"rows": ["..aB", "cD.."]}, "fingerprint": seen, **more,
    }  # fmt: skip
    return read(camera("gate"), Kind.BASELINE, at, facts, state="proposed", source=Source.PERSON, lasts=400 * DAY)


@pytest.fixture
def more() -> dict[str, Any]:
    """What the proposal says beside the usual: newer agents say what came of a second look."""
    return {}


@pytest.fixture
def turned(empty: District, more: dict[str, Any]) -> District:
    """A gate that was turned away three hours ago, and the view that somebody proposes since."""
    context = empty.context
    institution = Institution(id=SITE, name="春晖托育园")
    identity = seeded.enrolled(context, institution)
    changed = ChangedThreshold(camera="gate", light="infrared", name="noisy_grain", value=9, default=5)
    inventory = seeded.inventory_of(institution, seeded.CAMERAS, thresholds=(changed,))
    seen = seeded.without(seeded.healthy(inventory, identity.agent, NOON), Kind.VIEW, camera("gate"))
    seen += [
        span(camera("gate"), Kind.VIEW, NOON - 30 * DAY, NOON - 17 * HOUR, "ok"),
        span(camera("gate"), Kind.VIEW, NOON - 17 * HOUR, NOON - 5 * HOUR, "dark"),
        span(camera("gate"), Kind.VIEW, NOON - 5 * HOUR, NOON - 3 * HOUR, "ok"),
        span(camera("gate"), Kind.VIEW, NOON - 3 * HOUR, NOON, "moved"),
        proposal(1, NOON - MINUTE, **more),
    ]
    seeded.report(context, identity, seen)
    evaluate(context, SITE)
    return empty


def page(client: TestClient, language: str = "en") -> str:
    answer = client.get(f"/institutions/{SITE}?lang={language}")
    assert answer.status_code == 200
    return answer.text


def says(text: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", text)))


def post(client: TestClient, text: str, **fields: str) -> int:
    found = re.search(r'name="proposal" value="(sha256:[0-9a-f]{64})"', text)
    assert found is not None
    form = {"csrf": token_in(text), "proposal": found[1], **fields}
    return client.post(f"/institutions/{SITE}/views", data=form).status_code


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("1 proposed view waits for an officer", "It overlaps the view in force by 14.5%.", "the picture was: turned away",
                "infrared: noisy_grain is 9 (default 5)", "usable 9 h · turned away 3 h · dark when it may be 12 h")),
        ("zh", ("有 1 幅提出的基准画面待核准", "与现行基准画面重合 14.5%", "当时画面：角度偏移", "noisy_grain 为 9（默认 5）",
                "可用 9 小时 · 角度偏移 3 小时 · 允许变暗时段内变暗 12 小时")),
    ],
)  # fmt: skip
def test_a_proposed_view_is_shown_with_a_sketch_and_without_a_picture(
    turned: District, language: str, words: tuple[str, ...]
) -> None:
    text = page(turned.signed_in(), language)
    for expected in words:
        assert expected in says(text)
    assert '<svg class="sketch"' in text
    assert EVIL not in text
    assert html.escape(EVIL) in text
    assert "<img" not in text
    assert "cells" not in text, "fingerprints are for agents"


@pytest.mark.parametrize(
    ("more", "said", "zh"),
    [
        ({"second_look": "compared", "left_ratio": 0.02}, "A second look a minute later showed the same.", "画面一致"),
        (
            {"second_look": "compared", "left_ratio": 0.234},
            "left 23% of it out: gone or hidden by then.",
            "其中 23% 已离开",
        ),
        ({"second_look": "not_taken"}, "There was no second look, as it was asked for. Whoever stood", "未复看"),
        ({"second_look": "failed"}, "There was no second look: no pictures came. Whoever stood", "未能复看"),
        ({"second_look": "other_light"}, "At the second look the light was another. Whoever stood", "光线已变"),
        ({"second_look": "black"}, "At the second look the picture was: black. Whoever stood", "复看时画面：黑屏"),
    ],
)
def test_an_officer_sees_what_came_of_the_second_look(turned: District, said: str, zh: str) -> None:
    client = turned.signed_in()
    assert said in says(page(client))
    assert zh in says(page(client, "zh"))


def test_of_a_second_look_an_older_agent_says_nothing(turned: District) -> None:
    assert "second look" not in says(page(turned.signed_in()))


def test_an_officer_confirms_and_the_finding_stays_until_he_settles_it(turned: District) -> None:
    client = turned.signed_in()
    text = page(client)
    assert "settled by it" in says(text)
    turned.clock.advance(60)
    assert post(client, text, move="confirm") == 303
    with reading(turned.context.engine) as session:
        (decision,) = decisions(session, SITE).values()
    assert (decision.confirmed, decision.by, decision.settled_at) == (True, "inspector", None)
    after = page(client)
    assert "by day: confirmed by inspector on 2026-11-23 12:01" in says(after)
    assert "proposed view waits" not in says(after)
    assert post(client, after, move="settle") == 303
    with reading(turned.context.engine) as session:
        (decision,) = decisions(session, SITE).values()
    assert decision.settled_by == "inspector"
    assert 'name="proposal"' not in page(client), "there is nothing more to decide"


def test_a_view_may_be_rejected_and_is_decided_once(turned: District) -> None:
    client = turned.signed_in()
    text = page(client)
    assert post(client, text, move="reject") == 303
    assert post(client, text, move="confirm") == 409
    assert "proposed view waits" not in says(page(client))
    with reading(turned.context.engine) as session:
        assert open_proposals(session, SITE) == []


def test_nobody_decides_without_the_pages_own_form(turned: District) -> None:
    client = turned.signed_in()
    text = page(client)
    assert post(client, text, move="confirm", csrf="") == 403
    assert post(client, text, move="confirm", csrf=token_in(page(turned.signed_in()))) == 403
    assert post(client, text, move="bless") == 400
    assert post(client, text, move="confirm", proposal="sha256:" + "0" * 64) == 404
    assert post(client, text, move="confirm", proposal="\0") == 400
    assert post(turned.client(), text, move="confirm") == 303, "to the sign-in"
    with reading(turned.context.engine) as session:
        assert decisions(session, SITE) == {}


def test_an_officer_finds_the_institutions_whose_views_wait(turned: District) -> None:
    client = turned.signed_in()
    listed = client.get("/?lang=en").text
    assert "1 institution has proposed views that wait for an officer" in says(listed)
    assert "1 view to confirm" in says(client.get("/?views=wait").text)
    assert "1 institution has proposed views that wait for an officer" in says(client.get("/?views=wait&lang=en").text)
    assert post(client, page(client), move="confirm") == 303
    evaluate(turned.context, SITE)
    assert "No proposed view waits for an officer" in says(client.get("/?views=wait").text)
    assert "views that wait" not in says(client.get("/").text)


def test_each_direction_of_an_edge_is_drawn_another_way() -> None:
    drawn = {str(sketch([letter], "x")) for letter in DIRECTIONS + DIRECTIONS.upper()}
    assert len(drawn) == 2 * len(DIRECTIONS)
    assert "path" not in sketch(["..", ".."], "x")
    assert "M0 4l8 0" in sketch(["a"], "x")
    assert sketch(["?"], '"><b>').count("<") == 2
