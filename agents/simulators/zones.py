"""A time zone as recorders' menus write it: Hikvision with POSIX signs ("CST-8:00:00" is eight hours east), Dahua by number."""

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


DAHUA_ZONES: Final = (
    "0", "1", "2", "3", "3:30", "4", "4:30", "5", "5:30", "5:45", "6", "6:30", "7", "8", "9", "9:30", "10", "11", "12", "13",
    "-1", "-2", "-3", "-3:30", "-4", "-5", "-6", "-7", "-8", "-9", "-10", "-11", "-12",
)  # fmt: skip
"""Hours east of Greenwich by the number in Dahua's menu."""


def dahua_zone(name: str) -> tuple[int, dict[str, str] | None]:
    """Return an IANA zone's number in Dahua's menu and its summer time, as its table Locales has it; None without one.

    Raises ValueError for an unknown zone, or one that the menu doesn't have.
    """
    match = _FOOTER.match(_posix_rules(name))
    if match is None:
        raise ValueError(f"time zone {name}: its POSIX rules are in a form that this simulator can't spell")
    _, offset, daylight, _, begins, ends = match.groups()
    hours = offset.removeprefix("-") if offset.startswith("-") or offset == "0" else f"-{offset.lstrip('+')}"
    number = DAHUA_ZONES.index(hours)
    if daylight is None:
        return number, None
    return number, {**_locale("DSTStart", begins), **_locale("DSTEnd", ends)}


def _locale(edge: str, rule: str) -> dict[str, str]:
    """Return one yearly switch as month, week (-1: the last), weekday (0: Sunday) and time."""
    day, _, hour = rule.partition("/")
    month, week, weekday = day.removeprefix("M").split(".")
    week = "-1" if week == "5" else week
    names = {"Year": "2026", "Month": month, "Week": week, "Day": weekday, "Hour": str(int(hour or "2")), "Minute": "0"}
    return {f"{edge}.{part}": value for part, value in names.items()}


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
