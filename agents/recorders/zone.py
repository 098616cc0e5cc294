"""A recorder's own time zone: from its digits and its POSIX rule, to turn its wall clock into instants."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

MAX_OFFSET = timedelta(hours=15)
_ZERO = timedelta(0)
_OVERLAP = timedelta(minutes=2)
"""By how much a segment may begin before the one that precedes it has ended; never by more than half of its own length."""
_LAST_WEEK = 5
_AT = r"M(\d{1,2})\.(\d)\.(\d)/(\d{1,2}):(\d{2})(?::(\d{2}))?"
_RULE = re.compile(
    r"(?P<name>[A-Za-z]+)(?P<sign>[+-]?)(?P<h>\d{1,2})(?::(?P<m>\d{2}))?(?::(?P<s>\d{2}))?"
    rf"(?:[A-Za-z]+(?P<dh>\d{{1,2}}):(?P<dm>\d{{2}})(?::(?P<ds>\d{{2}}))?,{_AT},{_AT})?"
)


@dataclass(frozen=True)
class Switch:
    """A yearly moment in local wall time: the n-th (5 = last) weekday (0 = Sunday) of a month."""

    month: int
    week: int
    weekday: int
    at: timedelta

    def in_year(self, year: int) -> datetime:
        """Return the naive local moment in `year`."""
        first = date(year, self.month, 1)
        day = first + timedelta(days=(self.weekday - first.isoweekday()) % 7)
        day += timedelta(weeks=min(self.week, _LAST_WEEK) - 1)
        while day.month != self.month:
            day -= timedelta(weeks=1)
        return datetime(day.year, day.month, day.day) + self.at  # noqa: DTZ001  (wall time, on purpose)


class RuleZone(tzinfo):
    """Standard time with a yearly summer time, as a recorder's own menu states it."""

    def __init__(self, standard: timedelta, summer: timedelta, begins: Switch, ends: Switch) -> None:
        """Offset east of UTC, what summer adds, and the two switches in the wall time before each."""
        self._standard, self._summer = standard, summer
        self._begins, self._ends = begins, ends

    def _is_summer(self, wall: datetime) -> bool:
        naive = wall.replace(tzinfo=None, fold=0)
        begins, ends = self._begins.in_year(wall.year), self._ends.in_year(wall.year)
        # The repeated hour before `ends` is summer the first time (fold 0) and standard the second.
        if wall.fold and ends - self._summer <= naive < ends:
            return False
        inside = begins <= naive < ends
        return inside if begins < ends else not (ends <= naive < begins)

    def utcoffset(self, dt: datetime | None) -> timedelta:
        """Return the offset east of UTC at wall time `dt`."""
        return self._standard + self.dst(dt)

    def dst(self, dt: datetime | None) -> timedelta:
        """Return what summer time adds at wall time `dt`."""
        return self._summer if dt is not None and self._is_summer(dt) else _ZERO

    def tzname(self, dt: datetime | None) -> str:
        """Return a name for people."""
        return f"recorder time, {'summer' if self.dst(dt) else 'standard'}"

    def fromutc(self, dt: datetime) -> datetime:
        """Return the wall time of a UTC instant that carries this zone."""
        instant = dt.replace(tzinfo=None)
        year = (instant + self._standard).year
        begins = self._begins.in_year(year) - self._standard
        ends = self._ends.in_year(year) - self._standard - self._summer
        summer = begins <= instant < ends if begins < ends else not (ends <= instant < begins)
        fold = 0 if summer else int(ends <= instant < ends + self._summer)
        return (instant + self._standard + (self._summer if summer else _ZERO)).replace(tzinfo=self, fold=fold)


def _span(hours: str, minutes: str | None, seconds: str | None) -> timedelta:
    return timedelta(hours=int(hours), minutes=int(minutes or 0), seconds=int(seconds or 0))


def parse_rule(text: str) -> tzinfo | None:
    """Return the zone of a POSIX-like rule such as CST-8:00:00 or CET-1:00:00DST01:00:00,M3.5.0/02:00:00,...

    The sign is POSIX's: CST-8 lies east of Greenwich. None when the text is no such rule.
    """
    found = _RULE.fullmatch(text.strip())
    if found is None:
        return None
    standard = _span(found["h"], found["m"], found["s"]) * (1 if found["sign"] == "-" else -1)
    if abs(standard) > MAX_OFFSET:
        return None
    if found["dh"] is None:
        return timezone(standard)
    switches = [_switch(found.groups()[i : i + 6]) for i in (8, 14)]
    summer = _span(found["dh"], found["dm"], found["ds"])
    if None in switches or not _ZERO < summer <= timedelta(hours=2):
        return None
    begins, ends = switches
    assert begins is not None  # noqa: S101  (for the type checker: None was ruled out above)
    assert ends is not None  # noqa: S101
    return RuleZone(standard, summer, begins, ends)


def _switch(groups: tuple[str | None, ...]) -> Switch | None:
    month, week, weekday, hours = (int(group or 0) for group in groups[:4])
    if not (1 <= month <= 12 and 1 <= week <= _LAST_WEEK and weekday <= 6 and hours <= 24):
        return None
    return Switch(month, week, weekday, _span(groups[3] or "0", groups[4], groups[5]))


@dataclass(frozen=True)
class DeviceTime:
    """What a recorder's clock showed, and the zone it counts in."""

    wall: datetime
    zone: tzinfo

    @property
    def instant(self) -> datetime:
        """The aware UTC instant that the recorder's clock shows."""
        return self.wall.replace(tzinfo=self.zone).astimezone(UTC)


def device_time(local_time: str, rule: str | None, fallback: tzinfo) -> DeviceTime:
    """Read a recorder's clock from its localTime and timeZone texts. Raises ValueError when it shows no time.

    The digits in localTime decide: rules are written with POSIX's sign, which people and some firmware get wrong. The
    rule is taken where it agrees with the digits, for then it knows summer time too. A Z says nothing: search
    times show that recorders dress local time with it. Without digits the rule is taken, and `fallback` without both.
    """
    moment = datetime.fromisoformat(local_time.strip())
    wall = moment.replace(tzinfo=None)
    ruled = parse_rule(rule) if rule else None
    digits = moment.utcoffset() if not local_time.strip().endswith(("Z", "z")) else None
    if digits is None:
        return DeviceTime(wall, ruled or fallback)
    for zone in (ruled, fallback):
        if zone is not None and _agrees(zone, wall, digits):
            # A recorder with a rule keeps summer time only if its rule says so, whatever the institution does.
            return DeviceTime(wall, zone if zone is ruled or not rule else timezone(digits))
    return DeviceTime(wall, timezone(digits))


def _agrees(zone: tzinfo, wall: datetime, digits: timedelta) -> bool:
    return any(wall.replace(tzinfo=zone, fold=fold).utcoffset() == digits for fold in (0, 1))


def to_instants(walls: list[tuple[datetime, datetime]], zone: tzinfo) -> list[tuple[datetime, datetime]]:
    """Turn (start, end) wall times of one track into UTC instants, in the order given.

    In the hour that is repeated when summer time ends, wall times have two readings. Of the readings of a segment the
    shortest holds; where both are as short, the first pass, unless it is taken by a segment before: a track records one
    thing at a time. Segments that touch by the wall touch in truth. Raises ValueError for a segment that ends before it starts in every reading.
    """
    instants = []
    first_pass_until: datetime | None = None
    previous: tuple[datetime, datetime] | None = None
    for start_wall, end_wall in walls:
        starts, ends = _readings(start_wall, zone), _readings(end_wall, zone)
        spans = [(end - start, start, end) for start in starts for end in ends if end > start or len(ends) == 1]
        spans = [span for span in spans if span[0] >= _ZERO]
        if not spans:
            msg = f"a segment from {start_wall.isoformat()} to {end_wall.isoformat()}"
            raise ValueError(msg)
        shortest = sorted(span for span in spans if span[0] == min(spans)[0])
        length, begins, _ = shortest[0]
        # What seems to lie in the end of the segment before may be an hour longer than it looks: see _joined.
        inside = previous is not None and previous[0] < start_wall and end_wall <= previous[1]
        until = first_pass_until
        taken = until is not None and not inside and begins + min(_OVERLAP, length / 2) < until
        _, start, end = shortest[-1] if taken else shortest[0]
        if (len(starts) > 1 and start == starts[0]) or (len(ends) > 1 and end == ends[0]):
            first_pass_until = max(end, first_pass_until or end)
        previous = start_wall, end_wall
        instants.append((start, end))
    return _joined(walls, instants)


def _joined(
    walls: list[tuple[datetime, datetime]], instants: list[tuple[datetime, datetime]]
) -> list[tuple[datetime, datetime]]:
    """Let a segment last until the next one begins where both show the same wall time, or overlap by a little.

    A long segment that ends inside the repeated hour would else be read an hour short, and the next one begin after
    an hour in which nothing was recorded.
    """
    joined = list(instants)
    for index in range(len(walls) - 1):
        (start, end), (following, until) = instants[index], instants[index + 1]
        overlap = walls[index][1] - walls[index + 1][0]
        if _ZERO <= overlap <= min(_OVERLAP, (until - following) / 2) and end < following:
            joined[index] = (start, following + overlap)
    return joined


def _readings(wall: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """Return the instants that a wall time may mean, the earlier first: two in a repeated hour, else one."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    # In the hour that a spring jump skips, fold 1 lies before fold 0; no clock shows such a time.
    return (first, second) if first < second else (first,)
