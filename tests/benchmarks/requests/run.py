"""A virtual day of a healthy recorder of one make, asked as the service asks it, and every request counted by its simulator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from agents.recorders.base import RecorderError
from agents.scan.recorder import Channelled, RecorderScan
from agents.scan.settings import SettingsScan
from agents.simulators.camera import Camera
from agents.simulators.footage import Footage, Segment
from agents.simulators.recorder import Channel, RecorderState
from agents.site_file import Rhythm
from monitor.model.clock import ManualClock
from monitor.model.observation import Observation
from monitor.model.span import HOUR
from support.recorder_rigs import Rig, assert_manners, driver_of
from support.replies import at_the_level_of_replies
from support.rounds import rounds_over

NOON = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)
REQUIRED_DAYS = 90
MORE_DAYS = 5
"""Held beyond the required days."""

DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Requests:
    """What a recorder saw: questions, and all requests on the wire, the login challenges of these questions among them."""

    questions: int = 0
    wire: int = 0

    def __add__(self, other: Requests) -> Requests:
        """Return both together."""
        return Requests(self.questions + other.questions, self.wire + other.wire)

    def __sub__(self, other: Requests) -> Requests:
        """Return what came since `other` was counted."""
        return Requests(self.questions - other.questions, self.wire - other.wire)


@dataclass(frozen=True)
class Counted:
    """How often a recorder was asked in one day."""

    make: str
    channels: int
    hours: int
    look: Requests
    settings: Requests
    index: Requests
    first_scan: Requests
    """To read everything once."""

    @property
    def day(self) -> Requests:
        """Return all that was asked after the first scan."""
        return self.look + self.settings + self.index

    def a_channel_and_hour(self, count: int) -> float:
        """Return how many of `count` fall on each channel and hour."""
        return count / self.channels / self.hours


def recorder_of(channels: int, clock: ManualClock, held_days: int) -> RecorderState:
    """Return a recorder that has recorded all its channels for `held_days` in files of an hour, and goes on."""

    def now() -> float:
        return clock.now().timestamp()

    begun = now() - held_days * DAY_SECONDS
    listed = []
    for number in range(1, channels + 1):
        files = [Segment(begun + hour * 3600.0, begun + (hour + 1) * 3600.0) for hour in range(held_days * 24)]
        footage = Footage(files, lag_seconds=30, keep_seconds=held_days * DAY_SECONDS)
        footage.start(now())
        listed.append(Channel(number, f"camera {number}", Camera(number, now=now), footage))
    return RecorderState(listed, now=now)


async def counted(
    rig: Rig, folder: Path, channels: int, hours: int = 24, required_days: int = REQUIRED_DAYS
) -> Counted:
    """Ask a recorder for a day by the service's default rhythm, its streams all up; return what was counted."""
    clock = ManualClock(NOON)
    simulator = rig.simulator(recorder_of(channels, clock, required_days + MORE_DAYS))
    driver = driver_of(rig, simulator, folder, clock, timezone=ZoneInfo("Asia/Shanghai"))
    at_the_level_of_replies(driver, simulator, clock, login=True)
    rhythm = Rhythm()
    seen: list[Observation] = []
    named = [Channelled(f"c{item.id}", str(item.id)) for item in simulator.state.channels]
    scan = RecorderScan("nvr", driver, named, clock, seen.append)
    settings = SettingsScan("nvr", driver, named, clock, seen.append, listing=scan.channels_lately)
    spent = dict.fromkeys(("look", "settings", "index"), Requests())

    def asked() -> Requests:
        # A login inside a message that was taken is counted beside the message.
        wire = sum(count for kind, count in simulator.requests.items() if kind != "token_ok")
        challenges = sum(count for kind, count in simulator.requests.items() if kind.startswith(("401_", "token_m")))
        return Requests(wire - challenges, wire)

    try:
        with rounds_over(scan, clock, seen, folder / rig.driver, zone="Asia/Shanghai") as rounds:
            await scan.look()
            before = asked()
            assert await rounds.round(required_days)
            first = asked() - before
            for minute in range(15, hours * 60 + 1, 15):
                clock.advance(900)
                for name, every, ask in (
                    ("look", rhythm.recorder_every, lambda: scan.look(every=rhythm.recorder_every, calm=True)),
                    ("settings", rhythm.settings_every, settings.ask),
                    ("index", rhythm.index_every, lambda: rounds.round(required_days, calm=lambda _: True, every=HOUR)),
                ):
                    if minute * 60 % every == 0:
                        before = asked()
                        await ask()
                        spent[name] += asked() - before
    except RecorderError as error:
        raise AssertionError(f"{rig.driver}: {error.detail}") from error
    finally:
        await driver.close()
    assert_manners(simulator.stats())
    return Counted(rig.driver, channels, hours, first_scan=first, **spent)
