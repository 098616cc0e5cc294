"""One rig for each make whose recorder can be simulated: its driver, its simulator, and how to withhold a right."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agents.recorders.base import Recorder
from agents.recorders.registry import DRIVERS
from agents.simulators.dahua import DahuaQuirks, DahuaSimulator
from agents.simulators.hikvision import HikvisionSimulator
from agents.simulators.onvif import OnvifQuirks, OnvifSimulator
from agents.simulators.recorder import Quirks, RecorderState
from agents.simulators.uniview import UniviewQuirks, UniviewSimulator
from monitor.model.clock import Clock
from support.recorder_http import recorder_settings


@dataclass(frozen=True)
class Rig:
    """How to test one make."""

    driver: str
    simulator: Callable[[RecorderState], Any]
    """Makes a simulator whose answers come at once."""
    forbid_search: Callable[[Any], None]
    """Withholds the right to search, and that alone."""
    refusal: str
    """The whole sentence to a missing right; `{host}` and `{user}` stand for both."""
    offers: frozenset[str] = field(default_factory=frozenset)
    """The questions that this make has an answer to, of those that not all makes do."""
    lacks: frozenset[str] = field(default_factory=frozenset)
    """What this make alone has no word for, of what all others tell: `disks`, whether channels are `online`, `locks`."""


def _hikvision(state: RecorderState) -> HikvisionSimulator:
    return HikvisionSimulator(dataclasses.replace(state, quirks=dataclasses.replace(state.quirks, search_seconds=0)))


def _forbid_hikvision(simulator: HikvisionSimulator) -> None:
    simulator.state.quirks = Quirks(forbidden_paths=("/ISAPI/ContentMgmt/search", "/ISAPI/ContentMgmt/record"))


def _dahua(state: RecorderState) -> DahuaSimulator:
    return DahuaSimulator(state, DahuaQuirks(search_seconds=0))


def _forbid_dahua(simulator: DahuaSimulator) -> None:
    simulator.quirks.forbidden = ("mediaFileFind.cgi",)


def _uniview(state: RecorderState) -> UniviewSimulator:
    return UniviewSimulator(state, UniviewQuirks(search_seconds=0))


def _forbid_uniview(simulator: UniviewSimulator) -> None:
    simulator.quirks.forbidden_paths = tuple(f"Channels/{one.id}/Media" for one in simulator.state.channels)


def _onvif(state: RecorderState) -> OnvifSimulator:
    # The login inside messages, of the two that there are: the other is the one of all other makes.
    return OnvifSimulator(state, OnvifQuirks(login="token", offered=("tds", "trt", "tse", "trc", "trp")))


def _forbid_onvif(simulator: OnvifSimulator) -> None:
    simulator.quirks.forbidden = ("FindRecordings", "FindEvents")


EVERYTHING = frozenset({"recording_modes", "expiry_days", "time_sync", "alarm_inputs", "fault_notices", "storage_mode"})
HIKVISION_ALONE = frozenset({"fault_notices", "storage_mode"})
ONVIF = frozenset({"expiry_days", "time_sync"})

HIKVISION_REFUSES = (
    "User {user} may not ask this of {host} (lowPrivilege): "
    "give it the right 'Remote: Playback' under System > User Management."
)
DAHUA_REFUSES = (
    "User {user} may not ask this of {host}: give it the right System > Account: 'Playback' of the channel; "
    "older firmware may lack it."
)
UNIVIEW_REFUSES = (
    "User {user} may not ask this of {host} (Not Authorized): under System > User give it the rights of playback and of "
    "parameter configuration; firmware that answers its own web pages only can't be asked by this driver."
)
ONVIF_REFUSES = (
    "User {user} may not ask {host} about recordings (Profile G) (not permitted for this user): many recorders keep "
    "ONVIF users of their own (on Hikvision Network > Advanced > Integration Protocol, or System > System Service > ONVIF); "
    "give it the level Operator."
)

RIGS: tuple[Rig, ...] = (
    Rig("hikvision", _hikvision, _forbid_hikvision, HIKVISION_REFUSES, EVERYTHING - {"expiry_days"}),
    Rig("dahua", _dahua, _forbid_dahua, DAHUA_REFUSES, EVERYTHING - HIKVISION_ALONE),
    Rig("uniview", _uniview, _forbid_uniview, UNIVIEW_REFUSES, frozenset({"recording_modes", "time_sync"})),
    Rig("onvif", _onvif, _forbid_onvif, ONVIF_REFUSES, ONVIF, frozenset({"disks", "online", "locks"})),
)


def driver_of(rig: Rig, simulator: Any, folder: Path, clock: Clock, **changes: Any) -> Recorder:
    """Return the rig's driver for a running simulator, knowing its password unless told otherwise."""
    settings = recorder_settings(
        folder,
        simulator.url,
        **{
            "driver": rig.driver,
            "clock": clock,
            "username": simulator.state.username,
            "password": simulator.state.password,
            "timezone": ZoneInfo(simulator.state.timezone),
            "rtsp_port": simulator.rtsp.port or 554,
            "ports": frozenset({simulator.web.port or 80}),
            **changes,
        },
    )
    return DRIVERS[rig.driver](settings)


@asynccontextmanager
async def running(
    rig: Rig, state: RecorderState, folder: Path, clock: Clock, **changes: Any
) -> AsyncIterator[tuple[Any, Recorder]]:
    """Run a simulated recorder and a driver; at the end the simulator says whether the driver kept its manners."""
    async with rig.simulator(state) as simulator:
        driver = driver_of(rig, simulator, folder, clock, **changes)
        try:
            yield simulator, driver
        finally:
            await driver.close()
        assert_manners(simulator.stats())


RUDE = ("concurrent_searches", "repeated_refusals", "attempts_while_locked", "open_finders", "abandoned_finders", "unknown_handles", "destroyed_unclosed", "refused_pages", "open_searches", "abandoned_searches")  # fmt: skip


def assert_manners(stats: dict[str, int]) -> None:
    """Fail when a recorder counted what no driver may do."""
    assert {name: stats[name] for name in RUDE if stats.get(name)} == {}
