"""Random recording indexes from a seed: what a recorder may hold of one camera, with everything that goes wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from support.auditor import Books, Interval, merged, minus, ms

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York")
CHANGES = {  # days on which clocks change, and days soon after
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25), date(2026, 10, 26), date(2026, 12, 20)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1), date(2026, 11, 2), date(2027, 1, 5)),
    "Asia/Shanghai": (date(2026, 2, 28), date(2026, 12, 31)),
}
HOLES = (20, 59, 60, 61, 300, 860, 864, 865, 1000, 3600, 4000, 8640, 9000, 20_000, 86_400, 90_000, 3 * 86_400)
"""Seconds: around the tolerance of 60 s, around one hundredth and one tenth of a day, and whole days."""


def random_books(seed: int, zone: str | None = None, as_of: datetime | None = None) -> tuple[Books, list[Interval]]:
    """Return what the auditor is told, and the locked clips beside it; the same seed gives the same."""
    draw = Random(seed)
    zone = zone or draw.choice(ZONES)
    as_of = as_of or _instant(draw, zone)
    now, need = ms(as_of), draw.choice((90, 90, 60, 30, 7))
    fresh = draw.random() < 0.2
    footage = _recorded(draw, now, need, fresh=fresh)
    footage, locked = _locked(draw, footage)
    footage = _in_segments(draw, footage) + ([] if fresh else _old_clip(draw, now, need))
    draw.shuffle(footage)
    commissioned, first_seen = _commissioned(draw, as_of, zone, need, footage, fresh=fresh)
    opening = (time(7, 30), time(18), frozenset(range(5))) if draw.random() < 0.35 else None
    books = Books(
        zone=zone,
        as_of=as_of,
        required_days=need,
        unlocked=footage,
        opening=opening,
        closures=_closures(draw, as_of, zone, need),
        waivers=_waivers(draw, now, need),
        commissioned=commissioned,
        first_seen=first_seen,
    )
    return books, locked


def _instant(draw: Random, zone: str) -> datetime:
    if draw.random() < 0.5:
        day = draw.choice(CHANGES[zone])
    else:
        day = date(2026, 1, 1) + timedelta(days=draw.randrange(500))
    clock = draw.choice((time(0, 1), time(0, 0), time(0, 2, 59), time(12), time(23, 30), time(20), None))
    clock = clock or time(draw.randrange(24), draw.randrange(60), draw.randrange(60), draw.randrange(1000) * 1000)
    return datetime.combine(day, clock, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _recorded(draw: Random, now: int, need: int, *, fresh: bool) -> list[Interval]:
    """A stretch of recording up to now, with holes; sometimes motion clips over some of its days; sometimes nothing."""
    kept = draw.choice((need * DAY, draw.randrange(need * DAY), need * DAY + draw.randrange(12 * DAY), 0))
    if draw.random() < 0.2:
        kept = need * DAY + draw.randrange(60, 100) * DAY
    kept = draw.randrange(need * DAY) if fresh else kept
    newest = now - draw.choice((0, 40, 95, 179, 400, 7200)) * SECOND
    whole = [(now - kept, newest)] if newest > now - kept else []
    holes = []
    for _ in range(draw.choice((0, 0, 1, 2, 5, 12))):
        at = now - draw.randrange(max(kept, DAY))
        holes.append((at, at + draw.choice(HOLES) * SECOND + draw.choice((0, 0, 1, -1))))
    if draw.random() < 0.3:  # a power cut twenty days ago
        at = now - 20 * DAY + draw.randrange(-HOUR, HOUR)
        holes.append((at, at + draw.choice((HOUR, 3 * HOUR, DAY))))
    if draw.random() < 0.15:  # the recorder restarts every day, and takes its time
        lost = draw.choice((40, 61, 850, 870, 2000)) * SECOND
        holes += [(now - day * DAY - 7 * HOUR, now - day * DAY - 7 * HOUR + lost) for day in range(need + 10)]
    if draw.random() < 0.15:
        holes += _between_motions(draw, now, kept)
    return minus(whole, merged(holes))


def _between_motions(draw: Random, now: int, kept: int) -> list[Interval]:
    """The time between clips in some days in which the recorder recorded movement alone."""
    at = now - draw.randrange(max(kept, DAY))
    stop = at + draw.randrange(4 * DAY)
    quiet = []
    while at < stop:
        at += draw.randrange(10, 400) * SECOND
        length = draw.choice((30, 60, 61, 200, 900)) * SECOND
        quiet.append((at, at + length))
        at += length
    return quiet


def _locked(draw: Random, footage: list[Interval]) -> tuple[list[Interval], list[Interval]]:
    """Lock some clips: most are then no more in the list of unlocked footage."""
    locked: list[Interval] = []
    for _ in range(draw.choice((0, 0, 1, 3))):
        if footage:
            start, end = draw.choice(footage)
            at = draw.randrange(start, end)
            locked.append((at, min(end, at + draw.choice((50, 60, 300, 2000)) * SECOND)))
    return (footage if draw.random() < 0.2 else minus(footage, locked)), locked


def _in_segments(draw: Random, footage: list[Interval]) -> list[Interval]:
    """Cut into segments as recorders do: touching, sometimes overlapping, the same one now and then listed twice."""
    length = draw.choice((HOUR, 6 * HOUR, 30 * MINUTE))
    overlap = draw.choice((0, 0, 2 * SECOND, 90 * SECOND))
    segments: list[Interval] = []
    for start, end in footage:
        at = start
        while at < end:
            segments.append((at, min(end, at + length + overlap)))
            at += length
    return segments + draw.sample(segments, k=min(3, len(segments)))


def _old_clip(draw: Random, now: int, need: int) -> list[Interval]:
    if draw.random() < 0.7:
        return []
    at = now - draw.choice((need * DAY, need * DAY - HOUR, need * DAY + 5 * DAY, draw.randrange(200 * DAY)))
    return [(at, at + draw.choice((MINUTE, HOUR, 30 * HOUR)))]


def _commissioned(
    draw: Random, as_of: datetime, zone: str, need: int, footage: list[Interval], *, fresh: bool
) -> tuple[date | None, datetime | None]:
    today = as_of.astimezone(ZoneInfo(zone)).date()
    if draw.random() < 0.6 and not fresh:
        return None, None
    first = min((start for start, _ in footage), default=ms(as_of))
    begun = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=first)).astimezone(ZoneInfo(zone)).date()
    claim = draw.choice((begun, begun, begun - timedelta(days=1), today - timedelta(days=draw.randrange(need + 2))))
    claim = begun if fresh else claim
    seen = (
        None if fresh or draw.random() < 0.5 else as_of - timedelta(days=draw.randrange(need), hours=draw.randrange(24))
    )
    return claim, seen


def _closures(draw: Random, as_of: datetime, zone: str, need: int) -> list[tuple[date, date]]:
    today = as_of.astimezone(ZoneInfo(zone)).date()
    closures = []
    for _ in range(draw.choice((0, 0, 1, 3))):
        start = today - timedelta(days=draw.randrange(-2, need + 10))
        closures.append((start, start + timedelta(days=draw.choice((0, 1, 7, 20)))))
    return closures


def _waivers(draw: Random, now: int, need: int) -> list[Interval]:
    waivers = []
    for _ in range(draw.choice((0, 0, 0, 1, 2))):
        at = now - draw.randrange(need * DAY + 5 * DAY)
        waivers.append((at, at + draw.choice((HOUR, 30 * HOUR, 5 * DAY))))
    return waivers
