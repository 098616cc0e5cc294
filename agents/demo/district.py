"""The district that the demo plays: fictional institutions, and what is planted in each."""

from __future__ import annotations

from typing import Final

from agents.demo.institution import AGENT, RECORDER, Began, Camera, Institution, Plant, Town, Zone

GATE = Zone("gate", "entrance", "大门")
ROOM1 = Zone("room1", "play", "小一班活动室")
ROOM2 = Zone("room2", "play", "小二班活动室")
YARD = Zone("yard", "outdoor_play", "户外活动场地")

GATE_CAMERA = Camera("gate", 1, "gate", "大门")
ROOM1_CAMERA = Camera("room1", 2, "room1", "小一班")
YARD_CAMERA = Camera("yard", 3, "yard", "户外")
ROOM2_CAMERA = Camera("room2", 4, "room2", "小二班")

TWO_ZONES = (GATE, ROOM1)
TWO_CAMERAS = (GATE_CAMERA, ROOM1_CAMERA)

SONGLING = Town("songling", "松陵街道")
SHENGZE = Town("shengze", "盛泽镇")
LILI = Town("lili", "黎里镇")

DAHUA: Final = {"make": "dahua", "model": "DHI-NVR4216-4KS2", "firmware": "4.001.0000000.0"}

MORE_BITS: Final = {"rate": {"days_ago": 10, "kilobits_per_second": 1024}}

DISTRICT: Final[tuple[Institution, ...]] = (
    Institution(
        1, "春晖托育园", SONGLING, "一切正常，没有问题线索", "sound: nothing is to be found here",
        (GATE, ROOM1, YARD), (GATE_CAMERA, ROOM1_CAMERA, YARD_CAMERA),
    ),
    Institution(
        2, "青禾托育园", SHENGZE, "录像机只存35天：每个摄像头一条",
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
        7, "水杉托育园", LILI, "录像机时钟快了一小时", "the recorder's clock is an hour ahead",
        TWO_ZONES, TWO_CAMERAS,
        plants=(Plant("recorder_clock", "recorder", RECORDER, "off"),),
        recorder={"clock_offset_seconds": 3600},
    ),
    Institution(
        8, "知秋托育园", Town("tongli", "同里镇"), "录像机断电，网关有应答：一条线索",
        "the recorder dies, its gateway answers: one finding, the recorder's",
        TWO_ZONES, TWO_CAMERAS,
        plants=(Plant("uptime", "recorder", RECORDER, "unreachable", Began.EVENT, "die"),),
        events=({"at_seconds": 8, "do": "die"},),
    ),
    Institution(
        9, "银杏托育园", Town("bache", "八坼街道"), "录像机密码被改：未知过久",
        "the recorder's password is changed: unknown for too long",
        TWO_ZONES, TWO_CAMERAS,
        plants=(Plant("measurability", "recorder", RECORDER, "unmeasured", Began.EVENT, "change_password"),),
        events=({"at_seconds": 2, "do": "change_password", "password": "Changed-by-somebody-1"},),
    ),
    Institution(
        10, "稻香托育园", Town("hengshan", "横扇街道"), "录像机上有一个未申报的通道", "the recorder has a channel that nobody declared",
        TWO_ZONES, TWO_CAMERAS,
        plants=(Plant("undeclared_channel", "recorder", RECORDER, "found"),),
        stray_channels=({"id": 4, "name": "储物间"},),
        # Which channels there are is asked seldom while all is well: two looks have to lie within the minute.
        rhythm={"recorder_every": "2s"},
    ),
    Institution(
        11, "听橹托育园", Town("jiangling", "江陵街道"), "采集端被终止，不再上报", "the agent is killed and falls silent",
        TWO_ZONES, TWO_CAMERAS,
        plants=(Plant("agent_silence", "agent", AGENT, "silent", Began.KILLED),),
        agent_killed_at=12,
    ),
    Institution(
        12, "蒲公英托育园", SHENGZE, "镜头被遮挡、转动、失焦、播放旧画面",
        "its cameras are covered (for a while), turned, blurred, looped",
        (GATE, ROOM1, YARD, ROOM2), (GATE_CAMERA, ROOM1_CAMERA, YARD_CAMERA, ROOM2_CAMERA),
        plants=(
            Plant("view", "camera", "room1", "covered", Began.EVENT, "covered", "heal", channel=2),
            Plant("view", "camera", "yard", "moved", Began.EVENT, "moved", channel=3),
            Plant("view", "camera", "gate", "blurred", Began.EVENT, "blurred", channel=1),
            Plant("view", "camera", "room2", "looped", Began.EVENT, "looped", channel=4),
        ),
        events=(
            {"at_seconds": 5, "channel": 2, "do": "covered"},
            {"at_seconds": 28, "channel": 2, "do": "heal"},
            {"at_seconds": 7, "channel": 3, "do": "moved"},
            {"at_seconds": 9, "channel": 1, "do": "blurred"},
            {"at_seconds": 11, "channel": 4, "do": "looped"},
        ),
        # A recording that comes again is known by 24 marks, of which there are nearly two a second at this rate.
        recorder={"sub": {"fps": 7}},
        views_approved=True,
    ),
    Institution(
        13, "白鹭托育园", LILI, "大华录像机，目前正常；码率翻倍，将不足90天",
        "sound (a Dahua recorder); its bit rate doubled: soon under 90 days",
        TWO_ZONES, (Camera("gate", 1, "gate", "大门", MORE_BITS), Camera("room1", 2, "room1", "小一班", MORE_BITS)), recorder={**DAHUA, "disks": [{"id": 1, "capacity_mib": 1_150_000}]},
    ),
    Institution(
        14, "荷塘托育园", SONGLING, "大华录像机，运行中两块硬盘坏了一块", "one of the two disks of a Dahua recorder fails while it runs",
        TWO_ZONES, TWO_CAMERAS,
        plants=(Plant("storage_health", "recorder", RECORDER, "failed", Began.EVENT, "disk"),),
        recorder={**DAHUA, "disks": [{"id": 1}, {"id": 2}]},
        events=({"at_seconds": 3, "do": "disk", "disk": 2, "status": "error"},),
    ),
    Institution(
        15, "芦荡托育园", Town("zhenze", "震泽镇"), "运行中录像机被清空，此前的录像都没有了",
        "its recorder's storage is reset while it runs: what it held is gone",
        TWO_ZONES, TWO_CAMERAS,
        plants=(
            Plant("retention", "camera", "gate", "short", Began.EVENT, "erase", channel=1),
            Plant("retention", "camera", "room1", "short", Began.EVENT, "erase", channel=2),
        ),
        events=(
            {"at_seconds": 4, "channel": 1, "do": "erase", "span": {"days_ago": 96, "days": 96}},
            {"at_seconds": 4, "channel": 2, "do": "erase", "span": {"days_ago": 96, "days": 96}},
        ),
        rhythm={"far_edge_every": "5s"},
    ),
    Institution(
        16, "雁栖托育园", Town("bache", "八坼街道"), "最早几天的录像列得出、放不了",
        "its oldest footage is listed and doesn't play",
        TWO_ZONES, (Camera("gate", 1, "gate", "大门", {"unplayable": [{"days_ago": 95, "days": 10}]}, ("room1",)),),
        plants=(Plant("measurability", "camera", "gate", "unmeasured"),),
        rhythm={"proof_every": "4s"},
        always_quiet=True,
    ),
)  # fmt: skip
"""The towns are Wujiang's; the institutions are made up."""
