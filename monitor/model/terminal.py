"""A log's lines for people on a terminal: what strangers wrote, and errors that quote it, do nothing to it."""

from __future__ import annotations

from io import StringIO
from typing import TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor

from monitor.model.plain import plain


def for_people() -> list[Processor]:
    """Return structlog's last processors where a log goes to a terminal."""
    return [_plain, structlog.dev.ConsoleRenderer(exception_formatter=_traceback)]


def _plain(_: object, __: str, said: EventDict) -> EventDict:
    """Let no word steer the terminal: whoever asks the collector for an address chooses the path, and the collector what it answers to an agent."""
    return {name: plain(value) if isinstance(value, str) else value for name, value in said.items()}


def _traceback(shown: TextIO, error: ExcInfo) -> None:
    """Write a traceback line by line, since errors quote strangers, too; without the values of variables, which may be secrets."""
    text = StringIO()
    structlog.dev.plain_traceback(text, error)
    shown.write("\n".join(map(plain, text.getvalue().split("\n"))))
