"""What a failed stream means, case by case."""

from __future__ import annotations

import pytest

from agents.watch.failure import NETWORK, SILENCE, Around, meaning
from agents.watch.reach import Reached
from monitor.model.observation import StreamCause as Cause

ANSWERS = Reached("up", None, "")
GONE = Reached("down", Cause.RECORDER_UNREACHABLE, "")
DARK = Reached("unknown", Cause.BLIND, "")

JUDGED = {Cause.NO_FOOTAGE, Cause.SITE_POWER, Cause.RECORDER, Cause.BLIND, Cause.RECORDER_UNREACHABLE}
WIRE = [cause for cause in Cause if cause not in JUDGED]
"""What a stream can fail with."""

SAYS_NOTHING = {
    Cause.UNAUTHORIZED,
    Cause.NOT_PERMITTED,
    Cause.CREDENTIALS_HELD,
    Cause.NOT_ALLOWED,
    Cause.CERTIFICATE,
    Cause.DECODE_ERROR,
    Cause.NO_STREAM,
}


@pytest.mark.parametrize("cause", sorted(SAYS_NOTHING))
@pytest.mark.parametrize("around", [Around(), Around(GONE), Around(ANSWERS, channel_online=False), Around(DARK)])
def test_a_refused_login_or_a_forbidden_address_says_nothing_of_the_camera(cause: Cause, around: Around) -> None:
    assert meaning(cause, around) == ("unknown", cause)


@pytest.mark.parametrize(
    ("cause", "around", "expected"),
    [
        # A camera that streams by UDP alone.
        (Cause.PROTOCOL_ERROR, Around(inconclusive=True), ("unknown", Cause.PROTOCOL_ERROR)),
        # A name that can't be resolved: nobody was asked.
        (Cause.NO_CONNECTION, Around(inconclusive=True), ("unknown", Cause.NO_CONNECTION)),
        (Cause.NO_CONNECTION, Around(ANSWERS, inconclusive=True, others_up=True), ("unknown", Cause.NO_CONNECTION)),
        (Cause.NO_CONNECTION, Around(ANSWERS, channel_online=False, inconclusive=True), ("down", Cause.CHANNEL_OFFLINE)),
        (Cause.NO_CONNECTION, Around(GONE, inconclusive=True), ("unknown", Cause.RECORDER_UNREACHABLE)),
        (Cause.NO_CONNECTION, Around(site_answers=False, inconclusive=True), ("unknown", Cause.BLIND)),
        # A camera that is reached directly.
        (Cause.REFUSED, Around(), ("down", Cause.REFUSED)),
        (Cause.NO_CONNECTION, Around(), ("down", Cause.NO_CONNECTION)),
        (Cause.NO_CONNECTION, Around(site_answers=False), ("unknown", Cause.BLIND)),
        (Cause.STALLED, Around(site_answers=False), ("unknown", Cause.BLIND)),
        (Cause.RECORDER_FULL, Around(), ("unknown", Cause.RECORDER_FULL)),
        # The recorder is gone, or the agent's own line is.
        (Cause.NO_CONNECTION, Around(GONE), ("unknown", Cause.RECORDER_UNREACHABLE)),
        (Cause.CLOSED, Around(GONE, was_playing=True), ("unknown", Cause.RECORDER_UNREACHABLE)),
        (Cause.TIMEOUT, Around(DARK), ("unknown", Cause.BLIND)),
        (Cause.STALLED, Around(GONE, was_playing=True), ("unknown", Cause.RECORDER_UNREACHABLE)),
        (Cause.NO_VIDEO, Around(GONE), ("down", Cause.NO_VIDEO)),
        # The recorder answers.
        (Cause.NOT_FOUND, Around(ANSWERS), ("down", Cause.NOT_FOUND)),
        (Cause.NOT_FOUND, Around(ANSWERS, channel_online=False), ("down", Cause.CHANNEL_OFFLINE)),
        (Cause.NOT_FOUND, Around(ANSWERS, channel_online=True), ("unknown", Cause.NO_STREAM)),
        (Cause.STALLED, Around(ANSWERS, channel_online=True), ("down", Cause.STALLED)),
        (Cause.RECORDER_FULL, Around(ANSWERS, channel_online=True), ("unknown", Cause.RECORDER_FULL)),
        (Cause.RECORDER_FULL, Around(ANSWERS, channel_online=False), ("down", Cause.CHANNEL_OFFLINE)),
        # A port of the recorder's that is closed, shut off or another one says nothing of a camera that it has on line.
        (Cause.REFUSED, Around(ANSWERS, channel_online=True), ("unknown", Cause.REFUSED)),
        (Cause.NO_CONNECTION, Around(ANSWERS, channel_online=True), ("unknown", Cause.NO_CONNECTION)),
        (Cause.NOT_RTSP, Around(ANSWERS, channel_online=True), ("unknown", Cause.NOT_RTSP)),
        (Cause.REFUSED, Around(ANSWERS, channel_online=False), ("down", Cause.CHANNEL_OFFLINE)),
        (Cause.NOT_RTSP, Around(ANSWERS), ("down", Cause.NOT_RTSP)),
        (Cause.NO_CONNECTION, Around(ANSWERS, channel_online=True, others_up=True), ("unknown", Cause.RECORDER_FULL)),
        # Silence: a full recorder when others run, else the camera; never when the stream ran before.
        (Cause.TIMEOUT, Around(ANSWERS, others_up=True), ("unknown", Cause.RECORDER_FULL)),
        (Cause.NO_CONNECTION, Around(ANSWERS, others_up=True), ("unknown", Cause.RECORDER_FULL)),
        (Cause.CLOSED, Around(ANSWERS, others_up=True), ("unknown", Cause.RECORDER_FULL)),
        (Cause.TIMEOUT, Around(ANSWERS), ("down", Cause.TIMEOUT)),
        (Cause.CLOSED, Around(ANSWERS, others_up=True, was_playing=True), ("down", Cause.CLOSED)),
        # Nobody else runs, and the recorder has the camera on line: it may be full of other people.
        (Cause.TIMEOUT, Around(ANSWERS, channel_online=True, never_ran=True), ("unknown", Cause.TIMEOUT)),
        (Cause.CLOSED, Around(ANSWERS, channel_online=True, never_ran=True), ("unknown", Cause.CLOSED)),
        (Cause.TIMEOUT, Around(ANSWERS, channel_online=False, never_ran=True), ("down", Cause.CHANNEL_OFFLINE)),
        # A stream that ran and is gone: its recorder may list it as on line for a while.
        (Cause.TIMEOUT, Around(ANSWERS, channel_online=True), ("down", Cause.TIMEOUT)),
        (Cause.CLOSED, Around(ANSWERS, channel_online=True, was_playing=True), ("down", Cause.CLOSED)),
        (Cause.REFUSED, Around(ANSWERS, others_up=True), ("down", Cause.REFUSED)),
        (Cause.STALLED, Around(ANSWERS, others_up=True), ("down", Cause.STALLED)),
    ],
)  # fmt: skip
def test_table(cause: Cause, around: Around, expected: tuple[str, Cause]) -> None:
    assert meaning(cause, around) == expected


@pytest.mark.parametrize("cause", WIRE)
@pytest.mark.parametrize("reached", [None, ANSWERS, GONE, DARK])
@pytest.mark.parametrize("online", [None, True, False])
def test_nothing_is_down_behind_a_silent_recorder_and_every_cause_is_one_of_the_model(
    cause: Cause, reached: Reached | None, online: bool | None
) -> None:
    state, named = meaning(cause, Around(reached, online))
    assert state in {"down", "unknown"}
    assert named in Cause
    if reached in (GONE, DARK) and cause in NETWORK:
        assert state == "unknown"


def test_a_port_that_refuses_is_no_silence() -> None:
    assert Cause.REFUSED in NETWORK
    assert Cause.REFUSED not in SILENCE
