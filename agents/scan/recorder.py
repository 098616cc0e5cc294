"""One recorder asked in turn: what it says of itself, and what its index lists for each camera."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import JsonValue

from agents.recorders.base import Footage, Recorder, RecorderError
from agents.recorders.base import Progress as DriverProgress
from monitor.model.clock import Clock
from monitor.model.observation import Kind, Observation, Source, StreamCause, Subject, digest_of
from monitor.model.recordings import LISTED_LATE, TAIL
from monitor.model.span import DAY, HOUR, SECOND, Millis, to_millis

T = TypeVar("T")
Sink = Callable[[Observation], None]
Progress = Callable[[str, float], None]
"""Told the camera and the share of its scan that is done, 0..1."""

SPANS_AN_OBSERVATION = 2000
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
        self._channels_at = float("-inf")
        self._listing: asyncio.Task[None] | None = None

    async def look(self, holds_for: Millis = 6 * HOUR) -> RecorderError | None:
        """Ask for identity, clock, channels and disks. Return why, when the recorder doesn't answer at all."""
        async with self._asking:
            refusal = await self._identity(holds_for)
            if refusal is not None and refusal.cause in SILENT:
                self._channels_at, self.online = self._clock.monotonic(), {}
                for kind in (Kind.CLOCK, Kind.CHANNELS, Kind.DISKS):
                    self._sink(self._unknown(self._subject, kind, refusal, holds_for))
                return refusal
            await self._clock_offset(holds_for)
            await self._channels(holds_for)
            await self._disks(holds_for)
            return None

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
        return None if self._is_stale(fresh_seconds) else self.online.get(channel)

    async def close(self) -> None:
        """Give up a question that is still open."""
        if self._listing is not None:
            self._listing.cancel()
            await asyncio.gather(self._listing, return_exceptions=True)

    def _is_stale(self, fresh_seconds: float) -> bool:
        return self._clock.monotonic() - self._channels_at > fresh_seconds

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
        # The newest footage is listed late: what is there counts, and what isn't there yet is no hole.
        spoken = replace(footage, window=(window[0], max(window[0] + 1, min(window[1], present - LISTED_LATE))))
        for part in chunks(spoken):
            self._sink(self._instant(self._camera(item), Kind.RECORDINGS, reading(part), holds_for, at=now))
        return footage

    def tell_written(self, item: Channelled, facts: dict[str, JsonValue], holds_for: Millis) -> None:
        """Tell the sink how much a camera's footage takes, a day."""
        self._sink(self._instant(self._camera(item), Kind.WRITTEN, facts, holds_for))

    async def _identity(self, holds_for: Millis) -> RecorderError | None:
        """Ask who the recorder is; return its refusal, if it was one."""
        subject = self._subject
        try:
            answer = await self.driver.identity()
        except RecorderError as error:
            self._sink(self._unknown(subject, Kind.IDENTITY, error, holds_for))
            return error
        facts: dict[str, JsonValue] = {
            "model": answer.model[:100],
            "firmware": answer.firmware[:100],
            "serial_digest": digest_of(answer.serial) if answer.serial else None,
        }
        self.serial_digest = digest_of(answer.serial) if answer.serial else None
        self._sink(self._instant(subject, Kind.IDENTITY, facts, holds_for))
        return None

    async def _clock_offset(self, holds_for: Millis) -> None:
        answer = await self._ask(self.driver.clock_offset(), self._subject, Kind.CLOCK, holds_for)
        if answer is not None:
            self.offset_seconds = answer
            self._sink(self._instant(self._subject, Kind.CLOCK, {"offset_seconds": round(answer, 3)}, holds_for))

    async def _channels(self, holds_for: Millis) -> None:
        answer = await self._ask(self.driver.channels(), self._subject, Kind.CHANNELS, holds_for)
        self._channels_at = self._clock.monotonic()
        self.online = {} if answer is None else {item.id: item.online for item in answer}
        if answer is not None:
            listed: list[JsonValue] = [
                {"id": item.id[:64], "name": item.name[:200], "online": item.online} for item in answer
            ]
            self._sink(self._instant(self._subject, Kind.CHANNELS, {"channels": listed}, holds_for))

    async def _disks(self, holds_for: Millis) -> None:
        answer = await self._ask(self.driver.disks(), self._subject, Kind.DISKS, holds_for)
        if answer is not None:
            listed: list[JsonValue] = [
                {"id": disk.id[:64], "state": disk.state, "capacity_bytes": disk.capacity_bytes, "kind": disk.kind}
                for disk in answer
            ]
            self._sink(self._instant(self._subject, Kind.DISKS, {"disks": listed}, holds_for))

    async def _ask(self, question: Awaitable[T], subject: Subject, kind: Kind, holds_for: Millis) -> T | None:
        """Return the answer; a refusal is told to the sink and gives None."""
        try:
            return await question
        except RecorderError as error:
            self._sink(self._unknown(subject, kind, error, holds_for))
            return None

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
