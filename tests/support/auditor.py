"""An auditor's own computation of ninety days, from the words of the definition: shares no code with the engine."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

Interval = tuple[int, int]
"""[start, end) in UTC milliseconds."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Books:
    """All that the auditor is told about one camera."""

    zone: str
    as_of: datetime
    required_days: int
    unlocked: list[Interval]
    opening: tuple[time, time, frozenset[int]] | None = None
    """Due in opening hours only: from, to, weekdays (Monday is 0). None: due round the clock."""
    closures: list[tuple[date, date]] = field(default_factory=list)
    waivers: list[Interval] = field(default_factory=list)
    commissioned: date | None = None
    first_seen: datetime | None = None
    day_held_ratio: Fraction = Fraction(99, 100)
    mass_min_ratio: Fraction = Fraction(9, 10)
    gap_tolerance_ms: int = 60_000
    newest_lag_ms: int = 180_000


@dataclass(frozen=True)
class Statement:
    """What the auditor finds."""

    state: str
    held_days: int
    contiguous_days: int
    far_edge_at: str | None
    missing_days: list[str]
    gaps: list[tuple[str, str, str]]
    compliant_from: str | None


def audit(books: Books) -> Statement:
    """Compute the figures of the definition."""
    return _Audit(books).statement()


def ms(instant: datetime) -> int:
    """Return UTC milliseconds."""
    return (instant - EPOCH) // timedelta(milliseconds=1)


def text(instant_ms: int) -> str:
    """Return RFC 3339 in UTC, milliseconds only where there are any."""
    instant = EPOCH + timedelta(milliseconds=instant_ms)
    form = "%Y-%m-%dT%H:%M:%S" + (f".{instant_ms % 1000:03d}" if instant_ms % 1000 else "") + "Z"
    return instant.strftime(form)


def merged(intervals: list[Interval], hole: int = 0) -> list[Interval]:
    """Sort, and join what overlaps, touches, or lies at most `hole` apart."""
    out: list[Interval] = []
    for start, end in sorted(item for item in intervals if item[1] > item[0]):
        if out and start - out[-1][1] <= hole:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def minus(intervals: list[Interval], taken: list[Interval]) -> list[Interval]:
    """Return what is left of `intervals` after each of `taken` is cut out."""
    left = list(intervals)
    for cut_start, cut_end in taken:
        rest: list[Interval] = []
        for start, end in left:
            if cut_end <= start or end <= cut_start:
                rest.append((start, end))
                continue
            if start < cut_start:
                rest.append((start, cut_start))
            if cut_end < end:
                rest.append((cut_end, end))
        left = rest
    return left


class _Audit:
    def __init__(self, books: Books) -> None:
        self.books = books
        self.zone = ZoneInfo(books.zone)
        self.now = ms(books.as_of)
        self.today = books.as_of.astimezone(self.zone).date()
        self.footage = merged(books.unlocked)
        self.covered = merged(books.unlocked, hole=books.gap_tolerance_ms)
        self.starts = [start for start, _ in self.covered]
        self.born = self._born()
        self.new = self.born is not None and self.born >= self.day_ago(books.required_days)

    def _born(self) -> date | None:
        """The day from which history is owed: what first sight by the agent leaves of `commissioned`."""
        if self.books.commissioned is None:
            return None
        if self.books.first_seen is None:
            return self.books.commissioned
        return min(self.books.commissioned, self.books.first_seen.astimezone(self.zone).date())

    def day_ago(self, days: int) -> date:
        return self.today - timedelta(days=days)

    def midnight(self, day: date) -> int:
        return ms(datetime(day.year, day.month, day.day, tzinfo=self.zone))

    def asked(self, day: date) -> list[Interval]:
        """What the regulation asks for on `day`, less closures and waivers, cut to what is N x 24 h young."""
        books = self.books
        start, end = self.midnight(day), self.midnight(day + ONE_DAY)
        if books.opening is not None:
            opens, closes, weekdays = books.opening
            if day.weekday() not in weekdays:
                return []
            start = ms(datetime.combine(day, opens, tzinfo=self.zone))
            end = ms(datetime.combine(day, closes, tzinfo=self.zone))
        if any(first <= day <= last for first, last in books.closures):
            return []
        if day >= self.day_ago(books.required_days):
            # A day of 25 hours since puts N x 24 h ago into the day after: a recorder of exactly N days complies there.
            start = max(start, self.now - books.required_days * 86_400_000)
        end = min(end, self.now - books.newest_lag_ms)
        return minus([(start, end)] if end > start else [], books.waivers)

    def due(self, day: date) -> list[Interval]:
        """The due time of `day`: of a new camera only that since its first footage."""
        asked = self.asked(day)
        if self.new and self.footage:
            return minus(asked, [(-(2**60), self.footage[0][0])])
        return asked

    def due_and_covered(self, day: date) -> tuple[int, int]:
        due = self.due(day)
        return sum(end - start for start, end in due), sum(e - s for piece in due for s, e in self.inside(piece))

    def inside(self, piece: Interval) -> list[Interval]:
        """The covered parts of `piece`."""
        start, end = piece
        found = []
        index = max(bisect_right(self.starts, start) - 1, 0)
        while index < len(self.covered) and self.covered[index][0] < end:
            low, high = max(start, self.covered[index][0]), min(end, self.covered[index][1])
            if high > low:
                found.append((low, high))
            index += 1
        return found

    def held(self, day: date) -> bool:
        due, covered = self.due_and_covered(day)
        return due == 0 or Fraction(covered, due) >= self.books.day_held_ratio

    def first_day_of_footage(self) -> date:
        instant = EPOCH + timedelta(milliseconds=self.footage[0][0])
        return instant.astimezone(self.zone).date()

    def far_day(self, *, together: bool = True) -> date | None:
        """D: the earliest day with mass of its own and (`together`) with all days after it."""
        if not self.footage:
            return None
        found: date | None = None
        due_together = covered_together = 0
        day = self.day_ago(1)
        while day >= self.first_day_of_footage():
            due, covered = self.due_and_covered(day)
            due_together += due
            covered_together += covered
            ratio = self.books.mass_min_ratio
            own = due and Fraction(covered, due) >= ratio
            if own and (not together or Fraction(covered_together, due_together) >= ratio):
                found = day
            day -= ONE_DAY
        if found is not None:
            while not self.asked(found - ONE_DAY) and (self.today - found).days < 3000:
                found -= ONE_DAY
        return found

    def contiguous(self, far: date | None) -> int:
        """The run of held days back from yesterday, as far as there is footage at all."""
        count = 0
        while far is not None and self.day_ago(count + 1) >= far and self.held(self.day_ago(count + 1)):
            count += 1
        return count

    def window(self) -> list[date]:
        """The N days up to yesterday, from the first held day (with something due) on where that is later."""
        days = [self.day_ago(back) for back in range(self.books.required_days, 0, -1)]
        if self.footage and self.first_day_of_footage() < days[0]:
            earlier = self.first_day_of_footage()
            while earlier < days[0]:
                if self.due(earlier) and self.held(earlier):
                    return days
                earlier += ONE_DAY
        for index, day in enumerate(days):
            if self.due(day) and self.held(day):
                return days[index:]
        return days

    def gaps(self, window: list[date]) -> list[Interval]:
        pieces: list[Interval] = []
        for day in window:
            for piece in self.due(day):
                pieces += minus([piece], self.inside(piece))
        return merged(pieces)

    def ages_out(self, last_day: date) -> date:
        return last_day + timedelta(days=self.books.required_days + 1)

    def statement(self) -> Statement:
        required = self.books.required_days
        far = self.far_day()
        held_days = 0 if far is None else (self.today - far).days
        window = self.window()
        missing = [day for day in window if not self.held(day)]
        gaps = []
        for start, end in self.gaps(window):
            last = (EPOCH + timedelta(milliseconds=end - 1)).astimezone(self.zone).date()
            gaps.append((text(start), text(end), self.ages_out(last).isoformat()))
        state = self.state(held_days, missing)
        from_far = (self.today if far is None else far) + timedelta(days=required)
        compliant = max([from_far, *(self.ages_out(day) for day in missing[-1:])])
        return Statement(
            state=state,
            held_days=held_days,
            contiguous_days=self.contiguous(far),
            far_edge_at=None if far is None else text(self.midnight(far)),
            missing_days=[day.isoformat() for day in missing],
            gaps=gaps,
            compliant_from=None if state == "ok" else compliant.isoformat(),
        )

    def state(self, held_days: int, missing: list[date]) -> str:
        if held_days < self.books.required_days:
            if not (self.new and self.reaches_back()):
                return "short"
            return "gap" if missing else "maturing"
        return "gap" if missing else "ok"

    def reaches_back(self) -> bool:
        """Tell whether a new camera's history begins on the day it was commissioned, whatever holes it has since."""
        if not self.footage or self.born is None:
            return False
        first = self.far_day(together=False)
        return (self.today if first is None else first) <= self.born
