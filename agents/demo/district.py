"""The district that the demo plays: fictional institutions, and what is planted in each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

Json = dict[str, Any]

RECORDER: Final = "nvr"
"""The id of every institution's one recorder."""
AGENT: Final = "box"
"""The id of every institution's one agent."""


PACK: Final = "demo-nursery"
"""The regulation: Wujiang's, with timings of seconds."""
DIVISION_CODE: Final = "320509"
"""Wujiang District, Suzhou (GB/T 2260)."""


class Began(StrEnum):
    """Which fact tells when a planted fault began."""

    FIRST_LOOK = "first look"
    """It was so before anybody looked: it begins at the agent's first look."""
    HOLE = "hole"
    """When the footage stops, as the simulators tell of their index."""
    EVENT = "event"
    """When the simulators did it."""
    KILLED = "killed"
    """When the demo killed the agent."""


@dataclass(frozen=True)
class Plant:
    """What has to be found of one fault: exactly this, and once."""

    requirement: str
    kind: str
    id: str
    state: str
    began: Began = Began.FIRST_LOOK
    do: str = ""
    """The event that begins it, when an event does."""
    healed_by: str = ""
    """The event that ends it; empty: it stays."""
    channel: int | None = None
    """The recorder's channel that it happens to; None: the recorder itself, or none."""


@dataclass(frozen=True)
class Town:
    """A town or street of the district."""

    spelling: str
    name: str

    @property
    def code(self) -> str:
        """Return a code below the district's: the demo's own, for towns are told apart by name here."""
        return f"{DIVISION_CODE}-{self.spelling}"


@dataclass(frozen=True)
class Zone:
    """A zone of an institution."""

    id: str
    room: str
    name: str


@dataclass(frozen=True)
class Camera:
    """A camera on the recorder's channel of the same number."""

    id: str
    channel: int
    zone: str
    name: str
    recorded: Json = field(default_factory=dict)
    """What its channel holds, where that differs from the recorder's 95 days (keys of the simulators' script)."""


@dataclass(frozen=True)
class Institution:
    """One institution with its devices and its fault."""

    number: int
    name: str
    town: Town
    planted_zh: str
    planted_en: str
    zones: tuple[Zone, ...]
    cameras: tuple[Camera, ...]
    plants: tuple[Plant, ...] = ()
    recorder: Json = field(default_factory=dict)
    """What is different about its recorder (keys of the simulators' script)."""
    stray_channels: tuple[Json, ...] = ()
    """Channels that the recorder has and site.yaml doesn't."""
    events: tuple[Json, ...] = ()
    """What happens to its devices, in seconds after the start: at_seconds, do, and channel for a camera's."""
    agent_killed_at: float | None = None
    """When its agent is killed, in seconds after the start."""

    @property
    def id(self) -> str:
        """Return its id in the register."""
        return f"wj-{self.number:04d}"

    @property
    def device(self) -> str:
        """Return its recorder's name among the simulators."""
        return f"{self.id}/{RECORDER}"

    @property
    def full_name(self) -> str:
        """Return the town with the name, as the register has it."""
        return f"{self.town.name}{self.name}"


GATE = Zone("gate", "entrance", "大门")
ROOM1 = Zone("room1", "play", "小一班活动室")
ROOM2 = Zone("room2", "play", "小二班活动室")
YARD = Zone("yard", "outdoor_play", "户外活动场地")

GATE_CAMERA = Camera("gate", 1, "gate", "大门")
ROOM1_CAMERA = Camera("room1", 2, "room1", "小一班")
YARD_CAMERA = Camera("yard", 3, "yard", "户外")

TWO_ZONES = (GATE, ROOM1)
TWO_CAMERAS = (GATE_CAMERA, ROOM1_CAMERA)

DISTRICT: Final[tuple[Institution, ...]] = (
    Institution(
        1, "春晖托育园", Town("songling", "松陵街道"), "一切正常，没有问题线索", "sound: nothing is to be found here",
        (GATE, ROOM1, YARD), (GATE_CAMERA, ROOM1_CAMERA, YARD_CAMERA),
    ),
    Institution(
        2, "青禾托育园", Town("shengze", "盛泽镇"), "录像机只存了35天，两个摄像头各一条线索",
        "the recorder holds 35 days: one finding for each of its two cameras",
        TWO_ZONES, TWO_CAMERAS,
        plants=(
            Plant("retention", "camera", "gate", "short"),
            Plant("retention", "camera", "room1", "short"),
        ),
        recorder={"days_held": 35},
    ),
    Institution(
        3, "桑梓托育园", Town("zhenze", "震泽镇"), "小一班的录像在50天前缺了三天", "50 days ago three days of room1's footage are missing",
        TWO_ZONES, (GATE_CAMERA, Camera("room1", 2, "room1", "小一班", {"holes": [{"days_ago": 50, "days": 3}]})),
        plants=(Plant("retention", "camera", "room1", "gap", Began.HOLE, channel=2),),
    ),
    Institution(
        4, "启明托育园", Town("pingwang", "平望镇"), "运行中小一班的画面变黑", "room1's picture turns black while it runs",
        TWO_ZONES, TWO_CAMERAS,
        plants=(Plant("view", "camera", "room1", "black", Began.EVENT, "black", channel=2),),
        events=({"at_seconds": 4, "channel": 2, "do": "black"},),
    ),
    Institution(
        5, "桃源里托育园", Town("taoyuan", "桃源镇"), "大门的码流中断后又恢复，线索自行结束", "the gate's stream dies and returns: the finding ends",
        TWO_ZONES, TWO_CAMERAS,
        plants=(Plant("uptime", "camera", "gate", "down", Began.EVENT, "dead", "heal", channel=1),),
        events=({"at_seconds": 6, "channel": 1, "do": "dead"}, {"at_seconds": 22, "channel": 1, "do": "heal"}),
    ),
    Institution(
        6, "湖畔托育园", Town("qidu", "七都镇"), "小二班活动室没有摄像头", "the activity room room2 has no camera",
        (GATE, ROOM1, ROOM2), TWO_CAMERAS,
        plants=(Plant("zone_coverage", "zone", "room2", "no_camera"),),
    ),
    Institution(
        7, "水杉托育园", Town("lili", "黎里镇"), "录像机时钟快了一小时", "the recorder's clock is an hour ahead",
        TWO_ZONES, TWO_CAMERAS,
        plants=(Plant("recorder_clock", "recorder", RECORDER, "off"),),
        recorder={"clock_offset_seconds": 3600},
    ),
    Institution(
        8, "知秋托育园", Town("tongli", "同里镇"), "录像机断电，网关仍有应答：只有录像机一条线索",
        "the recorder dies while its gateway answers: one finding, on the recorder",
        TWO_ZONES, TWO_CAMERAS,
        plants=(Plant("uptime", "recorder", RECORDER, "unreachable", Began.EVENT, "die"),),
        events=({"at_seconds": 8, "do": "die"},),
    ),
    Institution(
        9, "银杏托育园", Town("bache", "八坼街道"), "录像机密码被改：先是未知，超时后为“状态不可核查”",
        "the recorder's password is changed: unknown first, then not measurable for too long",
        TWO_ZONES, TWO_CAMERAS,
        plants=(Plant("measurability", "recorder", RECORDER, "unmeasured", Began.EVENT, "change_password"),),
        events=({"at_seconds": 2, "do": "change_password", "password": "Changed-by-somebody-1"},),
    ),
    Institution(
        10, "稻香托育园", Town("hengshan", "横扇街道"), "录像机上有一个未申报的通道", "the recorder has a channel that nobody declared",
        TWO_ZONES, TWO_CAMERAS,
        plants=(Plant("undeclared_channel", "recorder", RECORDER, "found"),),
        stray_channels=({"id": 4, "name": "储物间"},),
    ),
    Institution(
        11, "听橹托育园", Town("jiangling", "江陵街道"), "采集端被终止，不再上报", "the agent is killed and falls silent",
        TWO_ZONES, TWO_CAMERAS,
        plants=(Plant("agent_silence", "agent", AGENT, "silent", Began.KILLED),),
        agent_killed_at=12,
    ),
)  # fmt: skip
"""The towns are Wujiang's; the institutions are made up."""
