"""One recorder asked in turn: what it says of itself, and what its index lists for each camera."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from agents.recorders.base import NOT_OFFERED, Channel, Footage, Recorder, RecorderError
from agents.recorders.base import Progress as DriverProgress
from agents.scan.pace import ALL, LookPace
from monitor.model.clock import Clock
from monitor.model.clock_offsets import PLAUSIBLE_FROM
from monitor.model.facts import MOST_ENTRIES
from monitor.model.observation import Kind, Observation, Source, StreamCause, Subject, digest_of
from monitor.model.recordings import LISTED_LATE, TAIL
from monitor.model.span import DAY, HOUR, SECOND, Millis, to_millis

Sink = Callable[[Observation], None]
Progress = Callable[[str, float], None]
"""Told the camera and the share of its scan that is done, 0..1."""

SPANS_AN_OBSERVATION = 2000
MOST_DISKS = 128
CHANNELS_LETTERS = 30_000
"""Of the ids and names of all channels together, as they are told: less than facts may have (`monitor.model.facts`)."""
SILENT = frozenset({StreamCause.TIMEOUT, StreamCause.NO_CONNECTION, StreamCause.REFUSED})
"""A recorder that meets the first question so is not asked the rest: each would wait as long for nothing."""


@dataclass(frozen=True)
class Channelled:
    """A camera and the channel that records it."""

    camera: str
    channel: str


class RecorderScan:
    """Asks one recorder, one question at a time; every refusal becomes an observation that says unknown, and why."""

    def __init__(
        self, recorder_id: str, driver: Recorder, cameras: Sequence[Channelled], clock: Clock, sink: Sink
    ) -> None:
        """Ask nothing yet."""
        self.recorder_id = recorder_id
        self.driver = driver
        self.cameras = tuple(cameras)
        self.online: dict[str, bool | None] = {}
        """The channels' state as last listed, by channel."""
        self.serial_digest: str | None = None
        """Of the recorder that last said who it is; None where none did."""
        self.offset_seconds: float | None = None
        self._clock = clock
        self._sink = sink
        self._searching = asyncio.Lock()
        self._asking = asyncio.Lock()
        """Apart from the searching: a first index may take an hour, and whether a channel is on line is asked meanwhile."""
        self._listed_at = float("-inf")
        self._listed: tuple[Channel, ...] | None = None
        """What the last question for the channels was answered; None where it was refused."""
        self._listing: asyncio.Task[None] | None = None
        self._pace = LookPace(driver.cost, len(self.cameras))
        self._questions = {
            Kind.IDENTITY: self._identity,
            Kind.CLOCK: self._clock_offset,
            Kind.CHANNELS: self._channels,
            Kind.DISKS: self._disks,
        }

    async def look(
        self, holds_for: Millis = 6 * HOUR, *, every: float = 0.0, calm: bool = False
    ) -> RecorderError | None:
        """Ask for identity, clock, channels and disks. Return why, when the recorder doesn't answer at all.

        A look is made each `every` seconds, and an answer holds for `holds_for` ms. While it is `calm` some looks ask
        less, or nothing (see pace.py), and answers hold the longer.
        """
        async with self._asking:
            now = self._clock.monotonic()
            due = self._pace.due(now, every, calm=calm)
            refusals: list[RecorderError] = []
            for kind in due:
                refusal = await self._questions[kind](self._lasts(kind, holds_for, every))
                if refusal is not None and refusal.cause in SILENT and kind == due[0]:
                    self._tell_silent(kind, refusal, holds_for)
                    self._pace.asked(ALL, now, refused=True)
                    return refusal
                if refusal is not None and refusal.cause != NOT_OFFERED:
                    refusals.append(refusal)
            self._pace.asked(due, now, refused=bool(refusals))
            return None

    def _lasts(self, kind: Kind, holds_for: Millis, every: float) -> Millis:
        return holds_for * (self._pace.rounds(kind) if every else 1)

    def _tell_silent(self, told: Kind, refusal: RecorderError, holds_for: Millis) -> None:
        """Say of what wasn't asked for that it is unknown too."""
        self._listed_at, self.online = self._clock.monotonic(), {}
        for kind in ALL:
            if kind != told:
                self._sink(self._unknown(self._subject, kind, refusal, holds_for))

    async def channels_lately(self, fresh_seconds: float = 60.0) -> tuple[Channel, ...]:
        """Return the channels as they were listed a moment ago, else as they are listed now. Raises RecorderError."""
        async with self._asking:
            if self._listed is not None and not self._is_stale(fresh_seconds):
                return self._listed
        return await self.driver.channels()

    def unread(self, error: RecorderError, holds_for: Millis) -> None:
        """Say of each camera's index that it is unknown, and why, without asking for it."""
        for item in self.cameras:
            self._sink(self._unknown(self._camera(item), Kind.RECORDINGS, error, holds_for))

    async def channel_online(
        self, channel: str | None, fresh_seconds: float = 10.0, patience_seconds: float = 3.0
    ) -> bool | None:
        """Return whether the recorder has the channel's camera on line; None when it doesn't say, or not soon enough.

        Its last word counts for `fresh_seconds`; a question that takes longer than `patience_seconds` goes on for others.
        """
        if channel is None:
            return None
        if self._is_stale(fresh_seconds):
            if self._listing is None or self._listing.done():
                self._listing = asyncio.create_task(self._list(fresh_seconds))
            await asyncio.wait({self._listing}, timeout=patience_seconds)
        return self.said_online(channel, fresh_seconds)

    def said_online(self, channel: str, within_seconds: float) -> bool | None:
        """Return what the recorder said within so many seconds of a channel, without asking it."""
        return None if self._is_stale(within_seconds) else self.online.get(channel)

    async def close(self) -> None:
        """Give up a question that is still open."""
        if self._listing is not None:
            self._listing.cancel()
            await asyncio.gather(self._listing, return_exceptions=True)

    def _is_stale(self, fresh_seconds: float) -> bool:
        return self._clock.monotonic() - self._listed_at > fresh_seconds

    async def _list(self, fresh_seconds: float) -> None:
        async with self._asking:
            if self._is_stale(fresh_seconds):
                await self._channels(6 * HOUR)

    @property
    def present(self) -> Millis:
        """What the recorder's clock shows now, as far as it is known: UTC milliseconds."""
        return self._now() + round((self.offset_seconds or 0.0) * SECOND)

    async def ask_clock(self, holds_for: Millis = 6 * HOUR) -> None:
        """Ask for the clock's offset, unless it is known: an index is read by the recorder's own clock."""
        if self.offset_seconds is None:
            async with self._asking:
                await self._clock_offset(holds_for)

    async def earliest(self, item: Channelled, holds_for: Millis = DAY) -> tuple[bool, Millis | None]:
        """Return whether the recorder says where a camera's footage begins, and where; a refusal is told to the sink."""
        async with self._searching:
            try:
                return True, await self.driver.earliest(item.channel)
            except RecorderError as error:
                self._sink(self._unknown(self._camera(item), Kind.RECORDINGS, error, holds_for))
                return False, None

    def tell_unlisted(self, item: Channelled, holds_for: Millis = DAY) -> bool:
        """Tell the sink that a camera's index is unknown where its channel isn't one that the recorder lists; return whether.

        For a channel of which nothing was ever held: a typing error must not read as no day held. Some recorders list only
        what is on line, so footage that is there, or was, decides otherwise; and an empty list says nothing.
        """
        listed = [channel.id for channel in self._listed or ()]
        if not listed or item.channel in listed:
            return False
        detail = (
            f"The recorder lists no channel {item.channel!r} and holds nothing of it: set `channel` to one that it "
            f"lists ({', '.join(listed[:20])}), or add the camera to the recorder."
        )
        self._sink(
            self._unknown(self._camera(item), Kind.RECORDINGS, RecorderError(StreamCause.NOT_FOUND, detail), holds_for)
        )
        return True

    async def read(
        self,
        item: Channelled,
        window: tuple[Millis, Millis],
        *,
        holds_for: Millis = DAY,
        progress: DriverProgress | None = None,
    ) -> Footage | None:
        """Read one window of a camera's index, by the recorder's own clock; None when that was refused.

        Either is told to the sink. `progress` is told the share of the window that is done.
        """
        async with self._searching:
            now, present = self._now(), self.present
            try:
                footage = await self.driver.footage(item.channel, *window, progress)
            except RecorderError as error:
                self._sink(self._unknown(self._camera(item), Kind.RECORDINGS, error, holds_for))
                return None
        # A lost clock dates nothing after the year 2000: what is dated so is by a clock that was right, as ours is.
        newest = now if present < PLAUSIBLE_FROM <= window[0] else present
        # The newest footage is listed late: what is there counts, and what isn't there yet is no hole.
        spoken = replace(footage, window=(window[0], max(window[0] + 1, min(window[1], newest - LISTED_LATE))))
        for part in chunks(spoken):
            self._sink(self._instant(self._camera(item), Kind.RECORDINGS, reading(part), holds_for, at=now))
        return footage

    def tell_written(self, item: Channelled, facts: dict[str, JsonValue], holds_for: Millis) -> None:
        """Tell the sink how much a camera's footage takes, a day."""
        self._sink(self._instant(self._camera(item), Kind.WRITTEN, facts, holds_for))

    async def _identity(self, holds_for: Millis) -> RecorderError | None:
        """Ask who the recorder is; return its refusal, if it was one."""
        try:
            answer = await self.driver.identity()
        except RecorderError as error:
            return self._refused(Kind.IDENTITY, error, holds_for)
        facts: dict[str, JsonValue] = {
            "model": answer.model[:100],
            "firmware": answer.firmware[:100],
            "serial_digest": digest_of(answer.serial) if answer.serial else None,
        }
        self.serial_digest = digest_of(answer.serial) if answer.serial else None
        self._sink(self._instant(self._subject, Kind.IDENTITY, facts, holds_for))
        return None

    async def _clock_offset(self, holds_for: Millis) -> RecorderError | None:
        try:
            answer = await self.driver.clock_offset()
        except RecorderError as error:
            return self._refused(Kind.CLOCK, error, holds_for)
        self.offset_seconds = answer
        self._sink(self._instant(self._subject, Kind.CLOCK, {"offset_seconds": round(answer, 3)}, holds_for))
        return None

    async def _channels(self, holds_for: Millis) -> RecorderError | None:
        self._listed, self.online = None, {}
        try:
            self._listed = await self.driver.channels()
        except RecorderError as error:
            return self._refused(Kind.CHANNELS, error, holds_for)
        finally:
            self._listed_at = self._clock.monotonic()
        self.online = {item.id: item.online for item in self._listed}
        self._sink(self._instant(self._subject, Kind.CHANNELS, {"channels": _as_listed(self._listed)}, holds_for))
        return None

    async def _disks(self, holds_for: Millis) -> RecorderError | None:
        try:
            answer = await self.driver.disks()
        except RecorderError as error:
            return self._refused(Kind.DISKS, error, holds_for)
        listed: list[JsonValue] = [
            {"id": disk.id[:64], "state": disk.state, "capacity_bytes": disk.capacity_bytes, "kind": disk.kind}
            for disk in answer[:MOST_DISKS]
        ]
        self._sink(self._instant(self._subject, Kind.DISKS, {"disks": listed}, holds_for))
        return None

    def _refused(self, kind: Kind, error: RecorderError, holds_for: Millis) -> RecorderError:
        self._sink(self._unknown(self._subject, kind, error, holds_for))
        return error

    @staticmethod
    def _camera(item: Channelled) -> Subject:
        return Subject(kind="camera", id=item.camera)

    @property
    def _subject(self) -> Subject:
        return Subject(kind="recorder", id=self.recorder_id)

    def _now(self) -> Millis:
        return to_millis(self._clock.now())

    def _instant(
        self, subject: Subject, kind: Kind, facts: dict[str, JsonValue], holds_for: Millis, at: Millis | None = None
    ) -> Observation:
        now = self._now() if at is None else at
        return Observation(
            subject=subject, kind=kind, start=now, end=now, state="read", source=Source.RECORDER,
            expires=now + holds_for, facts=facts,
        )  # fmt: skip

    def _unknown(self, subject: Subject, kind: Kind, error: RecorderError, holds_for: Millis) -> Observation:
        now = self._now()
        return Observation(
            subject=subject, kind=kind, start=now, end=now, state="unknown", cause=str(error.cause)[:40],
            source=Source.RECORDER, expires=now + holds_for, detail=told(error)[:500],
        )  # fmt: skip


LOGIN_REFUSED = "the login was refused: correct the password, then run agent check --retry-credentials"
_LOGIN = frozenset({StreamCause.UNAUTHORIZED, StreamCause.CREDENTIALS_HELD})


def _as_listed(channels: Sequence[Channel]) -> list[JsonValue]:
    """Return channels as they are told: the names of very many are cut short, for facts have no room for a picture."""
    listed = channels[:MOST_ENTRIES]
    ids = [item.id[:64] for item in listed]
    each = min(64, max(0, CHANNELS_LETTERS - sum(map(len, ids))) // max(1, len(listed)))
    return [
        {"id": name, "name": item.name[:each], "online": item.online} for name, item in zip(ids, listed, strict=True)
    ]


def told(error: RecorderError) -> str:
    """Return the sentence that leaves the site: it names no account and no address of a login."""
    return LOGIN_REFUSED if error.cause in _LOGIN else error.detail


def reading(footage: Footage) -> dict[str, JsonValue]:
    """Return the facts of an index reading, as the ledger folds them: UTC milliseconds by the recorder's own clock."""
    return {
        "window": [footage.window[0], footage.window[1]],
        "spans": [[start, end] for start, end in footage.spans.tuples()],
        "locked": [[start, end] for start, end in footage.locked.tuples()],
    }


def chunks(footage: Footage) -> list[Footage]:
    """Cut an index into parts that fit a report: windows that follow each other, each with few enough spans.

    The last part also has what follows its window at once.
    """
    start, end = footage.window
    edges = [start]
    for spans in (footage.spans, footage.locked):
        edges += [pair[0] for pair in spans.tuples()[SPANS_AN_OBSERVATION::SPANS_AN_OBSERVATION]]
    edges = [*sorted({edge for edge in edges if start <= edge < end}), end]
    return [
        Footage(footage.spans.clip(a, reach), footage.locked.clip(a, reach), (a, b))
        for a, b in itertools.pairwise(edges)
        for reach in ((b if b < end else b + TAIL),)
    ]
