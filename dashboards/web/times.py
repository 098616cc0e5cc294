"""Instants, days and lengths of time in words: in the institution's time zone and the page's language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from markupsafe import Markup

from dashboards.web.i18n import Language, translations
from monitor.model.calendar import local_date
from monitor.model.span import HOUR, MINUTE, Millis, from_millis, isoformat, parse_instant, to_millis

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_NAMES = {
    Language.ZH: {"d": "天", "h": "小时", "min": "分钟", "s": "秒"},
    Language.EN: {"d": "d", "h": "h", "min": "min", "s": "s"},
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS = {Language.ZH: "一二三四五六日", Language.EN: "MTWTFSS"}


@dataclass(frozen=True)
class Times:
    """How times are written on one page."""

    zone: ZoneInfo
    language: Language

    def instant(self, millis: Millis, *, seconds: bool = False) -> str:
        """Return the local date and time."""
        local = from_millis(millis).astimezone(self.zone)
        return local.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")

    def day(self, millis: Millis) -> str:
        """Return an instant's date here."""
        return self.instant(millis)[:10]

    def clock(self, millis: Millis) -> str:
        """Return the local time of day."""
        return from_millis(millis).astimezone(self.zone).strftime("%H:%M")

    def element(self, millis: Millis, *, seconds: bool = False) -> Markup:
        """Return a <time> element: the local time for people, UTC for machines."""
        text = self.instant(millis, seconds=seconds)
        return Markup('<time datetime="{}">{}</time>').format(isoformat(millis), text)

    def duration(self, millis: Millis) -> str:
        """Return a length of time by its two largest units."""
        names, seconds = _NAMES[self.language], max(0, round(millis / 1000))
        parts = []
        for unit, size in _UNITS:
            count, seconds = divmod(seconds, size)
            if count:
                parts.append(f"{count} {names[unit]}")
        return " ".join(parts[:2]) or f"0 {names['s']}"

    def hours(self, millis: Millis) -> str:
        """Return a length of time of a day or so: a whole day is 24 hours."""
        if millis < HOUR:
            return self.duration(millis)
        names, minutes = _NAMES[self.language], round(millis / MINUTE)
        text = f"{minutes // 60} {names['h']}"
        return f"{text} {minutes % 60} {names['min']}" if minutes % 60 else text

    def month(self, day: date) -> str:
        """Return the short name of a day's month."""
        return f"{day.month}月" if self.language is Language.ZH else _MONTHS[day.month - 1]

    def weekday(self, index: int) -> str:
        """Return the one-letter name of a weekday, Monday first."""
        return _WEEKDAYS[self.language][index]

    def days(self, items: list[date]) -> str:
        """Return dates as a short list: days in a row as one span."""
        runs: list[tuple[date, date]] = []
        for day in sorted(items):
            if runs and day - runs[-1][1] == timedelta(days=1):
                runs[-1] = (runs[-1][0], day)
            else:
                runs.append((day, day))
        texts = [str(a) if a == b else f"{a} – {b}" for a, b in runs]
        return self.listed(texts)

    def listed(self, texts: list[str]) -> str:
        """Join texts as the language lists things."""
        return ("、" if self.language is Language.ZH else ", ").join(texts)

    def name(self) -> str:
        """Return the zone's name for people."""
        return translations(self.language).gettext("Times in the zone %(zone)s") % {"zone": self.zone.key}

    def ticks(self, start: Millis, end: Millis, every_hours: int) -> list[tuple[Millis, str]]:
        """Return the local times of day at whole multiples of `every_hours` inside [start, end]."""
        found = []
        first = from_millis(start).astimezone(self.zone).replace(minute=0, second=0, microsecond=0)
        at = to_millis(first)
        while at <= end:
            local = from_millis(at).astimezone(self.zone)
            if at >= start and local.hour % every_hours == 0 and local.minute == 0:
                found.append((at, local.strftime("%H:%M")))
            at += HOUR
        return found


_FIRST: Millis = -60_000_000_000_000
"""The year 68: calendars begin with the year 1."""
_LAST: Millis = 221_845_392_000_000
"""The year 9000: calendars end with 9999, in some zone a day sooner."""


def read_instant(value: object) -> Millis | None:
    """Return the milliseconds of an RFC 3339 text; None when it is none that every calendar has."""
    try:
        found = parse_instant(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
    return found if found is not None and _FIRST <= found < _LAST else None


def read_date(value: object) -> date | None:
    """Return the date of an ISO 8601 text; None when it is none."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def today(millis: Millis, zone: ZoneInfo) -> date:
    """Return the local date of an instant."""
    return local_date(millis, zone)
