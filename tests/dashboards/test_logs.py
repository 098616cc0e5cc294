"""What strangers write into a request stands in the log, and does nothing there."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from dashboards import logs

SECRET = "topsecret"


class Terminal(io.StringIO):
    """Where somebody looks on."""

    def isatty(self) -> bool:
        """Say that it is a terminal."""
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    logs.configure()
    yield shown
    structlog.configure(**config)
    root.handlers[:], root.level = handlers, level


def test_a_terminal_is_not_steered_by_what_is_asked_for(terminal: Terminal) -> None:
    structlog.get_logger().info("request", path="/\x1b]0;owned\x07", status=404)
    logging.getLogger("elsewhere").warning("said %s", "\x1b[2J\r\nforged")
    shown = terminal.getvalue()
    assert "/\ufffd]0;owned\ufffd" in shown
    assert "said \ufffd[2J\ufffd\ufffdforged" in shown
    assert not {"\x07", "\r"} & set(shown)


def test_a_traceback_keeps_its_lines(terminal: Terminal) -> None:
    try:
        raise ValueError("as it was")
    except ValueError:
        structlog.get_logger().exception("a page failed")
    assert len(terminal.getvalue().splitlines()) > 3


def test_a_traceback_shows_no_values_and_steers_no_terminal(terminal: Terminal) -> None:
    """Variables may hold passwords, and errors quote what strangers wrote."""

    def refuse(word: str, token: str) -> None:
        raise ValueError(f"there is no {word}: {len(token)}")

    try:
        refuse("\x1b]0;owned\x07\r\x9b2J", SECRET)
    except ValueError:
        structlog.get_logger().exception("a page failed")
        logging.getLogger("elsewhere").exception("a page failed")
    shown = terminal.getvalue()
    assert shown.count("ValueError: there is no \ufffd]0;owned\ufffd\ufffd\ufffd2J: 9\n") == 2
    assert SECRET not in shown
