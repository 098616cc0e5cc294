"""What a recorder is set to do, and which devices are there: asked once or twice a day, for it changes seldom."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from pydantic import JsonValue

from agents.recorders.base import Behind, Channel, Recorder, RecorderError, RecordingMode
from agents.scan.recorder import Channelled, Sink, told
from monitor.model.clock import Clock
from monitor.model.observation import Kind, Observation, Source, StreamCause, Subject, digest_of
from monitor.model.span import DAY, Millis, to_millis

T = TypeVar("T")

MOST_ITEMS = 256
MOST_FAULTS = 128
"""So many inputs or faults are told of at most: a report has its bounds."""

_FUTILE = frozenset(
    {StreamCause.TIMEOUT, StreamCause.NO_CONNECTION, StreamCause.REFUSED, StreamCause.UNAUTHORIZED, StreamCause.CREDENTIALS_HELD}
)  # fmt: skip
"""Refusals that all further questions would meet."""


class SettingsScan:
    """Asks one recorder for its settings, a question at a time; each that it doesn't answer becomes *unknown*, and why."""

    def __init__(
        self,
        recorder_id: str,
        driver: Recorder,
        cameras: Sequence[Channelled],
        clock: Clock,
        sink: Sink,
        declared: Mapping[str, str] | None = None,
        listing: Callable[[], Awaitable[tuple[Channel, ...]]] | None = None,
    ) -> None:
        """Ask nothing yet. `declared` are the serial numbers or MAC addresses that site.yaml names, by camera.

        `listing` returns the channels as somebody else listed them a moment ago.
        """
        self.cameras = tuple(cameras)
        self._recorder = Subject(kind="recorder", id=recorder_id)
        self._driver = driver
        self._clock = clock
        self._sink = sink
        self._declared = dict(declared or {})
        self._channels = listing or driver.channels

    async def ask(self, holds_for: Millis = 3 * DAY) -> None:
        """Ask for everything once; what is told holds for `holds_for` ms."""
        driver, cameras = self._driver, [Subject(kind="camera", id=item.camera) for item in self.cameras]
        recorder = [self._recorder]
        questions: tuple[
            tuple[Kind, list[Subject], Callable[[], Awaitable[dict[Subject, dict[str, JsonValue]]]]], ...
        ] = (
            (Kind.RECORDING_MODE, cameras, lambda: self._by_camera(driver.recording_modes(), _mode)),
            (Kind.EXPIRY, cameras, lambda: self._by_camera(driver.expiry_days(), lambda days: {"days": days})),
            (Kind.IDENTITY, cameras, self._behind),
            (Kind.TIME_SYNC, recorder, self._time_sync),
            (Kind.ALARM_INPUTS, recorder, self._alarm_inputs),
            (Kind.FAULT_NOTICES, recorder, self._fault_notices),
            (Kind.STORAGE_MODE, recorder, self._storage_mode),
        )
        futile: RecorderError | None = None
        for kind, subjects, question in questions:
            error: RecorderError | None = futile
            found: dict[Subject, dict[str, JsonValue]] = {}
            if error is None:
                try:
                    found = await question()
                except RecorderError as refusal:
                    error, futile = refusal, refusal if refusal.cause in _FUTILE else None
            for subject in subjects:
                facts = found.get(subject)
                self._sink(
                    self._read(subject, kind, facts, holds_for)
                    if facts is not None
                    else self._unknown(subject, kind, error, holds_for)
                )

    async def _by_camera(
        self, question: Awaitable[Mapping[str, T]], facts: Callable[[T], dict[str, JsonValue]]
    ) -> dict[Subject, dict[str, JsonValue]]:
        answer = await question
        return {
            Subject(kind="camera", id=item.camera): facts(answer[item.channel])
            for item in self.cameras
            if item.channel in answer
        }

    async def _behind(self) -> dict[Subject, dict[str, JsonValue]]:
        behind = {channel.id: channel.behind for channel in await self._channels()}
        return {
            Subject(kind="camera", id=item.camera): identity_facts(told_of, self._declared.get(item.camera))
            for item in self.cameras
            if (told_of := behind.get(item.channel)) is not None
        }

    async def _time_sync(self) -> dict[Subject, dict[str, JsonValue]]:
        answer = await self._driver.time_sync()
        return {self._recorder: {"enabled": answer.enabled, "has_server": answer.has_server}}

    async def _alarm_inputs(self) -> dict[Subject, dict[str, JsonValue]]:
        listed: list[JsonValue] = [
            {"id": item.id[:64], "armed": item.armed, "active": item.active}
            for item in (await self._driver.alarm_inputs())[:MOST_ITEMS]
        ]
        return {self._recorder: {"inputs": listed}}

    async def _fault_notices(self) -> dict[Subject, dict[str, JsonValue]]:
        answer = await self._driver.fault_notices()
        armed: list[JsonValue] = [name[:40] for name in answer.armed[:MOST_FAULTS]]
        return {self._recorder: {"armed": armed, "mail": answer.mail}}

    async def _storage_mode(self) -> dict[Subject, dict[str, JsonValue]]:
        return {self._recorder: {"mode": await self._driver.storage_mode()}}

    def _read(self, subject: Subject, kind: Kind, facts: dict[str, JsonValue], holds_for: Millis) -> Observation:
        now = to_millis(self._clock.now())
        return Observation(
            subject=subject, kind=kind, start=now, end=now, state="read", source=Source.RECORDER,
            expires=now + holds_for, facts=facts,
        )  # fmt: skip

    def _unknown(self, subject: Subject, kind: Kind, error: RecorderError | None, holds_for: Millis) -> Observation:
        now = to_millis(self._clock.now())
        cause, detail = (
            (StreamCause.RECORDER.value, "The recorder's answer says nothing of this channel.")
            if error is None
            else (str(error.cause), told(error))
        )
        return Observation(
            subject=subject, kind=kind, start=now, end=now, state="unknown", cause=cause[:40], source=Source.RECORDER,
            expires=now + holds_for, detail=detail[:500],
        )  # fmt: skip


def _mode(mode: RecordingMode) -> dict[str, JsonValue]:
    return {"mode": mode.name, "holes": [[start, end] for start, end in mode.holes[:MOST_ITEMS]]}


def identity_facts(behind: Behind, declared: str | None) -> dict[str, JsonValue]:
    """Return who a camera is, as digests: serial numbers and addresses stay on site.

    `declared` is the serial number or MAC address that site.yaml names; "declared" tells whether this is that camera,
    null where none is named or the recorder tells neither.
    """
    told_of = [text for text in (behind.serial, behind.mac) if text]
    same: bool | None = None
    if declared is not None and told_of:
        same = _plain(declared) in {_plain(text) for text in told_of}
    return {
        "model": behind.model[:100],
        "serial_digest": _digest(behind.serial),
        "mac_digest": _digest(behind.mac),
        "address_digest": _digest(behind.address),
        "declared": same,
    }


def _digest(text: str) -> str | None:
    return digest_of(_plain(text)) if text.strip() else None


def _plain(text: str) -> str:
    """Return an identity as it is compared: makers write a MAC address with colons, hyphens, or neither."""
    return "".join(text.lower().split()).replace(":", "").replace("-", "")
