"""Recorders whose http port sends everybody elsewhere: their own https is followed and pinned, nothing else is."""

import time
from contextlib import suppress
from pathlib import Path

import pytest

from agents.pins import Pins
from agents.recorders.base import RecorderError
from agents.simulators.camera import Camera
from agents.simulators.footage import Footage, Segment
from agents.simulators.recorder import Channel, RecorderState, Redirect
from monitor.model.clock import SystemClock
from monitor.model.span import Millis, Spans
from support.recorder_rigs import RIGS, Rig, driver_of, running

CLOCK = SystemClock()
EACH_MAKE = pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.driver)


def recorder(redirect: Redirect) -> tuple[RecorderState, Millis, Millis]:
    """Return a recorder that holds three hours of one channel, and their start and end."""
    end = int(time.time()) - 3600
    start = end - 3 * 3600
    footage = Footage([Segment(start, end)], lag_seconds=0)
    channels = [Channel(1, "gate", Camera(1), footage, live=False)]
    return RecorderState(channels, redirect=redirect), start * 1000, end * 1000


@EACH_MAKE
async def test_its_own_https_is_followed_and_its_certificate_pinned_over_restarts(rig: Rig, tmp_path: Path) -> None:
    state, start, end = recorder("https")
    pins = Pins(tmp_path / "pins.sqlite")
    async with running(rig, state, tmp_path, CLOCK, fingerprint_seen=lambda seen: pins.keep("nvr", seen)) as (
        simulator,
        driver,
    ):
        (channel,) = await driver.channels()
        assert (await driver.footage(channel.id, start, end)).spans == Spans.window(start, end)
        pinned = pins.get("nvr")
        assert pinned is not None
        again = driver_of(rig, simulator, tmp_path, CLOCK, tls_fingerprint=pinned)
        assert (await again.identity()).model == state.model
        await again.close()
        assert (simulator.stats()["http_redirected"], simulator.stats()["http_redirected_login"]) == (2, 0)

        simulator.renew_certificate()
        before = simulator.stats()
        another = driver_of(rig, simulator, tmp_path, CLOCK, tls_fingerprint=pinned)
        for question in (another.identity(), another.footage(channel.id, start, end)):
            with pytest.raises(RecorderError, match="is not the known one") as refused:
                await question
            assert refused.value.cause == "recorder"
        await another.close()
        pins.close()
        after = simulator.stats()
        assert {name for name in after if after[name] != before[name]} == {"http_redirected"}


@EACH_MAKE
@pytest.mark.parametrize("redirect", ["elsewhere", "http", "circle"])
async def test_no_other_redirect_is_followed_and_no_login_goes_to_it(
    rig: Rig, redirect: Redirect, tmp_path: Path
) -> None:
    state, start, end = recorder(redirect)
    async with running(rig, state, tmp_path, CLOCK) as (simulator, driver):
        words = "redirects in circles" if redirect == "circle" else "another place than its own https address"
        for question in (driver.identity(), driver.channels(), driver.footage("1", start, end)):
            with pytest.raises(RecorderError, match=words) as error:
                await question
            assert "`url`" in error.value.detail
        stats = simulator.stats()
        assert (stats["http_redirected_login"], stats["good_logins"], stats["failed_logins"]) == (0, 0, 0)


@EACH_MAKE
async def test_https_that_is_switched_off_again_is_forgotten(rig: Rig, tmp_path: Path) -> None:
    state, _, _ = recorder("https")
    async with running(rig, state, tmp_path, CLOCK) as (simulator, driver):
        assert (await driver.identity()).model == state.model
        await simulator.web.die()
        simulator.front.handler = simulator.web.handler
        with suppress(RecorderError):  # a question that found nobody any more
            await driver.identity()
        assert (await driver.identity()).model == state.model
