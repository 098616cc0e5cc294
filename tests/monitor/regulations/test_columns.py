"""Tables and paragraphs whose Chinese is two columns wide."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.regulations.columns import indented, pad, table, width, wrap

WORDS = st.lists(st.sampled_from(["监控", "录像。", "a", "footage", "90", "（保存）", "ok,"]), max_size=30).map(
    " ".join
)


def test_a_chinese_character_takes_two_columns() -> None:
    assert [width(text) for text in ("", "abc", "监控", "保存90日", "（）", "e\u0301", "“")] == [0, 3, 4, 8, 4, 1, 1]


def test_columns_line_up() -> None:
    rows = [("房间", "数", "说明"), ("a", "10", "text"), ("出入口", "2", "大门")]
    assert list(table(rows, 60)) == [
        "房间    数  说明",
        "a       10  text",
        "出入口  2   大门",
    ]


def test_the_last_column_is_wrapped_under_itself() -> None:
    assert list(table([("ab", "监控录像资料保存不少于九十日")], 24)) == ["ab  监控录像资料保存不少", "    于九十日"]


def test_a_closing_mark_never_begins_a_line() -> None:
    assert wrap("监控录像。保存", 8) == ["监控录", "像。保存"]


def test_an_opening_mark_never_ends_a_line() -> None:
    assert wrap("监控（录像）保存", 6) == ["监控", "（录", "像）保", "存"]
    assert wrap("通知“机构”", 5) == ["通知", "“机", "构”"]


def test_a_long_word_is_left_whole() -> None:
    assert wrap("see https://example.org/a/long/address now", 10) == [
        "see",
        "https://example.org/a/long/address",
        "now",
    ]


def test_an_empty_table_has_no_lines() -> None:
    assert list(table([], 80)) == []


@given(WORDS, st.integers(8, 60))
def test_wrapping_loses_nothing_and_keeps_to_the_width(text: str, columns: int) -> None:
    lines = wrap(text, columns)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(width(line) <= columns for line in lines)
    assert all(line == line.strip() for line in lines)


@given(WORDS, st.integers(0, 12))
def test_an_indented_paragraph_stands_to_the_right(text: str, indent: int) -> None:
    assert all(line.startswith(" " * indent) or not line for line in indented(text, indent, 60))


@given(st.text(alphabet="ab监控", max_size=8))
def test_padding_fills_up(text: str) -> None:
    assert width(pad(text, 20)) == 20
