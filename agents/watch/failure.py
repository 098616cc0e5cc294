"""What a failed stream means: down, or unknown because the recorder, the line or the login stands between."""

from __future__ import annotations

from dataclasses import dataclass

from agents.watch.reach import Reached
from monitor.model.observation import StreamCause

LOGIN = frozenset({StreamCause.UNAUTHORIZED, StreamCause.NOT_PERMITTED, StreamCause.CREDENTIALS_HELD})
SAYS_NOTHING = frozenset(
    {*LOGIN, StreamCause.NOT_ALLOWED, StreamCause.CERTIFICATE, StreamCause.DECODE_ERROR, StreamCause.NO_STREAM}
)
"""Causes that lie with the login, the site's rules, or what this agent knows and can read: none is the camera's."""
SILENCE = frozenset({StreamCause.TIMEOUT, StreamCause.NO_CONNECTION, StreamCause.CLOSED})
"""How a full recorder may refuse a further session: no answer, or a connection closed without one."""
UNSERVED = frozenset({StreamCause.REFUSED, StreamCause.NO_CONNECTION, StreamCause.NOT_RTSP})
"""Nobody speaks RTSP at the port: it is closed, shut off, or another one than the agent was told."""
NETWORK = frozenset({*SILENCE, StreamCause.REFUSED, StreamCause.TOO_SLOW, StreamCause.STALLED})
"""Causes that may lie with the recorder or the line as well as with the camera."""


@dataclass(frozen=True)
class Around:
    """What is known around a failed stream: its recorder's reach, its channel's state, and whether others run."""

    reached: Reached | None = None
    """None for a camera that is reached directly."""
    channel_online: bool | None = None
    others_up: bool = False
    """Frames of another camera of the recorder arrived since this one was tried."""
    was_playing: bool = False
    """The stream ran before it failed: then the recorder had not refused it."""
    never_ran: bool = False
    """No frame of it has come since the agent's start."""
    site_answers: bool = True
    inconclusive: bool = False
    """It says nothing of the camera: its name has no address now, it serves its stream in another way or at another place than the agent takes it, or its next
    keyframe, with which it may begin, was not waited for, as others' turns had come."""


def meaning(cause: StreamCause, around: Around) -> tuple[str, StreamCause]:
    """Return (state, cause) of a camera whose stream failed with `cause`.

    A refused login, a missing right, a forbidden address, a certificate that isn't the known one, a codec that isn't
    watched say nothing of the camera; nor does a name that can't be resolved, for then nobody was asked; nor a transport that
    it doesn't offer; nor a recorder that is gone or full, or a cut line; nor an address at which there is nothing, a port at which nobody speaks RTSP, or a first
    request that nobody answers, while the recorder has the camera on line: others may hold all sessions of one that refuses
    by silence. What remains is down, so also a stream that ran: recorders go on listing a camera that has just gone for a
    while.
    """
    if cause in SAYS_NOTHING:
        return "unknown", cause
    if around.reached is not None and around.reached.state != "up" and cause in NETWORK:
        return "unknown", StreamCause(around.reached.cause or StreamCause.RECORDER_UNREACHABLE)
    if not around.site_answers and cause in NETWORK:
        return "unknown", StreamCause.BLIND
    if around.channel_online is False:
        return "down", StreamCause.CHANNEL_OFFLINE
    if cause is StreamCause.NOT_FOUND and around.channel_online:
        return "unknown", StreamCause.NO_STREAM
    silent = cause in SILENCE and not around.inconclusive
    if cause is StreamCause.RECORDER_FULL or (silent and around.others_up and not around.was_playing):
        return "unknown", StreamCause.RECORDER_FULL
    unserved = cause in UNSERVED or (cause in SILENCE and around.never_ran)
    if around.inconclusive or (unserved and around.channel_online):
        return "unknown", cause
    return "down", cause
