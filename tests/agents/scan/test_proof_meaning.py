"""What a playback that went wrong says: of the footage, or nothing of it."""

from __future__ import annotations

import pytest

from agents.recorders.base import NotOffered, RecorderError
from agents.recorders.menus import MENUS, menus_of
from agents.rtsp.errors import StreamError
from agents.scan.playing import NoPicture
from agents.scan.proof import BUSY, NO_KEYFRAME, meaning
from agents.scan.recorder import LOGIN_REFUSED
from agents.watch.decoder import DecodeError, DecoderBusyError
from monitor.model.observation import StreamCause


@pytest.mark.parametrize(
    ("error", "state", "cause"),
    [
        (StreamError(StreamCause.NOT_FOUND, "describe", ""), "failed", "not_found"),
        (StreamError(StreamCause.STALLED, "media", ""), "failed", "stalled"),
        (StreamError(StreamCause.CLOSED, "media", ""), "failed", "closed"),
        (StreamError(StreamCause.CLOSED, "connect", ""), "not_proved", "closed"),
        (StreamError(StreamCause.NO_VIDEO, "describe", ""), "failed", "no_video"),
        (StreamError(StreamCause.PROTOCOL_ERROR, "play", ""), "failed", "protocol_error"),
        (StreamError(StreamCause.TIMEOUT, "describe", ""), "not_proved", "timeout"),
        (StreamError(StreamCause.RECORDER_FULL, "setup", ""), "not_proved", "recorder_full"),
        (StreamError(StreamCause.REFUSED, "connect", ""), "not_proved", "refused"),
        (StreamError(StreamCause.CREDENTIALS_HELD, "describe", ""), "not_proved", "credentials_held"),
        (RecorderError(StreamCause.NOT_FOUND, ""), "failed", "not_found"),
        (RecorderError(StreamCause.RECORDER, ""), "not_proved", "recorder"),
        (RecorderError(StreamCause.NOT_PERMITTED, ""), "not_proved", "not_permitted"),
        (NotOffered(""), "not_proved", "not_offered"),
        (DecodeError("black"), "failed", "decode_error"),
        (DecoderBusyError("busy"), "not_proved", BUSY),
        (NoPicture(), "not_proved", NO_KEYFRAME),
    ],
)
def test_busy_no_right_and_no_line_say_nothing_of_the_footage(error: Exception, state: str, cause: str) -> None:
    outcome = meaning(error)
    assert (outcome.state, outcome.cause) == (state, cause)


@pytest.mark.parametrize("driver", [*MENUS, "files"])
@pytest.mark.parametrize("cause", [StreamCause.UNAUTHORIZED, StreamCause.NOT_PERMITTED])
def test_a_missing_right_to_play_back_is_named_as_the_maker_s_menu_names_it(driver: str, cause: StreamCause) -> None:
    right = menus_of(driver).playback
    outcome = meaning(StreamError(cause, "describe", "DESCRIBE was refused"), right)
    assert outcome.detail == f"the account may watch, but playing back was refused: give it {right}"


def test_a_sentence_that_leaves_the_site_names_no_account() -> None:
    for cause in (StreamCause.UNAUTHORIZED, StreamCause.CREDENTIALS_HELD):
        assert (
            "compliance" not in meaning(StreamError(cause, "describe", "the login of 'compliance' was refused")).detail
        )
    assert meaning(StreamError(StreamCause.CREDENTIALS_HELD, "describe", "x")).detail == LOGIN_REFUSED
