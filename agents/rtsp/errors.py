"""Why a stream could not be opened or did not go on: one exception with a cause, a stage and a sentence."""

from __future__ import annotations

from typing import Literal

from monitor.model.observation import StreamCause

Stage = Literal["connect", "options", "describe", "setup", "play", "media"]
"""How far the stream had come: media is everything after PLAY was answered."""


class StreamError(Exception):
    """A stream failed; `cause` is what an observation says, `detail` one sentence for people, without secrets."""

    def __init__(self, cause: StreamCause, stage: Stage, detail: str, *, inconclusive: bool = False) -> None:
        """Keep cause, stage and detail. `inconclusive`: it says nothing of the device."""
        super().__init__(detail)
        self.inconclusive = inconclusive
        self.cause = cause
        self.stage: Stage = stage
        self.detail = detail

    def again(self) -> StreamError:
        """Return the same error, to be raised: what was raised once holds on to all that it came through."""
        return StreamError(self.cause, self.stage, self.detail, inconclusive=self.inconclusive)

    def __str__(self) -> str:
        """Return CAUSE at STAGE: DETAIL."""
        return f"{self.cause} at {self.stage}: {self.detail}"


class MalformedError(ValueError):
    """Bytes from the device are not what the protocol allows; the caller knows the stage and makes a StreamError."""
