"""The port to recorders: what a driver answers, or how it fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from agents.recorders.sizes import FileSizes
from monitor.model.clock import Clock
from monitor.model.observation import StreamCause
from monitor.model.span import HOUR, MINUTE, SECOND, Millis, Spans, to_millis

NOT_OFFERED = "not_offered"
"""The cause of a question that this recorder has no answer to, whoever asks."""

LATEST_WINDOW: Millis = 12 * HOUR
"""How far back the newest footage is looked for."""

MAX_EXCHANGES = 60
"""How many of the latest exchanges a driver keeps for --explain."""

DiskState = Literal["ok", "failed", "missing", "read_only", "degraded", "unknown"]
DiskKind = Literal["disk", "array", "network"]
ModeName = Literal["continuous", "motion", "mixed", "none"]
StorageMode = Literal["quota", "group"]
Cost = Literal["free", "fair", "dear"]
"""What a search costs the recorder: nothing (files, people), a request or two, or several."""

Progress = Callable[[float], None]
"""Told the share done, 0..1, never falling."""


class RecorderError(Exception):
    """A recorder did not answer, or not usably: what it was asked about is unknown.

    `cause` is a StreamCause value or NOT_OFFERED, `detail` one sentence with what to do, `asked` the request
    without any secret.
    """

    def __init__(self, cause: StreamCause | str, detail: str, asked: str = "") -> None:
        """Keep the cause, the sentence for people and the request."""
        super().__init__(detail)
        self.cause = str(cause)
        self.detail = detail
        self.asked = asked


def lacking(host: str, request: str) -> str:
    """Return what an answer means that says that there is no such thing as was asked for."""
    return (
        f"{host} doesn't offer {request}: this model or firmware lacks it, or `driver` names another make than it is."
    )


class NotOffered(RecorderError):
    """This make, model or firmware has no such answer; asking again changes nothing."""

    def __init__(self, detail: str, asked: str = "") -> None:
        """Keep the sentence for people and the request."""
        super().__init__(NOT_OFFERED, detail, asked)


@dataclass(frozen=True)
class Identity:
    """What the recorder says it is; empty where it does not say."""

    model: str
    firmware: str
    serial: str


@dataclass(frozen=True)
class Behind:
    """The camera behind a channel, as the recorder tells it; empty where it does not say."""

    serial: str = ""
    mac: str = ""
    address: str = ""
    """Host name or IP address as the recorder reaches it; often not routable from outside, and no identity."""
    model: str = ""

    @property
    def identity(self) -> str:
        """Return what another camera would not share: the serial number, else the MAC address; empty without both."""
        return self.serial or self.mac


@dataclass(frozen=True)
class Channel:
    """One channel of the recorder; `online` and `behind` are None where the recorder does not say."""

    id: str
    name: str
    online: bool | None
    behind: Behind | None = None


@dataclass(frozen=True)
class Disk:
    """One disk, array or network volume that is present; `raw_state` is the maker's own word.

    The members of an array are listed by their state alone: their capacity is the array's.
    """

    id: str
    state: DiskState
    capacity_bytes: int | None
    raw_state: str
    kind: DiskKind = "disk"


@dataclass(frozen=True)
class RecordingMode:
    """What a channel is set to record: all the time, on events only, both in turns, or nothing.

    `holes` are the half-open spans of the week for which nothing at all is set, in minutes from Monday 00:00 by the
    recorder's wall clock.
    """

    name: ModeName
    holes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class TimeSync:
    """Whether the recorder sets its clock by a time server; None where it does not say."""

    enabled: bool | None
    has_server: bool | None


@dataclass(frozen=True)
class AlarmInput:
    """One wired alarm input; `armed` and `active` are None where the recorder does not say."""

    id: str
    name: str
    armed: bool | None
    active: bool | None


@dataclass(frozen=True)
class FaultNotices:
    """Whether the recorder would tell anyone of a fault of its own.

    `armed` are the faults, in the maker's words, that it is set to tell of in any way; `mail` is whether it has a mail
    server and somebody to write to, None where it does not say.
    """

    armed: tuple[str, ...]
    mail: bool | None


@dataclass(frozen=True)
class StreamPlayback:
    """Play an instant over RTSP: `url` without credentials, PLAY with the header `Range: {range}` where given."""

    url: str
    range: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers of every request, such as ("Require", "onvif-replay")."""


@dataclass(frozen=True)
class FilePlayback:
    """Play an instant from a file on this machine, `offset_seconds` after its first frame."""

    path: Path
    offset_seconds: float


PlaybackRequest = StreamPlayback | FilePlayback


@dataclass(frozen=True)
class Footage:
    """What the index lists for a channel in `window` (UTC ms, half-open), by the recorder's own clock.

    Device time is turned to UTC by the recorder's time zone; its clock's error is not corrected here. A span that is
    held both locked and unlocked is in both sets.
    """

    spans: Spans
    locked: Spans
    window: tuple[Millis, Millis]
    sizes: FileSizes | None = None
    """Every file that touches the window, locked ones too; None where this make's index tells no sizes."""


@dataclass(frozen=True)
class Exchange:
    """One question and its answer, bounded and without secrets, as --explain prints them."""

    asked: str
    answered: str


class Recorder(Protocol):
    """One recorder, through the driver of its make. Every question may raise RecorderError, and NotOffered.

    Instants are UTC milliseconds by the recorder's own clock: its zone is applied, its clock's error is not.
    """

    @property
    def exchanges(self) -> deque[Exchange]:
        """The latest questions and answers, for --explain."""
        ...

    cost: Cost
    """What asking costs: what is dear is asked less often."""

    async def identity(self) -> Identity:
        """Return model, firmware and serial number."""
        ...

    async def channels(self) -> tuple[Channel, ...]:
        """Return all channels that are set up."""
        ...

    async def disks(self) -> tuple[Disk, ...]:
        """Return the disks that are present, never the ghosts of removed ones."""
        ...

    async def clock_offset(self) -> float:
        """Return the recorder's clock minus the agent's, in seconds."""
        ...

    async def footage(self, channel: str, start: Millis, end: Millis, progress: Progress | None = None) -> Footage:
        """Return what the index lists in [start, end), whole: an answer in part is an error."""
        ...

    async def earliest(self, channel: str) -> Millis | None:
        """Return the start of the oldest footage, locked or not; None without any. Never a measure of retention."""
        ...

    async def latest(self, channel: str) -> Millis | None:
        """Return the end of the newest footage of the last twelve hours; None without any. A live one lags behind now."""
        ...

    async def recording_modes(self) -> Mapping[str, RecordingMode]:
        """Return what each channel is set to record; a channel whose setting isn't understood is left out."""
        ...

    async def expiry_days(self) -> Mapping[str, int | None]:
        """Return after how many days each channel's footage is deleted by its setting; None: only when space is needed."""
        ...

    async def time_sync(self) -> TimeSync:
        """Return whether the clock is set by a time server."""
        ...

    async def alarm_inputs(self) -> tuple[AlarmInput, ...]:
        """Return the wired alarm inputs."""
        ...

    async def fault_notices(self) -> FaultNotices:
        """Return of which faults of its own the recorder would tell, and whether by mail."""
        ...

    async def storage_mode(self) -> StorageMode:
        """Return how the disks are shared out: by a quota of each channel (0: none), or by groups of disks."""
        ...

    async def playback(self, channel: str, at: Millis, seconds: float) -> PlaybackRequest:
        """Return how to play `seconds` of the footage from the instant `at`. Asks for no picture itself."""
        ...

    def stream_url(self, channel: str, main: bool) -> str | None:
        """Return the maker's RTSP address of a channel, without credentials; None where there is none."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class OffersNothing:
    """Answers the questions that many devices have no answer to: a driver overrides what its make does offer."""

    cost: Cost = "fair"

    async def latest(self, channel: str) -> Millis | None:  # noqa: ARG002  (the port's signature)
        """Raise NotOffered."""
        raise NotOffered("The newest footage can't be asked for here.")

    async def recording_modes(self) -> Mapping[str, RecordingMode]:
        """Raise NotOffered."""
        raise NotOffered("What the channels are set to record can't be asked for here.")

    async def expiry_days(self) -> Mapping[str, int | None]:
        """Raise NotOffered."""
        raise NotOffered("After how many days footage is deleted can't be asked for here.")

    async def time_sync(self) -> TimeSync:
        """Raise NotOffered."""
        raise NotOffered("Whether a time server sets the clock can't be asked for here.")

    async def alarm_inputs(self) -> tuple[AlarmInput, ...]:
        """Raise NotOffered."""
        raise NotOffered("Alarm inputs can't be asked for here.")

    async def fault_notices(self) -> FaultNotices:
        """Raise NotOffered."""
        raise NotOffered("Whether the recorder would tell of a fault can't be asked for here.")

    async def storage_mode(self) -> StorageMode:
        """Raise NotOffered."""
        raise NotOffered("How the disks are shared out can't be asked for here.")

    async def playback(self, channel: str, at: Millis, seconds: float) -> PlaybackRequest:  # noqa: ARG002  (the port's signature)
        """Raise NotOffered."""
        raise NotOffered("Playback of an instant can't be asked for here.")


async def latest_by_search(recorder: Recorder, clock: Clock, channel: str) -> Millis | None:
    """Return the end of the newest footage by a search up to the present of the recorder's own clock.

    Raises RecorderError.
    """
    try:
        offset = await recorder.clock_offset()
    except NotOffered:
        offset = 0.0
    now = to_millis(clock.now()) + round(offset * SECOND)
    footage = await recorder.footage(channel, now - LATEST_WINDOW, now + 5 * MINUTE)
    return max((int(spans.pairs[-1, 1]) for spans in (footage.spans, footage.locked) if len(spans)), default=None)
