"""Addresses that recorders tell may hold a password: people and logs see none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.rtsp.request import StreamRequest, shown


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("rtsp://192.0.2.1:554/live/1", "rtsp://192.0.2.1:554/live/1"),
        (
            "rtsp://192.0.2.1:554/user=admin_password=Cradle-2026_channel=1_stream=0.sdp?real_stream",
            "rtsp://192.0.2.1:554/user=admin_password=***_channel=1_stream=0.sdp?real_stream",
        ),
        ("rtsp://192.0.2.1/cam?usr=a&pwd=s3cret&ch=1", "rtsp://192.0.2.1/cam?usr=a&pwd=***&ch=1"),
        ("rtsp://192.0.2.1/cam?Authorization=Basic%20YTpi", "rtsp://192.0.2.1/cam?Authorization=***"),
        ("rtsp://192.0.2.1/p?password%3Ds3cret", "rtsp://192.0.2.1/p?password%3D***"),
        ("rtsp://192.0.2.1/h264Preview_01_sub", "rtsp://192.0.2.1/h264Preview_01_sub"),
    ],
)
def test_what_is_shown_of_an_address(url: str, seen: str) -> None:
    assert shown(url) == seen


@given(st.text("abcXYZ0189-._~", min_size=4), st.sampled_from(["&", "/", "?", "_channel=", ""]))
def test_no_secret_is_shown_whatever_it_is(secret: str, after: str) -> None:
    assert secret not in shown(f"rtsp://192.0.2.1/#password={secret}{after}")


def test_a_request_does_not_show_its_address() -> None:
    assert "s3cret" not in repr(StreamRequest("rtsp://192.0.2.1/user=a_password=s3cret"))
