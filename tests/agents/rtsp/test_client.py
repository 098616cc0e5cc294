"""The client against devices that are right: logins, statuses, sessions, and the end of a stream."""

from __future__ import annotations

import asyncio
import time

import pytest

from agents.rtsp import Deadlines, Stream, StreamError, StreamRequest, open_stream
from agents.rtsp.habit import Habits
from monitor.model.clock import SystemClock
from monitor.model.observation import StreamCause
from support.rtsp_device import SDP, Answer, Asked, Device, interleaved, plain_frame, render, rtp, serve
from support.rtsp_opening import LOGIN, LOOPBACK, PATIENT, SHORT, cause_of, opened, raw_server


async def test_a_right_device_gives_frames_with_moving_timestamps_and_is_torn_down() -> None:
    lines: list[str] = []
    async with serve(Device()) as device:
        async with opened(device.url(), trace=lines.append) as stream:
            events = []
            async for event in stream.frames():
                events.append(event)
                if len(events) == 12:
                    break
            assert (stream.info.codec, stream.info.width, stream.info.height) == ("h264", 640, 480)
            assert stream.info.server == "test device"
        assert device.methods() == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN"]
        assert device.asked[2].url == device.url() + "/track2"
        assert device.asked[4].headers["Session"] == "42"
    assert [event.rtp_timestamp for event in events] == [6000 * number for number in range(12)]
    assert [number for number, event in enumerate(events) if event.keyframe] == [0, 10]
    assert {event.bytes for event in events} == {2001 + 4}
    assert not any(event.lost for event in events)
    assert lines[0].startswith(f"connected to 127.0.0.1:{device.port} after ")
    assert lines[1:3] == ["OPTIONS: 200", "DESCRIBE: 200"]


@pytest.mark.parametrize(
    ("algorithm", "qop"),
    [
        ("MD5", ""),
        ("MD5", "auth"),
        ("MD5", "auth,auth-int"),
        ("MD5-sess", "auth"),
        ("SHA-256", "auth"),
        ("SHA-256-sess", "auth"),
    ],
)
async def test_digest_logs_in_with_every_algorithm(algorithm: str, qop: str) -> None:
    async with serve(Device("viewer", "s3cret", algorithm=algorithm, qop=qop)) as device:
        async with opened(device.url(), LOGIN) as stream:
            assert await stream.batch()
        assert device.failed_logins == 0
        assert device.logins == 4  # DESCRIBE, SETUP, PLAY, TEARDOWN


async def test_basic_logs_in() -> None:
    async with serve(Device("viewer", "s3cret", basic=True)) as device:
        async with opened(device.url(), LOGIN) as stream:
            assert await stream.batch()
        assert device.failed_logins == 0


async def test_a_password_never_goes_out_in_the_clear_where_a_digest_worked_before() -> None:
    """Whoever stands between could else ask for it."""
    async with serve(Device("viewer", "s3cret")) as device:
        habits = Habits()
        async with opened(device.url(), LOGIN, habits=habits) as stream:
            assert await stream.batch()
        device.basic, device.asked = True, []
        with pytest.raises(StreamError, match="password in the clear") as caught:
            await open_stream(StreamRequest(device.url(), LOGIN), LOOPBACK, PATIENT, clock=SystemClock(), habits=habits)
        assert caught.value.cause == StreamCause.UNAUTHORIZED
        assert not any("Authorization" in asked.headers for asked in device.asked)
        async with opened(device.url(), LOGIN, habits=Habits()) as stream:  # as after a restart
            assert await stream.batch()


async def test_a_wrong_password_goes_out_once() -> None:
    async with serve(Device("viewer", "other")) as device:
        error = await cause_of(device.url(), LOGIN, PATIENT, within=30)
        assert (error.cause, error.stage, device.failed_logins) == (StreamCause.UNAUTHORIZED, "describe", 1)
        assert error.detail == "the login of 'viewer' was refused (DESCRIBE was answered 401 again)"


async def test_without_a_login_no_credentials_go_out() -> None:
    async with serve(Device("viewer", "s3cret")) as device:
        error = await cause_of(device.url(), deadlines=PATIENT, within=30)
        assert error.cause == StreamCause.UNAUTHORIZED
        assert "none is configured" in error.detail
        assert all("Authorization" not in asked.headers for asked in device.asked)


async def test_a_stale_nonce_is_no_refusal() -> None:
    async def expire(device: Device, asked: Asked, _: asyncio.StreamWriter) -> bool:
        if asked.method == "SETUP" and device.nonce == "n0":
            device.stale_nonces.add("n0")
            device.nonce = "n1"
        return True

    async with serve(Device("viewer", "s3cret", override=expire)) as device:
        async with opened(device.url(), LOGIN) as stream:
            assert await stream.batch()
        assert device.methods().count("SETUP") == 2
        assert device.failed_logins == 0


async def test_a_nonce_that_is_always_stale_ends_as_refusal() -> None:
    device = Device("viewer", "s3cret")

    async def expire(device: Device, asked: Asked, _: asyncio.StreamWriter) -> bool:
        device.stale_nonces.add(device.nonce)
        device.nonce += "x"
        return True

    device.override = expire
    async with serve(device):
        error = await cause_of(device.url(), LOGIN, PATIENT, within=30)
    assert error.cause == StreamCause.UNAUTHORIZED
    assert len(device.asked) < 6


async def test_a_camera_that_streams_by_udp_alone_is_not_judged() -> None:
    async with serve(Device(statuses={"SETUP": 461})) as device:
        error = await cause_of(device.url(), deadlines=PATIENT, within=30)
    assert (error.cause, error.inconclusive) == (StreamCause.PROTOCOL_ERROR, True)
    assert error.detail.startswith("the device does not send the stream over the RTSP connection")
    async with serve(Device(statuses={"SETUP": 400})) as device:
        assert not (await cause_of(device.url(), deadlines=PATIENT, within=30)).inconclusive


@pytest.mark.parametrize(
    ("method", "status", "cause", "stage"),
    [
        ("DESCRIBE", 403, StreamCause.NOT_PERMITTED, "describe"),
        ("DESCRIBE", 404, StreamCause.NOT_FOUND, "describe"),
        ("DESCRIBE", 302, StreamCause.PROTOCOL_ERROR, "describe"),
        ("DESCRIBE", 400, StreamCause.PROTOCOL_ERROR, "describe"),
        ("OPTIONS", 503, StreamCause.RECORDER_FULL, "options"),
        ("OPTIONS", 301, StreamCause.PROTOCOL_ERROR, "options"),
        ("SETUP", 453, StreamCause.RECORDER_FULL, "setup"),
        ("SETUP", 461, StreamCause.PROTOCOL_ERROR, "setup"),
        ("PLAY", 500, StreamCause.RECORDER_FULL, "play"),
        ("PLAY", 453, StreamCause.RECORDER_FULL, "play"),
        ("PLAY", 454, StreamCause.PROTOCOL_ERROR, "play"),
    ],
)
async def test_each_status_has_its_cause(method: str, status: int, cause: StreamCause, stage: str) -> None:
    async with serve(Device(statuses={method: status})) as device:
        error = await cause_of(device.url(), deadlines=PATIENT, within=30)
        assert (error.cause, error.stage) == (cause, stage)
        assert str(status) in error.detail


def moving(location: str) -> Answer:
    """Answer DESCRIBE of the first path by a redirect; PORT is the device's own."""

    async def override(device: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if asked.method != "DESCRIBE" or not asked.url.endswith("/live/1"):
            return True
        writer.write(render(302, asked, {"Location": location.replace("PORT", str(device.port))}))
        return False

    return override


@pytest.mark.parametrize(
    "location",
    [
        "rtsp://127.0.0.1:OTHER/live/2",
        "rtsp://169.254.169.254/latest/meta-data",
        "rtsp://127.0.0.2:PORT/live/2",
        "rtsps://127.0.0.1:PORT/live/2",
        "rtsp://viewer:s3cret@127.0.0.1:PORT/live/2",
        "http://127.0.0.1:PORT/",
        "/live/2",
        "rtsp://127.0.0.1:PORT/live/1",
        "",
    ],
)
async def test_a_redirect_that_leads_elsewhere_is_named_and_not_followed(location: str) -> None:
    async with serve(Device()) as other:
        device = Device(override=moving(location.replace("OTHER", str(other.port))))
        async with serve(device):
            error = await cause_of(device.url(), deadlines=PATIENT, within=30)
        assert error.detail == (
            "DESCRIBE was answered by a redirect (302) that leads elsewhere or on and on, and is not followed: "
            "where that is right, write it as the camera's stream"
        )
        assert error.inconclusive, "it says nothing of the camera"
        assert other.asked == []
        assert device.methods() == ["OPTIONS", "DESCRIBE"]


async def test_a_redirect_to_another_path_of_the_same_address_is_followed_once() -> None:
    device = Device("viewer", "s3cret", override=moving("rtsp://127.0.0.1:PORT/live/2"))
    async with serve(device), opened(device.url(), LOGIN) as stream:
        assert await stream.batch()
        assert [asked.url.rpartition("/live/")[2] for asked in device.asked if asked.method == "DESCRIBE"] == [
            "1",
            "2",
            "2",
        ]
    circles = Device(override=moving("rtsp://127.0.0.1:PORT/other/live/1"))
    async with serve(circles):
        error = await cause_of(circles.url(), deadlines=PATIENT, within=30)
    assert (error.cause, error.inconclusive) == (StreamCause.PROTOCOL_ERROR, True)
    assert len(circles.asked) == 3


async def test_a_device_that_gives_its_session_no_name_plays() -> None:
    async def nameless(device: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if asked.method != "SETUP":
            return True
        writer.write(render(200, asked, {"Transport": asked.headers["Transport"]}))
        return False

    device = Device(override=nameless)
    async with serve(device), opened(device.url()) as stream:
        assert await stream.batch()
    assert not any("Session" in asked.headers for asked in device.asked)


async def test_a_careless_answer_to_options_doesnt_matter() -> None:
    async with serve(Device(statuses={"OPTIONS": 404})) as device, opened(device.url()) as stream:
        assert await stream.batch()


async def test_audio_only_is_no_video() -> None:
    async with serve(Device(sdp=SDP.split("m=video", maxsplit=1)[0])) as device:
        error = await cause_of(device.url(), deadlines=PATIENT, within=30)
        assert (error.cause, error.detail) == (StreamCause.NO_VIDEO, "the stream holds no video, but audio")


async def test_a_codec_that_cannot_be_watched_is_named() -> None:
    async with serve(Device(sdp=SDP.replace("H264", "MP4V"))) as device:
        error = await cause_of(device.url(), deadlines=PATIENT, within=30)
        assert (error.cause, error.detail) == (
            StreamCause.DECODE_ERROR,
            "the video is in MP4V; H.264, H.265 and MJPEG can be watched",
        )


async def test_a_control_url_of_another_host_stays_on_this_connection() -> None:
    sdp = SDP.replace("a=control:track2", "a=control:rtsp://192.0.2.99:8554/inner/track2")
    async with serve(Device(sdp=sdp)) as device, opened(device.url()) as stream:
        assert await stream.batch()
        assert device.asked[2].url == f"rtsp://127.0.0.1:{device.port}/inner/track2"


async def test_lost_packets_are_counted() -> None:
    def lossy(number: int) -> list[bytes]:
        first, report, second = plain_frame(number)
        return [first, report] if number == 3 else [first, report, second]

    async with serve(Device(packets=lossy)) as device, opened(device.url()) as stream:
        events = []
        async for event in stream.frames():
            events.append(event)
            if len(events) == 6:
                break
    assert [event.lost for event in events] == [0, 0, 0, 1, 0, 0] or [event.lost for event in events] == [
        0,
        0,
        0,
        0,
        1,
        0,
    ]


async def test_the_session_is_kept_alive_as_the_device_wants() -> None:
    async with serve(Device(session="7;timeout=2")) as device:
        deadlines = Deadlines(answer=0.4, stall=3, first_frame=3)
        async with opened(device.url(), deadlines=deadlines) as stream:
            async with asyncio.timeout(4):
                async for _ in stream.frames():
                    if "GET_PARAMETER" in device.methods():
                        break
        kept = next(asked for asked in device.asked if asked.method == "GET_PARAMETER")
        assert kept.headers["Session"] == "7"
        assert kept.url == device.url() + "/"


async def test_a_failed_setup_leaves_no_session_behind() -> None:
    torn_down = asyncio.Event()

    async def notice(_: Device, asked: Asked, __: asyncio.StreamWriter) -> bool:
        if asked.method == "TEARDOWN":
            torn_down.set()
        return True

    async with serve(Device(statuses={"PLAY": 453}, override=notice)) as device:
        await cause_of(device.url(), deadlines=PATIENT, within=30)
        async with asyncio.timeout(2):
            await torn_down.wait()


async def test_a_cancelled_opening_closes_its_socket() -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(1000):
                pass
        finally:
            gone.set()

    async with raw_server(silent) as url:
        opening = asyncio.create_task(open_stream(StreamRequest(url), LOOPBACK, clock=SystemClock()))
        await asyncio.sleep(0.05)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        async with asyncio.timeout(2):
            await gone.wait()


async def test_close_ends_the_iteration_and_is_bounded_when_teardown_is_not_answered() -> None:
    async def deaf(_: Device, asked: Asked, __: asyncio.StreamWriter) -> bool:
        return asked.method != "TEARDOWN"

    async with serve(Device(override=deaf)) as device:
        stream = await open_stream(StreamRequest(device.url()), LOOPBACK, SHORT, clock=SystemClock())
        reading = asyncio.create_task(anext_of(stream))
        before = time.monotonic()
        await stream.close()
        assert time.monotonic() - before < 2.5
        await reading
        await stream.close()


async def anext_of(stream: Stream) -> int:
    return len([event async for event in stream.frames()])


async def test_server_requests_are_refused_and_the_stream_goes_on() -> None:
    def asking(number: int) -> list[bytes]:
        extra = b"SET_PARAMETER rtsp://x/ RTSP/1.0\r\nCSeq: 9\r\nContent-Length: 3\r\n\r\na=b" if number == 2 else b""
        return [*plain_frame(number), extra, b"\r\n"]

    async with serve(Device(packets=asking)) as device, opened(device.url()) as stream:
        seen = 0
        async for _ in stream.frames():
            seen += 1
            if seen == 8:
                break
        assert device.answers == ["RTSP/1.0 501 Not Implemented"]


async def test_a_device_without_cseq_is_understood() -> None:
    async def bare(device: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if asked.method != "OPTIONS":
            return True
        writer.write(b"RTSP/1.0 200 OK\r\n\r\n")
        return False

    async with serve(Device(override=bare)) as device, opened(device.url()) as stream:
        assert await stream.batch()


@pytest.mark.parametrize("made_up", [0, 4_000_000_000])
async def test_a_device_that_makes_up_its_cseq_is_understood(made_up: int) -> None:
    """Foscam's C1 answers `Cseq: 0` whatever was asked; other clients don't mind."""

    async def wrong(device: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        asked.headers["CSeq"] = str(made_up)
        return True

    async with serve(Device("viewer", "s3cret", override=wrong)) as device, opened(device.url(), LOGIN) as stream:
        assert await stream.batch()


async def test_a_second_answer_to_an_earlier_question_is_not_taken_for_the_next_one() -> None:
    async def twice(device: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if asked.method in {"OPTIONS", "SETUP"}:
            writer.write(render(200, asked, {"Session": "other", "Transport": "RTP/AVP/TCP;interleaved=0-1"}))
        return True

    async with serve(Device(override=twice)) as device, opened(device.url()) as stream:
        assert await stream.batch()


async def test_a_keyframe_into_which_an_answer_was_written_is_never_given_out() -> None:
    """Some devices answer a sign of life from another thread than the one that writes a packet."""
    answer = b"RTSP/1.0 200 OK\r\nCSeq: 9\r\nSession: 42\r\n\r\n"

    def torn(number: int) -> list[bytes]:
        packets = plain_frame(number)
        if number % 20 == 0:
            packets[0] = packets[0][:500] + answer + packets[0][500:]
        return packets

    async with serve(Device(packets=torn)) as device, opened(device.url()) as stream:
        for _ in range(3):
            keyframe = await stream.next_keyframe(5.0)
            assert keyframe is not None
            assert answer[:20] not in keyframe


async def test_a_header_on_several_lines_is_read_whole() -> None:
    async def folded(device: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        number = asked.headers["CSeq"]
        if "Authorization" not in asked.headers and asked.method == "DESCRIBE":
            head = f'WWW-Authenticate: Digest realm="the device",\r\n\tnonce="{device.nonce}",\r\n qop="auth"'
            writer.write(f"RTSP/1.0 401 Words\r\nCSeq: {number}\r\n{head}\r\n\r\n".encode())
            return False
        if asked.method == "SETUP":
            head = "Transport: RTP/AVP/TCP;unicast;\r\n  interleaved=4-5\r\nSession: 42;\r\n\ttimeout=60"
            writer.write(f"RTSP/1.0 200 Words\r\n folded\r\nCSeq: {number}\r\n{head}\r\n\r\n".encode())
            return False
        return True

    def elsewhere(number: int) -> list[bytes]:
        return [packet[:1] + bytes([packet[1] + 4]) + packet[2:] for packet in plain_frame(number)]

    device = Device("viewer", "s3cret", override=folded, packets=elsewhere)
    async with serve(device), opened(device.url(), LOGIN) as stream:
        assert await stream.batch()
    assert device.failed_logins == 0


async def test_next_keyframe_is_none_when_none_comes_in_time() -> None:
    def never(number: int) -> list[bytes]:
        return [interleaved(0, rtp(number, number * 6000, b"\x41" + bytes(50), marker=True))]

    async with serve(Device(packets=never)) as device, opened(device.url()) as stream:
        assert await stream.next_keyframe(timeout=0.2) is None
