"""Proof by decoding: one camera's minute played, and what that says; kept as an observation, never a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from agents.recorders.base import NOT_OFFERED, Recorder, RecorderError
from agents.recorders.menus import ANY
from agents.rtsp.errors import StreamError
from agents.scan.beside import Beside, Dated, beside
from agents.scan.minute import Minute
from agents.scan.playing import NoPicture, Played, Player
from agents.scan.recorder import LOGIN_REFUSED, Channelled, Sink
from agents.vision.thresholds import Thresholds
from agents.watch.decoder import DecodeError, DecoderBusyError
from monitor.model.observation import Kind, Observation, Source, StreamCause, Subject
from monitor.model.proof import FAR, NEWER
from monitor.model.span import DAY, MINUTE, Millis, to_millis
from monitor.model.view import view_id

FAR_SECONDS = 6.0
NEWER_SECONDS = 4.0
"""Ten seconds of footage a day and camera at most, both minutes together."""
HOLDS_FOR: Millis = 3 * DAY
"""A daily proof may be missed twice."""
AGAIN_SECONDS = 60.0
"""So long the index is asked again whether it still lists what didn't play."""

OVERWRITTEN = "overwritten"
BUSY = "busy"
OTHER_TIME = "other_time"
NO_KEYFRAME = "no_keyframe"

FAILURES = frozenset(
    {
        StreamCause.NOT_FOUND,
        StreamCause.NO_VIDEO,
        StreamCause.STALLED,
        StreamCause.CLOSED,
        StreamCause.DECODE_ERROR,
        StreamCause.PROTOCOL_ERROR,
        StreamCause.RECORDER,
    }
)
"""What speaks of the footage. All else (busy, no right, no line, not offered) says nothing of it."""
REFUSALS = frozenset({StreamCause.UNAUTHORIZED, StreamCause.CREDENTIALS_HELD, StreamCause.NOT_PERMITTED})
"""A login or a right that is refused: nothing of this recorder is played again that day."""
FINAL = REFUSALS | {NOT_OFFERED}

Views = Callable[[], Mapping[str, Sequence[Dated]]]


@dataclass(frozen=True)
class Outcome:
    """What one attempt came to."""

    state: str
    """played | not_proved | failed."""
    cause: str | None = None
    detail: str = ""
    played: Played | None = None
    seen: Beside | None = None


@dataclass(frozen=True)
class Prover:
    """Plays minutes of one recorder, one at a time."""

    driver: Recorder
    player: Player
    sink: Sink
    views: Views
    thresholds: Thresholds = field(default_factory=Thresholds)
    right: str = ANY.playback
    """What the maker's menu calls the right to play back."""

    async def prove(self, item: Channelled, far: Minute, newer: Minute | None) -> Outcome:
        """Play the far minute, and the newer one where it doesn't; tell the sink of each, return what the far one came to."""
        outcome = await self._attempt(item, far, FAR_SECONDS)
        self._tell(item, far, FAR, outcome)
        if outcome.state == "failed" and newer is not None:
            self._tell(item, newer, NEWER, await self._attempt(item, newer, NEWER_SECONDS))
        return outcome

    async def _attempt(self, item: Channelled, minute: Minute, seconds: float) -> Outcome:
        try:
            request = await self.driver.playback(item.channel, minute.stamped, seconds)
            played = await self.player.play(item.camera, request, minute.stamped, seconds)
        except (RecorderError, StreamError, DecodeError, NoPicture) as error:
            outcome = meaning(error, self.right)
            listed = outcome.state != "failed" or await self._still_listed(item, minute)
            return outcome if listed else Outcome("not_proved", OVERWRITTEN, "the index no longer lists this minute")
        # Beside the event loop: a site of many cameras has many views to compare with.
        fingerprints = [one.view for one in played.pictures]
        seen = await asyncio.to_thread(beside, fingerprints, item.camera, self.views(), minute.at, self.thresholds)
        if played.timing == "other":
            detail = f"the picture is {played.off_seconds:g} s away from the minute that was asked for"
            return Outcome("not_proved", OTHER_TIME, detail, played, seen)
        return Outcome("played", played=played, seen=seen)

    async def _still_listed(self, item: Channelled, minute: Minute) -> bool:
        """Ask the index again: what was overwritten, or can't be asked for any more, has not failed."""
        try:
            async with asyncio.timeout(AGAIN_SECONDS):
                found = await self.driver.footage(item.channel, minute.stamped - MINUTE, minute.stamped + MINUTE)
        except (RecorderError, TimeoutError):
            return False
        return found.spans.clip(minute.stamped, minute.stamped + 1).total() > 0

    def _tell(self, item: Channelled, minute: Minute, which: str, outcome: Outcome) -> None:
        now = to_millis(self.player.clock.now())
        self.sink(
            Observation(
                subject=Subject(kind="camera", id=item.camera), kind=Kind.PROOF, start=now, end=now,
                state=outcome.state, cause=outcome.cause, source=Source.PROBE, expires=now + HOLDS_FOR,
                detail=outcome.detail[:500], facts=facts_of(minute, which, outcome),
            )
        )  # fmt: skip


def meaning(error: Exception, right: str = ANY.playback) -> Outcome:
    """Return what a playback that went wrong says: of the footage (failed), or nothing of it (not proved).

    `right` is what has to be given where playing back isn't allowed.
    """
    if isinstance(error, NoPicture):
        return Outcome("not_proved", NO_KEYFRAME, "it plays, but no whole picture came within the seconds allowed")
    if isinstance(error, DecoderBusyError):
        return Outcome("not_proved", BUSY, str(error))
    if isinstance(error, DecodeError):
        return Outcome("failed", StreamCause.DECODE_ERROR.value, str(error))
    if isinstance(error, StreamError):
        early = error.stage in {"connect", "options"}
        failed = error.cause in FAILURES and not early
        return Outcome("failed" if failed else "not_proved", error.cause.value, _told(error, right))
    if isinstance(error, RecorderError):
        # A recorder's own answer to the question for an address: an unusable one says nothing of the footage.
        failed = error.cause == StreamCause.NOT_FOUND
        return Outcome("failed" if failed else "not_proved", error.cause[:40], _told(error, right))
    raise TypeError(f"not an error of a playback: {error!r}")


def _told(error: StreamError | RecorderError, right: str) -> str:
    """Return the sentence that leaves the site: it names no account."""
    forbidden = isinstance(error, StreamError) and error.cause is StreamCause.NOT_PERMITTED
    if error.cause == StreamCause.UNAUTHORIZED or forbidden:
        return f"the account may watch, but playing back was refused: give it {right}"
    return LOGIN_REFUSED if error.cause == StreamCause.CREDENTIALS_HELD else error.detail


def facts_of(minute: Minute, which: str, outcome: Outcome) -> dict[str, JsonValue]:
    """Return the facts of a proof, as monitor.model.proof reads them."""
    played, seen = outcome.played, outcome.seen
    first = played.pictures[0] if played is not None else None
    return {
        "which": which,
        "minute_at": minute.at,
        "time": played.timing if played else "unknown",
        "time_told_by": played.told_by if played else None,
        "off_seconds": played.off_seconds if played else None,
        "pictures": len(played.pictures) if played else 0,
        "codec": played.codec if played else None,
        "width": first.width if first else None,
        "height": first.height if first else None,
        "view": seen.likeness if seen else "unknown",
        "shows": seen.shows if seen else None,
        "in_place": seen.in_place if seen else None,
        "fingerprint": view_id(first.view.to_json()) if first else None,
    }
