"""What an institution's page says of the chain of its agents' reports."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from dashboards.web.chains import chain_lines, forgotten_moments
from dashboards.web.figures import Words
from dashboards.web.i18n import Language
from dashboards.web.times import Times
from monitor.model.chain import Boot, Chain, Mark, Segment, Told
from monitor.model.envelope import Place
from monitor.model.span import HOUR, MINUTE
from monitor.store.agents import AgentSummary
from support.centre import NOW

ZONE = ZoneInfo("Asia/Shanghai")


def mark(sequence: int, at: int) -> Mark:
    return Mark(
        place=Place(boot="a" * 32, sequence=sequence, digest="sha256:" + f"{sequence:064x}"), nonce_at=at, written_at=at
    )


WHOLE = Segment(after=None, first=mark(1, NOW - HOUR), last=mark(60, NOW), count=60)
LATER = Segment(after=mark(62, 0).place, first=mark(63, NOW + 2 * MINUTE), last=mark(70, NOW + HOUR), count=8)


def agent(*segments: Segment, forked_at: int | None = None, disputed: int = 0) -> AgentSummary:
    seen = ",".join(f"{item.first.place.sequence}-{item.last.place.sequence}" for item in segments)
    chain = Chain(
        segments=segments,
        boots={"a" * 32: Boot(seen=seen, upto=max([0, *(item.last.place.sequence for item in segments)]))},
    )
    return AgentSummary("wj-0001", "box", NOW, NOW, 68, "0.1.0", chain, chain.missing, forked_at, disputed)


def dropped() -> AgentSummary:
    found = agent(WHOLE, LATER)
    told = found.chain.tell([Told(boot="a" * 32, first=61, last=62)])
    return replace(found, chain=told)


def test_reports_that_a_restored_collector_lost_are_told_apart_from_those_that_a_site_left_out() -> None:
    """The report after them carries a word of the collector's of a time of which its database knows nothing."""
    summary = agent(WHOLE, LATER)
    words = Words(Times(ZONE, Language.EN))
    moment = LATER.first.nonce_at
    assert forgotten_moments([summary], lambda at: at != moment) == {moment}
    (found,) = chain_lines([summary], words, forgotten_moments([summary], lambda at: at != moment))
    assert "the collector knows nothing of that moment: its database was restored from a backup" in found.troubles[1]
    (found,) = chain_lines([summary], words, forgotten_moments([summary], lambda _: True))
    assert len(found.troubles) == 1


def unreadable() -> AgentSummary:
    return replace(agent(), chain_lost=True, missing=2)


def line(language: Language, summary: AgentSummary) -> tuple[str, str]:
    (found,) = chain_lines([summary], Words(Times(ZONE, language)))
    return found.outcome, " ".join([found.text, *found.troubles])


@pytest.mark.parametrize(
    ("summary", "outcome", "english", "chinese"),
    [
        (agent(WHOLE), "met", "68 signed reports", "已签名上报 68 份。"),
        (agent(WHOLE, LATER), "undetermined", "2 reports are missing from", "缺少 2 份上报。"),
        (dropped(), "undetermined", "2 of them were given up by the agent itself", "其中 2 份由采集端自行放弃"),
        (agent(WHOLE, forked_at=NOW), "breached", "two series of reports continue the same one", "两串上报"),
        (agent(WHOLE, disputed=1), "breached", "1 report came in a second time", "不同内容重复出现"),
        (unreadable(), "undetermined", "which are missing isn't known", "无法确定缺少哪些上报"),
        (agent(WHOLE, WHOLE), "undetermined", "began 2 times", "共起始 2 次"),
    ],
)
def test_what_is_wrong_with_a_chain_is_said(summary: AgentSummary, outcome: str, english: str, chinese: str) -> None:
    assert line(Language.EN, summary)[0] == outcome
    assert english in line(Language.EN, summary)[1]
    assert chinese in line(Language.ZH, summary)[1]


def test_an_agent_that_never_reported_signed_has_no_line() -> None:
    assert chain_lines([agent()], Words(Times(ZONE, Language.EN))) == []
