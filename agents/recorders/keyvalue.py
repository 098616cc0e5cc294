"""Reading the lines of key=value that a device sent: bounded, whole, and each key said once."""

from __future__ import annotations

import re

MAX_BYTES = 4 * 1024 * 1024
MAX_LINES = 100_000
MAX_KEY = 300
MAX_ROWS = 4096
"""Numbers in brackets go no higher: a device has fewer channels, disks and matches a page."""

_INVISIBLE = "\x00\ufeff \t\r\n"
_ROW = re.compile(r"\[([0-9]{1,9})\](?:\.(.+))?")


class KeyValueError(ValueError):
    """The bytes are not the key=value lines of a well-meaning device."""


def parse(body: bytes) -> dict[str, str]:
    """Return the values by key, in the order of the lines.

    An answer of several lines whose last one does not end was cut off: refused, since a part would pass for the whole.
    A key that is said twice, differently, is refused too. Text that is no UTF-8 keeps its place with a mark.
    """
    if len(body) > MAX_BYTES:
        raise KeyValueError(f"over {MAX_BYTES} bytes")
    if body.count(b"\n") > MAX_LINES:
        raise KeyValueError(f"over {MAX_LINES} lines")
    text = body.decode("utf-8", "replace")
    lines = [line for line in (part.strip(_INVISIBLE) for part in text.split("\n")) if line]
    if len(lines) > 1 and not text.rstrip("\x00 \t\r").endswith("\n"):
        raise KeyValueError("an answer that was cut off")
    values: dict[str, str] = {}
    for line in lines:
        key, sign, value = line.partition("=")
        if not sign or not key or len(key) > MAX_KEY:
            raise KeyValueError(f"{line[:60]!r} is no key=value")
        if values.setdefault(key, value) != value:
            raise KeyValueError(f"{key[:60]!r} is said twice")
    return values


def rows(values: dict[str, str], prefix: str) -> dict[int, dict[str, str]]:
    """Return what stands under `prefix[N].` by N in rising order, with the rest of the key; `prefix[N]` itself as "".

    Raises KeyValueError for a number beyond MAX_ROWS.
    """
    found: dict[int, dict[str, str]] = {}
    for key, value in values.items():
        match = _ROW.fullmatch(key[len(prefix) :]) if key.startswith(prefix + "[") else None
        if match is None:
            continue
        number = int(match[1])
        if number >= MAX_ROWS:
            raise KeyValueError(f"{key[:60]!r} has a number over {MAX_ROWS}")
        found.setdefault(number, {})[match[2] or ""] = value
    return dict(sorted(found.items()))
