"""Notes beside evidence: what agents and judgements really write is said in the page's language, the rest stays as it is."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.breaker import LoginHeld
from agents.recorders.base import lacking
from agents.rtsp.message import status_error
from agents.scan.recorder import LOGIN_REFUSED
from dashboards.web.figures import Words
from dashboards.web.i18n import Language
from dashboards.web.noted import NOTES, noted
from dashboards.web.times import Times

ZH = Words(Times(ZoneInfo("Asia/Shanghai"), Language.ZH))
EN = Words(Times(ZoneInfo("Asia/Shanghai"), Language.EN))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("as declared", "按申报"),
        (
            "2 spans of unlocked footage since 2026-08-20T16:00:00Z; locked clips of 60 s are left out",
            "自2026-08-21 00:00:00起，未锁定录像 2 段；已锁定的片段共 60 秒，不计入",
        ),
        (
            "1 span of unlocked footage; footage of 7 s, dated before 2000 by a clock that was lost, is left out",
            "未锁定录像 1 段；录像机时钟丢失、日期早于2000年的录像共 7 秒，无法确定时间，不计入",
        ),
        (
            "the recorder's clock was first read at 2026-08-20T16:00:00Z: a hole before that may be a step of the clock",
            "录像机时钟首次读取于2026-08-21 00:00:00：此前的缺失也可能是时钟调整所致",
        ),
        (
            "the minute of 2026-08-20T16:00:00Z was played and decoded; it shows the approved view",
            "2026-08-21 00:00:00这一分钟已回放并解码；画面与核准画面一致",
        ),
        ("no frame for 5 s: no packet arrives", "5 秒没有画面：未收到任何数据包"),
        ("127.0.0.1:554 refuses connections", "127.0.0.1:554 拒绝连接"),
        (
            "192.0.2.9:554 refuses connections; the agent keeps the address of cam.lan while it runs: start it anew if that has changed",
            "192.0.2.9:554 拒绝连接；采集端运行期间沿用 cam.lan 的原地址：若地址已变，请重新启动采集端",
        ),
        ("the name cam.lan could not be resolved", "域名 cam.lan 无法解析"),
        (
            lacking("192.0.2.1", "GET /x?a=b (notSupport)"),
            "192.0.2.1 不提供 GET /x?a=b (notSupport)：该型号或固件没有此功能，或 `driver` 写的不是它的品牌。",
        ),
        (LOGIN_REFUSED, "登录被拒：请更正密码，再运行 agent check --retry-credentials"),
    ],
)
def test_a_note_is_said_in_chinese_with_local_time(text: str, said: str) -> None:
    assert noted(text, ZH) == said


def test_what_the_stream_client_and_the_breaker_write_is_known() -> None:
    held = LoginHeld("192.0.2.1", "admin", "the login was refused", datetime(2026, 11, 28, tzinfo=UTC))
    for text in (str(status_error(403, "describe").detail), str(status_error(453, "setup").detail), str(held)):
        said = noted(text, ZH)
        assert said is not None
        assert any("一" <= letter <= "鿿" for letter in said)


def test_english_keeps_the_words_and_tells_the_local_time() -> None:
    text = "1 span of unlocked footage since 2026-08-20T16:00:00Z"
    assert noted(text, EN) == "1 span of unlocked footage since 2026-08-21 00:00:00"


def test_words_that_are_not_known_stay_as_they_were_written() -> None:
    assert noted("the moon is full", ZH) is None
    assert noted("as declared; the moon is full", ZH) is None, "half a note in another language is none"


@given(st.text(max_size=600) | st.builds("{}{}".format, st.sampled_from(NOTES), st.text(max_size=200)))
def test_no_text_can_break_a_page(text: str) -> None:
    said = noted(text, ZH)
    assert said is None or isinstance(said, str)
