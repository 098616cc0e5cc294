"""What the agent logs to a terminal: the collector's words stand there, and do nothing."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

import pytest
import structlog

from agents.run_cli import configure_log


class Terminal(io.StringIO):
    """Where somebody looks on."""

    def isatty(self) -> bool:
        """Say that it is a terminal."""
        return True


@pytest.fixture
def kept() -> Iterator[None]:
    config = structlog.get_config()
    yield
    structlog.configure(**config)


@pytest.mark.usefixtures("kept")
def test_what_the_collector_answers_does_not_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, password = Terminal(), "topsecret"
    monkeypatch.setattr(sys, "stderr", shown)
    configure_log()
    try:
        raise ValueError(f"said \x9b2J of {len(password)}")
    except ValueError:
        structlog.get_logger().exception("report rejected", reason="\x1b]0;owned\x07\nforged")
    told = shown.getvalue()
    assert "\ufffd]0;owned\ufffd\ufffdforged" in told
    assert "ValueError: said \ufffd2J of 9" in told
    assert not {"\x07", "\x9b"} & set(told)
    assert password not in told


@pytest.mark.usefixtures("kept")
def test_elsewhere_each_line_is_logfmt(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    configure_log()
    structlog.get_logger().info("report rejected", reason="a\nb")
    (line,) = shown.getvalue().splitlines()
    assert 'event="report rejected" ' in line
