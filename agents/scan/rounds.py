"""One recorder's index read round by round: first all of it, then what is new, the far edge, and old days in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from pydantic import JsonValue, ValidationError

from agents.journal import Journal
from agents.recorders.base import Footage
from agents.scan import plan, written
from agents.scan.pace import index_rounds
from agents.scan.plan import Read, Window
from agents.scan.recorder import Channelled, Progress, RecorderScan
from monitor.model.calendar import day_start, local_date
from monitor.model.clock_offsets import PLAUSIBLE_FROM
from monitor.model.inventory import Strict
from monitor.model.observation import Kind, Subject
from monitor.model.recordings import LISTED_LATE, RecordingFacts, read_recordings
from monitor.model.report import MAX_AHEAD
from monitor.model.span import DAY, HOUR, Millis, Spans

EDGE_EVERY: Millis = 12 * HOUR
RECHECK_EVERY: Millis = DAY
WRITTEN_HOLDS: Millis = 3 * DAY
FOR_EVER: Millis = 2**53


class Kept(Protocol):
    """What outlives the process, by key: agents.state.State."""

    def get(self, key: str) -> JsonValue:
        """Return what was kept; None without any."""
        ...

    def put(self, key: str, value: JsonValue) -> None:
        """Keep a value, durably."""
        ...


class CameraScan(Strict):
    """How far the reading of one camera's index is. Instants of the agent's clock, but where the recorder's is named."""

    source: str
    """Recorder, its serial number's digest, channel: when it is another one, everything is read anew."""
    began_at: Millis
    """Readings before this don't count."""
    earliest: Millis | None = None
    """Where footage began at first, by the recorder's clock, or earlier readings said that it did."""
    new_at: Millis | None = None
    read_to: Millis | None = None
    """What the recorder's clock showed at the last reading of what is new."""
    recent_at: Millis | None = None
    edge_at: Millis | None = None
    recheck_at: Millis | None = None


def camera_subject(item: Channelled) -> Subject:
    """Return the camera as a subject."""
    return Subject(kind="camera", id=item.camera)


class Rounds:
    """Reads one recorder's index. Every reading is kept as it comes, so that a kill costs the part that was under way."""

    def __init__(
        self,
        scan: RecorderScan,
        *,
        zone: ZoneInfo,
        journal: Journal,
        kept: Kept,
        keep: Callable[[], Awaitable[None]],
        now: Callable[[], Millis],
        progress: Progress | None = None,
        name: str = "index",
    ) -> None:
        """Ask nothing yet. `keep` puts what the scan has told so far into the journal, durably."""
        self.far_edge_every: Millis = EDGE_EVERY
        self._scan, self._zone, self._journal, self._kept = scan, zone, journal, kept
        self._keep, self._now, self._progress, self._name = keep, now, progress, name

    async def round(
        self, required_days: int, *, calm: Callable[[str], bool] = lambda _: False, every: Millis = 0
    ) -> bool:
        """Read what is due of each camera; return whether all that was asked was answered.

        `every` is how often a round is made; of a camera for which `calm` holds what is new isn't read in each (pace.py).
        """
        await self._scan.ask_clock()
        whole, seldom = True, index_rounds(self._scan.driver.cost, len(self._scan.cameras))
        for item in self._scan.cameras:
            rounds = seldom if calm(item.camera) else 1
            whole = await self._camera(item, required_days, rounds * every - every // 4) and whole
        return whole

    def forget(self, older: Millis = 0) -> None:
        """Read everything anew the next time, of cameras whose reading began at least `older` ms ago."""
        for item in self._scan.cameras:
            if not 0 <= self._now() - self._known(item).began_at < older:
                self._kept.put(self._key(item), None)

    async def _camera(self, item: Channelled, required_days: int, new_every: Millis) -> bool:
        known = self._known(item)
        if known.new_at is None:
            answered, earliest = await self._scan.earliest(item)
            if not answered:
                return False
            earliest = await asyncio.to_thread(self._claimed_from, item, earliest)
            if earliest is None and self._scan.tell_unlisted(item):
                return False  # it is looked for again in the next round
            known = known.model_copy(update={"earliest": earliest})
            self._put(item, known)
        else:
            read = await self._news(item, known, new_every)
            if read is None:
                return False
            known = read
        started = self._started(item, known)
        filled = await self._fill(item, started, required_days)
        return filled and await self._upkeep(item, started, required_days)

    def _claimed_from(self, item: Channelled, earliest: Millis | None) -> Millis | None:
        """Return where footage begins, by the recorder or by any reading that is kept, whichever is earlier.

        What an exchanged recorder held, or this one when it was last read long ago, would else stay in the ledger.
        """
        facts = self._read_so_far(item)
        footage = facts.footage.union(facts.locked).clip(PLAUSIBLE_FROM, FOR_EVER) if facts is not None else None
        starts = (earliest, footage.start if footage is not None else None)
        return min((start for start in starts if start is not None), default=None)

    def _started(self, item: Channelled, known: CameraScan) -> CameraScan:
        """Let a first scan begin: up to now is what is missing, and from now on there is news."""
        if known.new_at is not None:
            return known
        now = self._now()
        begun = known.model_copy(
            update={"new_at": now, "read_to": self._scan.present, "recent_at": now, "edge_at": now, "recheck_at": now}
        )
        self._put(item, begun)
        return begun

    async def _news(self, item: Channelled, known: CameraScan, every: Millis) -> CameraScan | None:
        """Read what is new, if it is time; None when that was refused."""
        now, present = self._now(), self._scan.present
        new_at, read_to, recent_at = known.new_at or now, known.read_to or present, known.recent_at or now
        same_day = local_date(now, self._zone) == local_date(new_at, self._zone)
        if same_day and now >= new_at and now - new_at < every:
            return known  # after midnight yesterday is judged, so its end is read at once
        windows = plan.news(present, max(0, now - new_at), read_to)
        update: dict[str, Millis] = {"new_at": now, "read_to": present}
        if local_date(now, self._zone) != local_date(recent_at, self._zone):
            windows = Spans.of([*windows, plan.recent(present, present - max(0, now - recent_at), self._zone)]).tuples()
            update["recent_at"] = now
        for window in windows:
            if await self._read(item, window) is None:
                return None
        later = known.model_copy(update=update)
        self._put(item, later)
        if "recent_at" in update:
            await self._tell_written(item, later)
        return later

    async def _fill(self, item: Channelled, known: CameraScan, required_days: int) -> bool:
        """Read what was never read, the newest first; return whether nothing is left."""
        wanted = self._wanted(known, required_days)
        before = await self._windows(item, known)
        mine: list[Read] = []  # beside the journal: where it can't be written, the same part is not read for ever
        while left := plan.missing(wanted, [*before, *mine]):
            window = plan.newest_part(left, wanted[1] + LISTED_LATE + plan.BEYOND, self._zone)
            done = plan.share_read(wanted, [*before, *mine])
            mine.append(Read(*window, self._now()))
            teller = self._teller(item, done, plan.share_read(wanted, [*before, *mine]))
            if await self._read(item, window, teller) is None:
                return False
        self._tell(item, 1.0)
        if mine:
            await self._tell_written(item, known)
        return True

    async def _upkeep(self, item: Channelled, known: CameraScan, required_days: int) -> bool:
        """Look at the far edge, or read some old days again, if it is time for one of them."""
        now, wanted = self._now(), self._wanted(known, required_days)
        if not 0 <= now - (known.edge_at or now) < self.far_edge_every:
            read, update = await self._edge(item, known, wanted), {"edge_at": now}
        elif not 0 <= now - (known.recheck_at or now) < RECHECK_EVERY:
            window = plan.stalest(wanted, await self._windows(item, known), self._zone)
            until = min(window[1], wanted[1]) if window is not None else 0
            read = window is None or until <= window[0] or await self._read(item, (window[0], until)) is not None
            update = {"recheck_at": now}
        else:
            return True
        if read:
            self._put(item, known.model_copy(update=update))
        return read

    async def _edge(self, item: Channelled, known: CameraScan, wanted: Window) -> bool:
        """Read from where footage began, as far as is known, to where it begins now; return whether that was answered."""
        facts = await asyncio.to_thread(self._read_so_far, item, known.began_at)
        footage = facts.footage.clip(PLAUSIBLE_FROM, FOR_EVER) if facts is not None else Spans.empty()
        start = plan.edge_day(footage, self._zone)
        days = plan.EDGE_DAYS
        while start is not None and start < wanted[1]:
            following = local_date(start, self._zone) + timedelta(days=days)
            end = min(day_start(following, self._zone), wanted[1])
            read = await self._read(item, (start, end))
            if read is None:
                return False
            if read.spans:
                return True
            start, days = end, min(2 * days, plan.PART_DAYS)
        return True

    async def _read(
        self, item: Channelled, window: Window, progress: Callable[[float], None] | None = None
    ) -> Footage | None:
        footage = await self._scan.read(item, window, progress=progress)
        if footage is not None:
            self._note_written(item, footage)
        await self._keep()
        return footage

    # --- how much is written -----------------------------------------------------------------------------------------

    def _note_written(self, item: Channelled, footage: Footage) -> None:
        """Keep what each whole day takes: before the reading itself is kept, so that a kill loses nothing."""
        days = written.days_of(footage, self._zone)
        if not days:
            return
        oldest = local_date(self._now(), self._zone) - timedelta(days=written.MOST_DAYS)
        merged = {day: size for day, size in {**self._written(item), **days}.items() if day >= oldest}
        self._kept.put(
            f"{self._key(item)}/written",
            {"source": self._source(item), "days": {day.isoformat(): size for day, size in sorted(merged.items())}},
        )

    def _written(self, item: Channelled) -> dict[date, int | None]:
        kept = self._kept.get(f"{self._key(item)}/written")
        days = kept.get("days") if isinstance(kept, dict) and kept.get("source") == self._source(item) else None
        if not isinstance(days, dict):
            return {}
        return {date.fromisoformat(day): size if isinstance(size, int) else None for day, size in days.items()}

    async def _tell_written(self, item: Channelled, known: CameraScan) -> None:
        """Say what each day takes, once the whole of it was read: as told, else as estimated from the bit rate."""
        told, today = self._written(item), local_date(self._now(), self._zone)
        guessed: written.Days = {}
        if not told or None in told.values():
            guessed = await asyncio.to_thread(self._estimated, item, known, self._now())
        facts_told = written.facts_of(told, guessed, today)
        if facts_told is not None:
            self._scan.tell_written(item, facts_told, WRITTEN_HOLDS)
            await self._keep()

    def _estimated(self, item: Channelled, known: CameraScan, now: Millis) -> written.Days:
        rates = written.rates_of(self._journal.of(camera_subject(item), Kind.MAIN_STREAM))
        facts = self._read_so_far(item, known.began_at) if rates else None
        if facts is None:
            return {}
        return written.estimated(facts.footage.union(facts.locked), rates, self._zone, now)

    # --- what is known -----------------------------------------------------------------------------------------------

    def _wanted(self, known: CameraScan, required_days: int) -> Window:
        """Return what has to have been read, by the recorder's clock; by the agent's, where the recorder's is lost."""
        now = known.new_at if known.new_at is not None else self._now()
        read_to = known.read_to if known.read_to is not None and known.read_to >= PLAUSIBLE_FROM else now
        return plan.wanted_from(read_to, required_days, known.earliest), read_to - LISTED_LATE

    def _read_so_far(self, item: Channelled, since: Millis = 0) -> RecordingFacts | None:
        """Return what all readings of a camera's index come to. For a thread: there are megabytes of them."""
        return read_recordings(self._journal.of(camera_subject(item), Kind.RECORDINGS, since), [], FOR_EVER)

    async def _windows(self, item: Channelled, known: CameraScan) -> list[Read]:
        rows = await asyncio.to_thread(self._journal.index_windows, item.camera, known.began_at)
        # What is dated in the future was read while this machine's clock was ahead: nobody believes it now.
        latest = self._now() + MAX_AHEAD
        return [Read(*row) for row in rows if row[2] <= latest]

    def _teller(self, item: Channelled, before: float, after: float) -> Callable[[float], None]:
        """Return what is told the share of one part, and tells that of the whole."""
        self._tell(item, before)
        return lambda share: self._tell(item, before + share * (after - before))

    def _tell(self, item: Channelled, share: float) -> None:
        if self._progress is not None:
            self._progress(item.camera, min(1.0, round(share, 6)))

    def _key(self, item: Channelled) -> str:
        return f"{self._name}/{self._scan.recorder_id}/{item.camera}"

    def _source(self, item: Channelled) -> str:
        return f"{self._scan.recorder_id} {item.channel}"

    def _known(self, item: Channelled) -> CameraScan:
        """Return how far the reading is; of another recorder or channel nothing was read."""
        try:
            known = CameraScan.model_validate(self._kept.get(self._key(item)))
        except ValidationError:
            known = None
        serial, source = self._scan.serial_digest, self._source(item)
        if known is not None:
            was, _, was_serial = known.source.partition("\t")
            if was == source and (serial is None or not was_serial or was_serial == serial):
                return (
                    known
                    if was_serial or serial is None
                    else known.model_copy(update={"source": f"{source}\t{serial}"})
                )
        return CameraScan(source=f"{source}\t{serial or ''}", began_at=self._now())

    def _put(self, item: Channelled, known: CameraScan) -> None:
        self._kept.put(self._key(item), known.model_dump(mode="json"))
