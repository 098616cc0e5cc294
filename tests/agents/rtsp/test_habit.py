"""Signs of life: as the device offers, as it bears them, and what is learnt from those that it doesn't."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from agents.breaker import Breaker
from agents.rtsp import Login, Stream, StreamError, StreamRequest, open_stream
from agents.rtsp.habit import Habit, Habits, offered
from monitor.model.clock import SystemClock
from monitor.model.observation import StreamCause
from support.rtsp_device import TICKS, Answer, Asked, Device, render, serve
from support.rtsp_opening import LOGIN, LOOPBACK, PATIENT, cause_of

SHORT_SESSION = "7;timeout=2"
"""A sign of life each second."""


@pytest.mark.parametrize(
    ("public", "method"),
    [
        ("OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER", "GET_PARAMETER"),
        ("OPTIONS,DESCRIBE,get_parameter", "GET_PARAMETER"),
        ("OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, SET_PARAMETER", "OPTIONS"),
        ("", "OPTIONS"),
    ],
)
def test_the_method_that_is_offered(public: str, method: str) -> None:
    assert offered(public) == method


def test_a_device_that_hangs_up_once_may_have_had_another_reason() -> None:
    habit = Habit()
    habit.hung_up("GET_PARAMETER")
    assert habit.method("GET_PARAMETER") == "GET_PARAMETER"
    habit.borne()
    habit.hung_up("GET_PARAMETER")
    assert habit.method("GET_PARAMETER") == "GET_PARAMETER"
    habit.hung_up("GET_PARAMETER")
    assert habit.method("GET_PARAMETER") == "OPTIONS"
    assert habit.refused("OPTIONS") == "GET_PARAMETER"


async def read(stream: Stream) -> None:
    with suppress(StreamError):
        async for _ in stream.frames():
            pass


def refusing(status: int) -> Answer:
    async def override(_: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if asked.method == "GET_PARAMETER":
            writer.write(render(status, asked))
            return False
        return True

    return override


def signs(device: Device) -> list[str]:
    """Return the methods of the requests within the session that aren't part of opening or closing it."""
    inside = [asked.method for asked in device.asked if "Session" in asked.headers]
    return [method for method in inside if method in {"OPTIONS", "GET_PARAMETER"}]


async def until(condition: object, seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110  (nothing tells)
            await asyncio.sleep(0.02)


async def test_a_method_that_is_not_understood_is_replaced_on_the_same_connection() -> None:
    device = Device(session=SHORT_SESSION, override=refusing(405))
    known = Habits()
    async with serve(device):
        stream = await open_stream(StreamRequest(device.url()), LOOPBACK, PATIENT, clock=SystemClock(), habits=known)
        reading = asyncio.create_task(read(stream))
        await until(lambda: len(signs(device)) >= 2)
        assert signs(device)[:2] == ["GET_PARAMETER", "OPTIONS"]
        assert not reading.done(), "the stream goes on"
        await stream.close()
        await reading
        stream = await open_stream(StreamRequest(device.url()), LOOPBACK, PATIENT, clock=SystemClock(), habits=known)
        reading = asyncio.create_task(read(stream))
        before = len(signs(device))
        await until(lambda: len(signs(device)) > before)
        assert signs(device)[before] == "OPTIONS", "and it is remembered"
        await stream.close()
        await reading


async def cut_twice(device: Device, known: Habits) -> None:
    """Watch two sessions of a device until it ends each."""
    for _ in range(2):
        stream = await open_stream(StreamRequest(device.url()), LOOPBACK, PATIENT, clock=SystemClock(), habits=known)
        await asyncio.wait_for(read(stream), 10)
        await stream.close()


async def test_a_device_that_closes_on_a_method_it_does_not_know_is_asked_otherwise_the_third_time() -> None:
    async def hang_up(_: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if asked.method == "GET_PARAMETER":
            raise ConnectionResetError
        return True

    device = Device(session=SHORT_SESSION, override=hang_up)
    known = Habits()
    async with serve(device):
        await cut_twice(device, known)
        stream = await open_stream(StreamRequest(device.url()), LOOPBACK, PATIENT, clock=SystemClock(), habits=known)
        reading = asyncio.create_task(read(stream))
        await until(lambda: len(signs(device)) >= 3)
        assert signs(device)[:3] == ["GET_PARAMETER", "GET_PARAMETER", "OPTIONS"]
        assert not reading.done()
        await stream.close()
        await reading


async def test_a_device_that_takes_no_notice_of_a_method_is_asked_otherwise_the_third_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It offers GET_PARAMETER, doesn't answer it, and ends the session when its time is over, long after the last one."""
    monkeypatch.setattr("agents.rtsp.stream.CLOSED_SECONDS", 0.05)

    async def ignore(_: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if asked.method == "PLAY":
            asyncio.get_running_loop().call_later(2.5, expire, writer)
        return asked.method != "GET_PARAMETER"

    def expire(writer: asyncio.StreamWriter) -> None:
        if "OPTIONS" not in signs(device):
            writer.transport.abort()

    device = Device(session=SHORT_SESSION, override=ignore)
    known = Habits()
    async with serve(device):
        await cut_twice(device, known)
        assert set(signs(device)) == {"GET_PARAMETER"}
        stream = await open_stream(StreamRequest(device.url()), LOOPBACK, PATIENT, clock=SystemClock(), habits=known)
        reading = asyncio.create_task(read(stream))
        await until(lambda: signs(device)[-1] == "OPTIONS")
        assert not reading.done()
        await stream.close()
        await reading


async def test_another_nonce_in_mid_stream_is_answered_once_more() -> None:
    """As Axis' cameras do: a 401 with a fresh nonce, and no word of the old one being stale."""

    async def expire(device: Device, asked: Asked, _: asyncio.StreamWriter) -> bool:
        if asked.method == "GET_PARAMETER" and len(signs(device)) % 2:
            device.nonce += "x"
        return True

    device = Device("viewer", "s3cret", session=SHORT_SESSION, override=expire)
    async with serve(device):
        stream = await open_stream(StreamRequest(device.url(), LOGIN), LOOPBACK, PATIENT, clock=SystemClock())
        reading = asyncio.create_task(read(stream))
        await until(lambda: len(signs(device)) >= 6)
        assert not reading.done(), "the stream goes on"
        await stream.close()
        await reading


async def test_a_nonce_that_is_another_one_each_time_ends_as_refusal() -> None:
    async def expire(device: Device, asked: Asked, _: asyncio.StreamWriter) -> bool:
        if asked.method == "GET_PARAMETER":
            device.nonce += "x"
        return True

    device = Device("viewer", "s3cret", session=SHORT_SESSION, override=expire)
    async with serve(device):
        error = await cause_of(device.url(), LOGIN, PATIENT, within=30)
    assert error.cause is StreamCause.UNAUTHORIZED
    assert device.failed_logins == 2


async def test_a_device_that_calls_each_nonce_stale_gets_one_more_login_for_each_sign_of_life() -> None:
    async def stale(device: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if asked.method != "GET_PARAMETER":
            return True
        device.nonce += "x"
        challenge = f'Digest realm="the device", nonce="{device.nonce}", stale=true'
        writer.write(render(401, asked, {"WWW-Authenticate": challenge}))
        return False

    device = Device("viewer", "s3cret", session=SHORT_SESSION, override=stale)
    async with serve(device):
        loop = asyncio.get_running_loop()
        stream = await open_stream(StreamRequest(device.url(), LOGIN), LOOPBACK, PATIENT, clock=SystemClock())
        began, reading = loop.time(), asyncio.create_task(read(stream))
        await until(lambda: len(signs(device)) >= 4)
        assert not reading.done(), "the stream goes on: its frames tell that the session lives"
        assert len(signs(device)) <= 2 * (1 + loop.time() - began), "a second apart, twice each"
        await stream.close()
        await reading


@pytest.mark.parametrize("login", [LOGIN, None])
async def test_a_device_that_wants_a_login_for_signs_of_life_alone_is_asked_otherwise(login: Login | None) -> None:
    """It plays without: none that went out was refused, and a stream that runs is not ended for it."""

    async def challenge(_: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if asked.method != "GET_PARAMETER":
            return True
        writer.write(render(401, asked, {"WWW-Authenticate": 'Digest realm="the device", nonce="n"'}))
        return False

    device = Device(session=SHORT_SESSION, override=challenge)
    async with serve(device):
        stream = await open_stream(StreamRequest(device.url(), login), LOOPBACK, PATIENT, clock=SystemClock())
        reading = asyncio.create_task(read(stream))
        await until(lambda: signs(device)[-2:] == ["OPTIONS", "OPTIONS"])
        assert not reading.done()
        await stream.close()
        await reading


async def test_a_sign_of_life_that_is_refused_for_its_method_is_no_wrong_password(tmp_path: Path) -> None:
    """The login opened this stream and plays others: it goes on as it is, and so do they."""

    async def particular(_: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        if asked.method != "GET_PARAMETER":
            return True
        writer.write(render(401, asked, {"WWW-Authenticate": 'Digest realm="the device", nonce="n0"'}))
        return False

    device = Device("viewer", "s3cret", session=SHORT_SESSION, override=particular)
    breaker = Breaker(tmp_path / "breaker.sqlite", SystemClock())
    async with serve(device):
        request = StreamRequest(device.url(), LOGIN)
        stream = await open_stream(request, LOOPBACK, PATIENT, clock=SystemClock(), breaker=breaker)
        reading = asyncio.create_task(read(stream))
        await until(lambda: signs(device)[-2:] == ["OPTIONS", "OPTIONS"])
        assert not reading.done()
        other = await open_stream(request, LOOPBACK, PATIENT, clock=SystemClock(), breaker=breaker)
        assert await other.batch()
        await asyncio.gather(stream.close(), other.close())
        await reading
    breaker.close()


async def test_a_password_that_was_changed_is_not_found_out_by_each_stream_again(tmp_path: Path) -> None:
    device = Device("viewer", "s3cret", session=SHORT_SESSION)
    breaker = Breaker(tmp_path / "breaker.sqlite", SystemClock())
    async with serve(device):
        request = StreamRequest(device.url(), LOGIN)
        streams = []
        for _ in range(6):
            streams.append(await open_stream(request, LOOPBACK, PATIENT, clock=SystemClock(), breaker=breaker))
            heard = await streams[-1].batch()
            # Their signs of life come apart, as those of streams that began apart.
            while heard[-1].rtp_timestamp < 10 * TICKS:
                heard = await streams[-1].batch()
        device.password = "another"
        ended = await asyncio.gather(*(gathered(stream) for stream in streams))
        failed = device.failed_logins
    breaker.close()
    assert set(ended) == {StreamCause.UNAUTHORIZED, StreamCause.CREDENTIALS_HELD}
    assert failed == 2


async def gathered(stream: Stream) -> StreamCause:
    """Read to the end; return why it ended."""
    with pytest.raises(StreamError) as caught:
        async for _ in stream.frames():
            pass
    await stream.close()
    return caught.value.cause
