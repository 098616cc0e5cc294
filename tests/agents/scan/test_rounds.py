"""An index read round by round: whole at first, from where it was after a kill, then what is new, the edge, old days."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders.base import Channel, Footage, OffersNothing, Progress, RecorderError
from agents.recorders.sizes import FileSizes
from agents.scan import plan
from agents.scan.plan import Read
from agents.scan.recorder import Channelled, RecorderScan
from agents.scan.rounds import Rounds
from monitor.model.calendar import day_start
from monitor.model.clock import ManualClock
from monitor.model.clock_offsets import clock_offsets
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.recordings import LISTED_LATE, read_recordings, window_read
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, Millis, Spans, from_millis, to_millis
from support.rounds import rounds_over

NOW = 1_795_000_000_000
ZONE = ZoneInfo("Asia/Shanghai")


@dataclass
class Held(OffersNothing):
    """A recorder that holds `keeps` of footage in files of an hour, all but `holes`, and remembers what it was asked."""

    clock: ManualClock
    keeps: Millis = 100 * DAY
    holes: Spans = field(default_factory=Spans.empty)
    offset: Millis = 0
    sizes: bool = True
    fails: bool = False
    lists: tuple[str, ...] = ("1",)
    asked: list[tuple[Millis, Millis]] = field(default_factory=list)

    @property
    def now(self) -> Millis:
        return to_millis(self.clock.now())

    def spans(self) -> Spans:
        return Spans.window(self.now - self.keeps, self.now).subtract(self.holes)

    async def channels(self) -> tuple[Channel, ...]:
        return tuple(Channel(number, "", None) for number in self.lists)

    async def clock_offset(self) -> float:
        return self.offset / SECOND

    async def earliest(self, channel: str) -> Millis | None:
        start = self.spans().start
        return None if start is None else start + self.offset

    async def footage(self, channel: str, start: Millis, end: Millis, progress: Progress | None = None) -> Footage:
        if self.fails:
            raise RecorderError("timeout", "no answer")
        self.asked.append((start, end))
        if progress is not None:
            progress(1.0)
        held = self.spans().shift(self.offset).clip(start, end)
        files = FileSizes.of((a, b, (b - a) // SECOND * 1000) for a, b in held.tuples()) if self.sizes else None
        return Footage(held, Spans.empty(), (start, end), files)


@dataclass
class Bench:
    """A recorder, its rounds and what they have seen."""

    held: Held
    scan: RecorderScan
    rounds: Rounds
    seen: list[Observation]
    shares: list[float]

    def ledger(self) -> Spans:
        """Return the footage in true time, as the ledger has it."""
        clocks = [item for item in self.seen if item.kind is Kind.CLOCK]
        readings = [item for item in self.seen if item.kind is Kind.RECORDINGS]
        facts = read_recordings(readings, clock_offsets(clocks), self.held.now)
        assert facts is not None
        return facts.footage

    async def hours(self, count: int, *, calm: bool = True, step: int = 1, required_days: int = 90) -> None:
        """Let so many hours pass, a round after each `step` of them."""
        for _ in range(count // step):
            self.held.clock.advance(step * 3600)
            self.scan.offset_seconds = None
            assert await self.rounds.round(required_days, calm=lambda _: calm, every=HOUR)


@contextmanager
def bench(folder: Path, **more: object) -> Iterator[Bench]:
    clock = ManualClock(from_millis(NOW))
    held = Held(clock, **more)  # type: ignore[arg-type]
    seen: list[Observation] = []
    scan = RecorderScan("nvr", held, [Channelled("gate", "1")], clock, seen.append)  # type: ignore[arg-type]
    shares: list[float] = []
    with rounds_over(
        scan, clock, seen, folder, zone="Asia/Shanghai", progress=lambda _, share: shares.append(share)
    ) as rounds:
        yield Bench(held, scan, rounds, seen, shares)


@pytest.mark.parametrize("minutes", [0, 2, 3, 3.5, 30])
def test_what_is_listed_late_after_midnight_is_read_with_yesterday(minutes: float) -> None:
    """Else footage of the day's first minutes would be left to the next round."""
    zone = ZoneInfo("Asia/Shanghai")
    midnight = day_start(date(2026, 11, 28), zone)
    present = midnight + round(minutes * MINUTE)
    left = Spans.window(midnight - 30 * DAY, present - LISTED_LATE)
    most = present + plan.BEYOND
    low, high = plan.newest_part(left, most, zone)
    assert high == most
    assert low <= midnight - 13 * DAY
    rest = plan.newest_part(left.clip(0, midnight - 10 * DAY), most, zone)
    assert rest[1] == midnight - 10 * DAY


async def test_a_recorder_with_a_lost_clock_is_read_once_by_the_dates_that_its_older_footage_has(
    tmp_path: Path,
) -> None:
    with bench(tmp_path, offset=3 * DAY - NOW) as it:
        it.held.spans = lambda: Spans.window(NOW - 60 * DAY, NOW - DAY).shift(-it.held.offset)  # type: ignore[method-assign]
        assert await it.rounds.round(90)
        read = Spans.empty().union(*(window_read(item) for item in it.seen if item.kind is Kind.RECORDINGS))
        assert read.close_gaps(1).gaps(NOW - 90 * DAY, NOW - HOUR) == Spans.empty()
        assert it.ledger().clip(0, NOW - HOUR) == Spans.window(NOW - 60 * DAY, NOW - DAY)
        first = len(it.held.asked)
        await it.hours(6)
        assert len(it.held.asked) - first <= 6, "only what is new, no longer the whole index each hour"


async def test_the_first_scan_is_whole_newest_first_and_says_how_far_it_is(tmp_path: Path) -> None:
    with bench(tmp_path) as it:
        assert await it.rounds.round(90)
        starts = [start for start, _ in it.held.asked]
        assert starts == sorted(starts, reverse=True)
        assert all(end - start <= plan.PART_DAYS * DAY for start, end in it.held.asked)
        assert it.ledger() == it.held.spans()
        assert it.shares == sorted(it.shares)
        assert (it.shares[0], it.shares[-1]) == (0.0, 1.0)
        assert len(it.shares) > 7


async def test_a_scan_that_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    with bench(tmp_path) as it:
        tell = it.rounds._progress

        class Killed(Exception):
            pass

        def kill(camera: str, share: float) -> None:
            if share > 0.5:
                raise Killed

        it.rounds._progress = kill
        with pytest.raises(Killed):
            await it.rounds.round(90)
        it.rounds._progress = tell
        first = list(it.held.asked)
    with bench(tmp_path) as again:
        again.seen += it.seen
        assert await again.rounds.round(90)
        read = Spans.of(first).intersect(Spans.of(again.held.asked)).total()
        assert read <= plan.PART_DAYS * DAY + 3 * HOUR, "no more than the part under way and the news is read twice"
        assert again.ledger().total() >= 100 * DAY - HOUR


async def test_what_is_new_is_read_each_second_hour_while_nothing_is_wrong_and_each_hour_else(tmp_path: Path) -> None:
    with bench(tmp_path) as it:
        await it.rounds.round(90)
        it.held.asked.clear()
        await it.hours(8)
        assert len(it.held.asked) == 4
        it.held.asked.clear()
        await it.hours(3, calm=False)
        assert len(it.held.asked) == 3
        assert it.ledger().total() >= 100 * DAY


async def test_no_day_sees_a_full_scan_again_and_a_week_of_old_days_is_read_again_each_day(tmp_path: Path) -> None:
    with bench(tmp_path, keeps=32 * DAY) as it:
        await it.rounds.round(30)
        it.held.asked.clear()
        await it.hours(24, required_days=30)
        assert sum(end - start for start, end in it.held.asked) < 25 * DAY
        assert len(it.held.asked) <= 16
        await it.hours(6 * 24, step=8, required_days=30)
        assert not plan.missing((NOW - 24 * DAY, NOW + 6 * DAY), [Read(*window, 0) for window in it.held.asked])


async def test_footage_that_is_overwritten_is_no_longer_held_within_a_day(tmp_path: Path) -> None:
    with bench(tmp_path) as it:
        await it.rounds.round(90)
        it.held.keeps = 40 * DAY
        await it.hours(26, step=2)
        start = it.ledger().start
        assert start is not None
        assert abs(start - (it.held.now - 40 * DAY)) <= DAY


async def test_a_storage_that_was_reset_is_seen_within_a_day(tmp_path: Path) -> None:
    with bench(tmp_path) as it:
        await it.rounds.round(90)
        it.held.holes = Spans.window(0, NOW)
        await it.hours(26, step=2)
        assert it.ledger().total() <= 27 * HOUR


async def test_a_hole_in_old_days_is_seen_in_their_turn_and_so_is_that_it_was_filled(tmp_path: Path) -> None:
    with bench(tmp_path, keeps=32 * DAY) as it:
        await it.rounds.round(30)
        it.held.holes = Spans.window(NOW - 20 * DAY, NOW - 17 * DAY)
        await it.hours(6 * 24, step=8, required_days=30)
        assert not it.ledger().intersect(it.held.holes)
        lost, it.held.holes = it.held.holes, Spans.empty()
        await it.hours(6 * 24, step=8, required_days=30)
        assert it.ledger().intersect(lost) == lost


async def test_after_a_fortnight_off_the_time_is_read_and_no_more(tmp_path: Path) -> None:
    with bench(tmp_path) as it:
        await it.rounds.round(90)
        it.held.asked.clear()
        it.held.clock.advance(14 * 86_400)
        await it.hours(2)
        assert it.ledger().gaps(NOW - 80 * DAY, it.held.now - HOUR).total() == 0
        assert sum(end - start for start, end in it.held.asked) < 40 * DAY


def agent_off(at: Bench, by: Millis) -> None:
    """Set the agent's clock off by so much more; the recorder's is right, and shows what it showed."""
    at.held.clock.step(by / SECOND)
    at.held.offset -= by
    at.scan.offset_seconds = None


async def round_of(at: Bench) -> Spans:
    """Make a round; return what was asked for in it."""
    before = len(at.held.asked)
    assert await at.rounds.round(90, every=HOUR)
    return Spans.of(at.held.asked[before:])


@pytest.mark.parametrize("off", [365 * DAY, 8 * HOUR, -8 * HOUR])
async def test_an_index_that_was_read_by_a_clock_that_was_wrong_is_read_anew_once_when_that_is_wanted(
    tmp_path: Path, off: Millis
) -> None:
    """Readings that are dated in the future would else stay the newest, and keep those of now from being kept."""
    with bench(tmp_path) as at:
        agent_off(at, off)
        assert await at.rounds.round(90, every=HOUR)
        at.held.clock.advance(120)
        agent_off(at, -off)
        at.rounds.forget()
        due = Spans.window(at.held.now - 90 * DAY, at.held.now - HOUR)
        first = len(at.seen)
        assert not due.subtract(await round_of(at))
        readings = [item for item in at.seen[first:] if item.kind is Kind.RECORDINGS]
        told = read_recordings(readings, [], at.held.now)
        assert told is not None
        assert not due.subtract(told.footage)
        at.held.clock.advance(3600)
        assert (await round_of(at)).total() < 2 * DAY


async def test_what_was_read_by_a_clock_that_was_ahead_is_missing_when_it_is_right(tmp_path: Path) -> None:
    with bench(tmp_path) as at:
        await at.hours(24)
        wrong_since = at.held.now
        agent_off(at, 365 * DAY)
        await at.hours(5 * 24)
        agent_off(at, -365 * DAY)
        assert not Spans.window(wrong_since, at.held.now - HOUR).subtract(await round_of(at))
        at.held.clock.advance(3600)
        assert (await round_of(at)).total() < 9 * DAY, "what is new, and a week of old days"


async def test_a_refusal_ends_the_round_and_the_next_one_goes_on(tmp_path: Path) -> None:
    with bench(tmp_path) as it:
        it.held.fails = True
        assert not await it.rounds.round(90)
        assert [item.state for item in it.seen if item.kind is Kind.RECORDINGS] == ["unknown"]
        it.held.fails = False
        assert await it.rounds.round(90)
        assert it.ledger() == it.held.spans()


async def test_another_recorder_or_channel_is_read_anew(tmp_path: Path) -> None:
    with bench(tmp_path) as it:
        it.scan.serial_digest = "sha256:one"
        await it.rounds.round(90)
        it.held.asked.clear()
        it.scan.serial_digest = None
        await it.hours(2)
        assert len(it.held.asked) == 1, "an answer that doesn't come is no other recorder"
        it.held.asked.clear()
        it.scan.serial_digest = "sha256:two"
        it.held.clock.advance(3600)
        await it.rounds.round(90)
        assert sum(end - start for start, end in it.held.asked) >= 92 * DAY


async def test_what_another_recorder_held_long_ago_does_not_stay_in_the_ledger(tmp_path: Path) -> None:
    with bench(tmp_path, keeps=200 * DAY) as it:
        it.scan.serial_digest = "sha256:one"
        await it.rounds.round(90)
        it.scan.serial_digest = "sha256:two"
        it.held.keeps = 30 * DAY
        await it.hours(1)
        assert it.ledger() == it.held.spans()


async def test_a_look_long_after_the_last_one_forgets_what_was_overwritten_since(tmp_path: Path) -> None:
    """As `agent check` does it: each begins anew, beside what earlier ones left in the journal."""
    with bench(tmp_path, keeps=85 * DAY) as it:
        await it.rounds.round(90)
        it.rounds.forget()
        await it.hours(100 * 24, step=100 * 24)
        assert it.ledger() == it.held.spans()
        it.rounds.forget()
        it.held.asked.clear()
        await it.hours(1)
        assert min(start for start, _ in it.held.asked) >= it.held.now - 94 * DAY, (
            "what is known to be gone isn't asked again"
        )


async def test_a_channel_that_the_recorder_does_not_list_and_never_held_is_unknown_and_not_empty(
    tmp_path: Path,
) -> None:
    with bench(tmp_path, keeps=0, lists=("2", "3")) as it:
        await it.scan.channel_online("1", fresh_seconds=0)
        assert not await it.rounds.round(90)
        told = [item for item in it.seen if item.kind is Kind.RECORDINGS]
        assert [(item.state, item.cause) for item in told] == [("unknown", "not_found")]
        assert "channel '1'" in (told[0].detail or "")
        assert "(2, 3)" in (told[0].detail or "")
        it.held.lists = ("1", "2", "3")
        it.held.clock.advance(3600)
        await it.scan.channel_online("1", fresh_seconds=0)
        assert await it.rounds.round(90), "the camera was added to the recorder: now it holds nothing yet"
        assert not it.ledger()


@pytest.mark.parametrize(("keeps", "lists"), [(5 * DAY, ("2",)), (0, ())])
async def test_footage_decides_where_only_what_is_on_line_is_listed(
    tmp_path: Path, keeps: Millis, lists: tuple[str, ...]
) -> None:
    with bench(tmp_path, keeps=keeps, lists=lists) as it:
        await it.scan.channel_online("1", fresh_seconds=0)
        assert await it.rounds.round(90)
        assert it.ledger() == it.held.spans()
        it.held.keeps = 0
        it.rounds.forget()
        it.held.clock.advance(3600)
        await it.scan.channel_online("1", fresh_seconds=0)
        assert await it.rounds.round(90), "what was held once and no longer is, is lost and not unknown"
        assert not it.ledger()


async def test_a_pack_that_asks_for_more_days_has_them_read(tmp_path: Path) -> None:
    with bench(tmp_path, keeps=200 * DAY) as it:
        await it.rounds.round(30)
        assert it.ledger().total() == 200 * DAY
    with bench(tmp_path / "other", keeps=20 * DAY) as it:
        await it.rounds.round(30)
        it.held.asked.clear()
        await it.rounds.round(90)
        assert it.held.asked[-1][0] <= NOW - 92 * DAY


@pytest.mark.parametrize("offset", [-3 * HOUR, 5 * HOUR, -100 * DAY])
async def test_a_recorder_with_a_wrong_clock_is_read_by_that_clock(tmp_path: Path, offset: Millis) -> None:
    with bench(tmp_path, offset=offset) as it:
        await it.rounds.round(90)
        await it.hours(6)
        assert it.ledger().gaps(NOW - 85 * DAY, it.held.now - 2 * HOUR).total() == 0


@pytest.mark.parametrize("step", [-3 * HOUR, 4 * HOUR, -40 * MINUTE])
async def test_a_clock_that_is_set_leaves_no_hole(tmp_path: Path, step: Millis) -> None:
    with bench(tmp_path) as it:
        await it.rounds.round(90)
        await it.hours(5)
        stepped = it.held.now + 30 * MINUTE
        old = it.held.spans

        def both() -> Spans:
            """Return the footage, dated by the clock of its time; the harness adds the newer offset to all."""
            spans = old()
            before = spans.clip(0, stepped).shift(-step)
            return before.union(spans.clip(stepped, it.held.now))

        it.held.spans = both  # type: ignore[method-assign]
        it.held.offset = step
        await it.hours(6)
        assert it.ledger().gaps(NOW - 85 * DAY, it.held.now - 3 * HOUR).total() == 0


async def test_what_each_whole_day_takes_is_told_once_it_was_read(tmp_path: Path) -> None:
    with bench(tmp_path) as it:
        await it.rounds.round(90)
        told = [item for item in it.seen if item.kind is Kind.WRITTEN]
        assert len(told) == 1
        sizes = told[0].facts["bytes"]
        assert isinstance(sizes, list)
        assert set(sizes[1:]) == {86_400_000}
        await it.hours(48, step=4)
        told = [item for item in it.seen if item.kind is Kind.WRITTEN]
        last = told[-1].facts
        assert len(told) == 3
        assert "estimated_days" not in last
        assert isinstance(last["bytes"], list)
        assert (last["first_day"], len(last["bytes"])) == (told[0].facts["first_day"], len(sizes) + 2)


async def test_where_the_index_tells_no_sizes_they_are_estimated_from_the_measured_bit_rate_or_not_told(
    tmp_path: Path,
) -> None:
    with bench(tmp_path, sizes=False) as it:
        await it.rounds.round(90)
        assert not [item for item in it.seen if item.kind is Kind.WRITTEN], "no rate was measured: unknown, never zero"
        it.rounds._journal.append([
            Observation(
                subject=Subject(kind="camera", id="gate"), kind=Kind.MAIN_STREAM, start=NOW, end=NOW, state="read",
                expires=NOW + DAY, facts={"bit_rate": 4_000_000.0},
            )
        ])  # fmt: skip
        await it.hours(26, step=2)
        facts = [item for item in it.seen if item.kind is Kind.WRITTEN][-1].facts
        assert isinstance(facts["bytes"], list)
        assert facts["estimated_days"] == len(facts["bytes"])
        assert set(facts["bytes"][1:]) == {86_400 * 500_000}


WINDOWS = st.lists(st.tuples(st.integers(0, 90), st.integers(1, 20), st.integers(0, 30)), min_size=1, max_size=12)


@given(WINDOWS)
def test_the_stalest_week_is_never_one_that_was_read_later(windows: list[tuple[int, int, int]]) -> None:
    read = [Read(NOW + a * DAY, NOW + (a + length) * DAY, NOW + at * DAY) for a, length, at in windows]
    wanted = (NOW, NOW + 90 * DAY)
    window = plan.stalest(wanted, read, ZONE)
    inside = [one for one in read if one.low < wanted[1] and one.high > wanted[0]]
    if not inside:
        return
    assert window is not None
    hours = range(NOW, NOW + 110 * DAY, HOUR)
    newest = {at: max(ages) for at in hours if (ages := [one.at for one in read if one.low <= at < one.high])}
    in_window = [age for at, age in newest.items() if window[0] <= at < window[1]]
    assert min(in_window) == min(newest.values())


@given(st.integers(0, 10 * DAY), st.integers(-5 * HOUR, 5 * HOUR))
def test_news_cover_the_time_since_by_either_clock(passed: Millis, step: Millis) -> None:
    read_to, present = NOW, NOW + passed + step
    spans = Spans.of(plan.news(present, passed, read_to))
    recently = min(passed, plan.NEW_AT_ONCE)
    for window in ((present - recently, present), (read_to, read_to + recently)):
        # A step smaller than half the overlap is inside it.
        assert spans.gaps(*window).total() == 0 or abs(step) <= plan.OVERLAP / 2
