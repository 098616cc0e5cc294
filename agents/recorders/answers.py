"""Reading what a recorder answered: whatever it sent, a value or RecorderError; JSON with bounds."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

from agents.recorders.base import RecorderError
from monitor.model.observation import StreamCause

MAX_VALUES = 200_000
"""More commas, braces and brackets than this in a JSON answer are refused before anything is built of them."""

JsonObject = dict[str, Any]

P = ParamSpec("P")
T = TypeVar("T")


def answers(parse: Callable[P, T]) -> Callable[P, T]:
    """Turn whatever a hostile or broken body provokes into RecorderError: the answer is unknown, not zero."""

    @wraps(parse)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return parse(*args, **kwargs)
        except RecorderError:
            raise
        except (ValueError, OverflowError, RecursionError) as error:
            detail = f"The recorder's answer could not be read ({error}); note its model and firmware and report it."
            raise RecorderError(StreamCause.RECORDER, detail) from error

    return guarded


def json_object(body: bytes) -> JsonObject:
    """Return the JSON object in `body`, UTF-8 padded with blanks or NULs at most. Raises ValueError, RecursionError."""
    if sum(body.count(sign) for sign in (b",", b"{", b"[")) > MAX_VALUES:
        raise ValueError(f"JSON with over {MAX_VALUES} values")
    value = json.loads(body.strip(b"\x00 \t\r\n").decode("utf-8-sig"), parse_constant=_no_number)
    if not isinstance(value, dict):
        raise ValueError("JSON that is no object")  # noqa: TRY004  (a wrong answer, as any other)
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def count(value: object, *, most: int = 10**15) -> int:
    """Return a whole number from 0 to `most`, given as one or as its digits. Raises ValueError."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 18:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{str(value)[:40]!r} is no count")
    return value
