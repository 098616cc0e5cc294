"""What strangers wrote can be shown in a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.model.plain import plain


@given(st.text())
def test_a_line_is_as_long_as_it_was_and_does_nothing_to_a_terminal(text: str) -> None:
    assert plain(text).isprintable()
    assert not set(plain(text)) & {"\x1b", "\n", "\r", "\x9b", "\u202e"}
    assert len(plain(text)) == len(text)


def test_what_people_read_stays() -> None:
    assert plain("阳光幼儿园 · gate – 5 °C") == "阳光幼儿园 · gate – 5 °C"
    assert plain("a\x1b[2Jb\n\u202ec") == "a\ufffd[2Jb\ufffd\ufffdc"
