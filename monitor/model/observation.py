"""What was seen: the only thing that an agent says and the only thing that a verdict may stand on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, ValidationInfo, field_validator, model_validator

from monitor.model.facts import trouble
from monitor.model.inventory import Strict
from monitor.model.span import DAY, Basis, Millis

LATEST: Millis = 2**47
At = Annotated[Millis, Field(ge=0, le=LATEST)]
"""An instant that a calendar can show in any time zone: 1970 to the year 6429."""

SubjectId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Subject(Strict):
    """Who or what is spoken of."""

    kind: Literal["institution", "zone", "camera", "recorder", "agent"]
    id: SubjectId

    def __str__(self) -> str:
        """Return KIND/ID, as people write it on the command line."""
        return f"{self.kind}/{self.id}"

    @classmethod
    def parse(cls, text: str) -> Subject:
        """Read KIND/ID. Raises ValueError (pydantic's) when it is neither."""
        kind, _, subject_id = text.partition("/")
        return cls.model_validate({"kind": kind, "id": subject_id})


class Source(StrEnum):
    """Where an observation comes from."""

    PROBE = "probe"
    RECORDER = "recorder"
    PERSON = "person"


class Kind(StrEnum):
    """What an observation is about. The first four are spans, the others instants."""

    STREAM = "stream"
    """Camera. state up | down | unknown; cause as in StreamCause."""
    REACH = "reach"
    """Recorder. state up | down (unreachable though the site answers) | unknown; cause."""
    VIEW = "view"
    """Camera. state ok or a view condition, after the agent's confirmation; facts: scores."""
    AGENT = "agent"
    """Agent. state up: the agent was running and not blind | unknown: running but blind (cause blind).
    Of no length, unknown, cause clock_set: its clock was set then; facts {"was_at" (UTC ms): what it would have shown}. Before
    `was_at`, where that is later, everything was told twice."""
    RECORDINGS = "recordings"
    """Camera. state read | unknown (cause). facts: see RecordingFacts in ledger."""
    MAIN_STREAM = "main_stream"
    """Camera: its recorded (main) stream, watched for a moment once a day. state read | unknown (cause). facts
    {"codec", "width", "height", "frame_rate" (frames a second), "bit_rate" (bits a second)}, a value null where it
    could not be told."""
    WRITTEN = "written"
    """Camera: how many bytes its footage of each whole day takes, as the recorder's index tells. state read | unknown.
    facts {"first_day": calendar date, "bytes": [n, ...] a day}, and "estimated_days": how many of them are recorded time at
    the measured bit rate of the main stream, where the index doesn't tell."""
    PROOF = "proof"
    """Camera: one minute of its footage was sought and played (proof by decoding). state played | not_proved | failed; cause.
    facts {"which": far | newer, "minute_at" (UTC ms), "time": plausible | other | unknown, "time_told_by", "off_seconds",
    "pictures" (keyframes decoded), "codec", "width", "height", "view": matches | other | unknown (beside the approved one),
    "shows" (another camera whose view it is), "in_place", "fingerprint" (a digest)}."""
    CHANNELS = "channels"
    """Recorder. state read | unknown. facts {"channels": [{"id", "name", "online"}]}."""
    DISKS = "disks"
    """Recorder. state read | unknown. facts {"disks": [{"id", "state", "capacity_bytes", "kind" (disk, array, network)}],
    "gone": [{"id", "capacity_bytes", "last_seen_at"}], "swapped": [{"id", "since_at"}]}: disks that it listed before and
    doesn't any more, and those that are others than before. Of an array's members the capacity is the array's."""
    CLOCK = "clock"
    """Recorder. state read | unknown. facts {"offset_seconds": recorder minus agent}."""
    IDENTITY = "identity"
    """Recorder, or camera behind a recorder's channel. state read | unknown. facts {"model", "firmware" (recorder),
    "serial_digest", "mac_digest", "address_digest" (camera), "first_seen_at": since when the device pinned here is known,
    "exchanged_at": since when another one answers in its place, null while it is the same, "declared": whether it is the
    one that site.yaml names, null where it names none}."""
    RECORDING_MODE = "recording_mode"
    """Camera: what its channel is set to record. state read | unknown. facts {"mode": continuous | motion | mixed | none,
    "holes": [[start, end], ...] in minutes of the week from Monday 00:00, for which nothing is set}."""
    EXPIRY = "expiry"
    """Camera: after how many days its recorder is set to delete footage. state read | unknown. facts {"days": n, or null:
    only when the space is needed}."""
    TIME_SYNC = "time_sync"
    """Recorder: does a time server set its clock. state read | unknown. facts {"enabled", "has_server"}."""
    ALARM_INPUTS = "alarm_inputs"
    """Recorder. state read | unknown. facts {"inputs": [{"id", "armed", "active"}], "disarmed": [{"id", "since_at"}]}: inputs
    that were armed once and aren't any more."""
    FAULT_NOTICES = "fault_notices"
    """Recorder: would it tell anyone of a fault of its own. state read | unknown. facts {"armed": [fault, ...], "mail"}."""
    STORAGE_MODE = "storage_mode"
    """Recorder: how its disks are shared out. state read | unknown. facts {"mode": quota | group}."""
    FOOTAGE_LOST = "footage_lost"
    """Camera: days that the index listed once and no longer does, though nothing new can have overwritten them. state lost.
    facts {"first_day", "last_day" (UTC, by the recorder's clock), "seconds", "last_seen_at", "older_left": whether anything
    older is still listed}."""
    TWIN = "twin"
    """Camera: other declared cameras that show the same. state same | own | unknown. facts {"cameras": [id, ...], "by": stream (frame by
    frame) | view, "since_at" (UTC ms)}."""
    DROPPED = "dropped"
    """Agent: reports that it had to give up before the collector had them. state dropped. facts {"ranges": [{"boot", "first",
    "last" (numbers), "why": full | old | damaged | refused, "digests": the envelopes', in this order}]}."""
    STORAGE = "storage"
    """Agent: how its own disk and files are. state ok | failing; detail: why. facts {"failing": [file, ...], "since_at" (UTC
    ms, null), "lost" (how many observations could not be kept), "damaged" (files set aside), "unreadable" (rows skipped)}."""
    INVENTORY = "inventory"
    """Institution. state declared. facts: an Inventory as JSON."""
    BASELINE = "baseline"
    """Camera, source person. state proposed | approved (on site). facts: see Proposal in view."""
    ATTESTATION = "attestation"
    """Any subject, source person. state ok | fault. facts {"what", "by"}; expires."""


SPAN_KINDS = frozenset({Kind.STREAM, Kind.REACH, Kind.VIEW, Kind.AGENT})

STATEMENTS = frozenset({Kind.INVENTORY, Kind.BASELINE, Kind.ATTESTATION})
"""What a person says, for as long as he says."""
LONGEST_PRESENCE: Millis = DAY
"""A state that is watched is told of again within minutes. Whoever says that it holds for years says more than was seen."""
LONGEST_READING: Millis = 7 * DAY
"""What is read of a device now and then is read again within three days, unless `site.yaml` says otherwise."""


class StreamCause(StrEnum):
    """Why a stream is down or unknown."""

    REFUSED = "refused"
    NO_CONNECTION = "no_connection"
    TIMEOUT = "timeout"
    TOO_SLOW = "too_slow"
    NOT_RTSP = "not_rtsp"
    UNAUTHORIZED = "unauthorized"
    NOT_PERMITTED = "not_permitted"
    NOT_FOUND = "not_found"
    RECORDER_FULL = "recorder_full"
    NO_VIDEO = "no_video"
    STALLED = "stalled"
    DECODE_ERROR = "decode_error"
    CLOSED = "closed"
    PROTOCOL_ERROR = "protocol_error"
    NOT_ALLOWED = "not_allowed"
    """The address lies outside the site's declared networks: never contacted."""
    CERTIFICATE = "certificate"
    """The device shows another TLS certificate than the one that is pinned: nothing was told to it."""
    CHANNEL_OFFLINE = "channel_offline"
    """The recorder itself says that the camera behind the channel is gone."""
    CREDENTIALS_HELD = "credentials_held"
    """The breaker is open: a refused login is not repeated."""
    RECORDER_UNREACHABLE = "recorder_unreachable"
    BLIND = "blind"
    """Neither the gateway nor any device answers: the agent's own line is cut."""
    CLOCK_SET = "clock_set"
    """The agent's clock was set; judged: of this time both was told, by the clock before and the one after."""
    NO_FOOTAGE = "no_footage"
    """Judged: the time was unknown, and the recorder's index has a hole there."""
    SITE_POWER = "site_power"
    """Judged: the agent was off and the footage has the same hole."""
    NO_STREAM = "no_stream"
    """The camera is known by its recorder's index alone."""
    RECORDER = "recorder"
    """The recorder's own answer could not be used (parse failure, error status)."""


STORED = "stored"
"""The context in which pydantic reads what was taken in before: what facts may be is asked of what comes in, and may change."""


def as_stored(text: str | bytes) -> str | None:
    """Return the context in which JSON that was taken in before is read: those two words are none, and no bounds: they can't be computed with."""
    odd = ("NaN" in text or "Infinity" in text) if isinstance(text, str) else (b"NaN" in text or b"Infinity" in text)
    return None if odd else STORED


class Observation(Strict):
    """One thing seen on one subject.

    A span kind has [start, end), UTC milliseconds; an instant kind has `end` equal to `start`. `expires` is the
    instant from which the last state may no longer be presumed to hold: after it the ledger says unknown. The sender says it,
    within bounds (`holds_until`). Not-a-number and infinity are errors: JSON has neither.
    """

    subject: Subject
    kind: Kind
    start: At
    end: At
    state: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    cause: Annotated[str, StringConstraints(max_length=40)] | None = None
    basis: Basis | None = None
    source: Source = Source.PROBE
    expires: At
    detail: Annotated[str, StringConstraints(max_length=500)] = ""
    facts: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("facts")
    @classmethod
    def _is_json_and_no_picture(cls, value: dict[str, JsonValue], info: ValidationInfo) -> dict[str, JsonValue]:
        """Facts are numbers and words. What is as long as a picture is none of them, whoever put it there."""
        if not value or info.context == STORED:
            return value
        kind = info.data.get("kind")
        why = trouble(str(kind), value) if isinstance(kind, Kind) else None
        if why is not None:
            raise ValueError(why)
        return value

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            msg = "end must not be before start"
            raise ValueError(msg)
        if (self.kind not in SPAN_KINDS) and self.end != self.start:
            msg = f"{self.kind} is an instant: end must equal start"
            raise ValueError(msg)
        return self

    @classmethod
    def read_stored(cls, text: str) -> Self:
        """Read what was taken in before, by whatever bounds its facts had then. Raises ValueError for what is none."""
        return cls.model_validate_json(text, context=as_stored(text))

    @property
    def holds_until(self) -> Millis:
        """Until when it may be presumed to hold: as it says, but a look is no promise of what comes long after it, nor less than what was seen."""
        if self.kind in STATEMENTS:
            return self.expires
        longest = LONGEST_PRESENCE if self.kind in SPAN_KINDS else LONGEST_READING
        return max(self.end, min(self.expires, self.end + longest))

    def sort_key(self) -> tuple[Millis, Millis, str]:
        """Order observations by time seen, and by content where the time is the same: so a fold is order-free."""
        return self.end, self.start, self.digest

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, which has a digest of its own."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("digest", None)
        return copy

    @cached_property
    def digest(self) -> str:
        """sha256:... of the observation's canonical JSON: what a verdict's evidence refers to.

        Computed once: an index of a hundred thousand spans takes a tenth of a second.
        """
        # The facts are JSON already: an index of thousands of spans need not be copied to be digested.
        return digest_of({**self.model_dump(mode="json", exclude={"facts"}), "facts": self.facts})


def digest_of(value: Any) -> str:
    """Return sha256:HEX of the value's canonical JSON (sorted keys, no spaces, UTF-8)."""
    return digest_of_text(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def digest_of_text(text: str) -> str:
    """Return sha256:HEX of a text in UTF-8: of canonical JSON, the digest of what it says."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Evidence:
    """What a verdict stands on, as it is shown and reported."""

    kind: str
    source: str
    at: Millis
    digest: str
    text: str = ""
    extra: dict[str, JsonValue] = field(default_factory=dict)
