"""Contradictions and proofs on the institution's page, in both languages, and in the API's answer."""

from __future__ import annotations

import html
import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.web.contradictions import SENTENCES, of_subject, proof_text, sentence, sentences
from dashboards.web.figures import Words, figures
from dashboards.web.i18n import Language
from dashboards.web.times import Times
from monitor.collector.evaluate import evaluate
from monitor.evaluation.contradictions import SHOWN_WITH
from monitor.model.observation import Kind, Source
from monitor.model.span import DAY, HOUR, MINUTE
from support.centre import Centre, declared, index, instant
from support.dashboard import District

ZH, EN = (Words(Times(ZoneInfo("Asia/Shanghai"), language)) for language in (Language.ZH, Language.EN))
FIGURES: dict[str, Any] = {
    "start_at": "2026-11-20T19:00:00Z",
    "end_at": "2026-11-21T19:00:00Z",
    "plays_at": "2026-11-21T19:00:00Z",
    "minutes": ["2026-08-22T19:00:00Z"],
    "seconds": 3600,
    "camera": "room1",
    "declared": False,
    "text": "as the verdict says it",
}


@pytest.mark.parametrize("kind", SHOWN_WITH)
def test_every_kind_has_its_sentence_in_both_languages(kind: str) -> None:
    english, chinese = (sentence({**FIGURES, "kind": kind}, words) for words in (EN, ZH))
    assert english != chinese
    assert "%" not in english + chinese
    assert FIGURES["text"] not in {english, chinese}
    assert set(SENTENCES) == set(SHOWN_WITH)


def test_a_minute_that_does_not_play_is_said_with_its_times() -> None:
    item = {**FIGURES, "kind": "unplayable"}
    assert sentence(item, EN) == (
        "The recorder lists recordings of 2026-08-23 03:00 that do not play, tried on different days; newer ones, of"
        " 2026-11-22 03:00, do."
    )
    assert sentence(item, ZH) == (
        "录像机目录列有 2026-08-23 03:00 的录像，但在不同日期回放均失败；较新的录像（2026-11-22 03:00）可以回放。"
    )
    assert sentence({"kind": "unplayable"}, EN) == "The recorder lists recordings that do not play."
    assert sentence({**FIGURES, "kind": "new here"}, ZH) == FIGURES["text"]
    assert sentence({**FIGURES, "kind": "camera_exchanged", "declared": True}, EN).startswith(
        "The camera behind the channel is not"
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*FIGURES, "kind", "result", "minute_at", "proved_at", "view"]), inner, max_size=6
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_whatever_a_centre_of_another_age_stored_can_be_shown(value: Any) -> None:
    for words in (EN, ZH):
        sentences(value, words)
        proof_text(value, words)
        of_subject([{"contradictions": value}], words)
        figures({"contradictions": value, "proof": value}, words)


def proof(centre: Centre, days: int, state: str, *, far: bool = True) -> Any:
    at = centre.clock.now()
    when = int(at.timestamp() * 1000) - days * DAY - 9 * HOUR + (0 if far else MINUTE)
    facts = {"which": "far" if far else "newer", "minute_at": when - (90 if far else 1) * DAY, "view": "unknown"}
    cause = "not_found" if state == "failed" else None
    return instant("camera/gate", Kind.PROOF, when, facts, state=state, cause=cause, source=Source.PROBE)


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def test_the_page_and_the_api_say_what_contradicts_what(empty: District) -> None:
    centre = Centre(empty.context, empty.clock)
    centre.add("wj-0001", "cn-nursery-wujiang-2021")
    now = empty.context.now()
    centre.see(
        declared(now - 5 * DAY), index("gate", now, 95), index("room1", now, 95),
        *(proof(centre, days, state, far=far) for days in (1, 0) for state, far in (("failed", True), ("played", False))),
    )  # fmt: skip
    assert evaluate(empty.context, "wj-0001") is not None
    client = empty.signed_in()
    page = words_of(client.get("/institutions/wj-0001", params={"lang": "en"}).text)
    assert "Contradiction : The recorder lists recordings of" in page
    assert "could not be played on" in page
    chinese = words_of(client.get("/institutions/wj-0001", params={"lang": "zh"}).text)
    assert "录像机目录列有无法回放的录像" in chinese or "回放均失败" in chinese
    assert "不知" in chinese or "原因" in chinese
    answer = client.get("/api/v1/institutions/wj-0001").json()
    (item,) = answer["contradictions"]
    assert (item["kind"], item["subject"]) == ("unplayable", {"kind": "camera", "id": "gate"})
    retention = {v["subject"]["id"]: v for v in answer["verdicts"] if v["requirement"] == "retention"}
    assert {camera: v["outcome"] for camera, v in retention.items()} == {"gate": "undetermined", "room1": "met"}
    assert [entry["kind"] for entry in retention["gate"]["evidence"]].count("proof") >= 2
