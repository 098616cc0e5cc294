"""Reading what a recorder answered: whatever it sent, a value or RecorderError; JSON with bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

from agents.recorders.base import RecorderError
from monitor.model.observation import StreamCause

MAX_VALUES = 200_000
"""More commas, braces and brackets than this in a JSON answer are refused before anything is built of them."""

JsonObject = dict[str, Any]

_HALF = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""An escape of JSON; `half` of one character, of which the other half isn't there."""
_NO_CHARACTER = "\ufffd"

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
    """Return the JSON object in `body`, UTF-8 padded with blanks or NULs at most. Raises ValueError, RecursionError.

    Half a character, which JSON can escape and nothing can store or print, keeps its place with a mark.
    """
    if sum(body.count(sign) for sign in (b",", b"{", b"[")) > MAX_VALUES:
        raise ValueError(f"JSON with over {MAX_VALUES} values")
    text = body.strip(b"\x00 \t\r\n").decode("utf-8-sig")
    if "\\ud" in text or "\\uD" in text:
        text = _HALF.sub(lambda found: _NO_CHARACTER if found["half"] else found[0], text)
    value = json.loads(text, parse_constant=_no_number)
    if not isinstance(value, dict):
        raise ValueError("JSON that is no object")  # noqa: TRY004  (a wrong answer, as any other)
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def storable(text: str) -> str:
    """Return text with a mark in place of what is no character: names of files may hold bytes that are no UTF-8."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def count(value: object, *, most: int = 10**15) -> int:
    """Return a whole number from 0 to `most`, given as one or as its digits. Raises ValueError."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 18:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{str(value)[:40]!r} is no count")
    return value
