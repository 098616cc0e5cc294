"""Cursors of lists: where a page ended, as one opaque word."""

from __future__ import annotations

import base64
import binascii
import json

Value = str | int


class CursorError(ValueError):
    """A cursor that this server didn't make."""


def encode(*values: Value) -> str:
    """Return the cursor for the values of a page's last row."""
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).rstrip(b"=").decode()


def decode(cursor: str, *kinds: type[Value]) -> tuple[Value, ...]:
    """Return the values of a cursor, of the given kinds. Raises CursorError for anything else."""
    try:
        values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise CursorError("the cursor is not one of this server's") from error
    if not isinstance(values, list) or len(values) != len(kinds):
        raise CursorError("the cursor is not one of this list's")
    if not all(_fits(value, kind) for value, kind in zip(values, kinds, strict=True)):
        raise CursorError("the cursor is not one of this list's")
    return tuple(values)


def _fits(value: object, kind: type[Value]) -> bool:
    """Tell whether a value can be compared with a column: a 64-bit number, or text without NUL (PostgreSQL has none)."""
    if isinstance(value, str):
        return kind is str and "\0" not in value
    return kind is int and type(value) is int and abs(value) < 2**63
