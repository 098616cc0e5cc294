"""A time zone as Hikvision's menus write it: POSIX signs, so that "CST-8:00:00" is eight hours east of Greenwich."""

from __future__ import annotations

import importlib.resources
import re
import zoneinfo
from pathlib import Path
from typing import Final

_FOOTER: Final = re.compile(r"^(<[^>]+>|[A-Za-z]+)([+-]?[\d:]+)(?:(<[^>]+>|[A-Za-z]+)([+-]?[\d:]+)?,(.+),(.+))?$")


def hikvision_zone(name: str) -> str:
    """Return an IANA zone's present rules in Hikvision's spelling. Raises ValueError for an unknown zone."""
    match = _FOOTER.match(_posix_rules(name))
    if match is None:
        raise ValueError(f"time zone {name}: its POSIX rules are in a form that this simulator can't spell")
    standard, offset, daylight, _, begins, ends = match.groups()
    letters = standard if standard.isalpha() else "UTC"
    hours, _, rest = offset.lstrip("+").partition(":")
    text = f"{letters}{int(hours):+d}:{rest or '00'}:00"
    if daylight is None:
        return text
    return f"{text}DST01:00:00,{_switch(begins)},{_switch(ends)}"


def _switch(rule: str) -> str:
    day, _, hour = rule.partition("/")
    return f"{day}/{int(hour or '2'):02d}:00:00"


def _posix_rules(name: str) -> str:
    zoneinfo.ZoneInfo(name)  # refuses unknown names and paths that leave the data base
    for folder in zoneinfo.TZPATH:
        path = Path(folder) / name
        if path.is_file():
            return _footer(path.read_bytes())
    return _footer(importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes())


def _footer(data: bytes) -> str:
    """Return the last line of a TZif file: its rules for all time to come (RFC 9636)."""
    return data.rstrip(b"\n").rpartition(b"\n")[2].decode("ascii")
