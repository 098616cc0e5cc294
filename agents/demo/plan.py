"""From the district to what the real commands are given: the simulators' script and each site.yaml."""

from __future__ import annotations

from collections.abc import Iterable

import yaml

from agents.demo.institution import PACK, RECORDER, Institution, Json

USERNAME = "compliance"
PASSWORD_FILE = "nvr.password"  # noqa: S105  (a file's name)

RHYTHM = {
    "look_every": "2s",
    "reach_every": "3s",
    "recorder_every": "5s",
    "settings_every": "30s",
    "index_every": "10s",
    "report_every": "2s",
    "reconnect_most": "2s",
    "assignment_every": "60s",
}
"""A minute has to show what a day shows elsewhere."""

SEGMENT_MINUTES = [420, 540]
"""At 300 kb/s, an H.265 stream of a quiet room, a file of 1 GiB lasts eight hours: some 285 in 95 days a camera."""


def script(district: Iterable[Institution], password: str) -> Json:
    """Return the simulators' script: every recorder and gateway, and what happens to them."""
    items = tuple(district)
    return {
        "recorders": [_recorder(item, password) for item in items],
        "gateways": [{"id": f"{item.id}/router", "listen": f"127.8.{item.number}.1:0"} for item in items],
        "timeline": [{**event, "recorder": item.device} for item in items for event in item.events],
    }


def _recorder(item: Institution, password: str) -> Json:
    declared = [{"id": camera.channel, "name": camera.name, **camera.recorded} for camera in item.cameras]
    return {
        "id": item.device,
        "http": f"127.8.{item.number}.10:0",
        "rtsp": f"127.8.{item.number}.10:0",
        "username": USERNAME,
        "password": password,
        "days_held": 95,
        "segment_minutes": SEGMENT_MINUTES,
        **item.recorder,
        "channels": [*declared, *item.stray_channels],
    }


def site_file(item: Institution, ready: Json) -> str:
    """Return an institution's site.yaml, where the simulators listen as their line `ready` says."""
    device = ready["recorders"][item.device]
    quiet = {"quiet_hours": ["00:00-12:00", "12:00-00:00"]} if item.always_quiet else {}
    site = {
        "institution": {"id": item.id, "name": item.full_name, "timezone": "Asia/Shanghai"},
        "regulation": PACK,
        "networks": [f"127.8.{item.number}.0/24"],
        "gateway": ready["gateways"][f"{item.id}/router"],
        "hours": {"open": "07:30", "close": "18:00"},
        "recorders": [
            {
                "id": RECORDER,
                "name": "录像机",
                "driver": item.make,
                "url": device["url"],
                "username": USERNAME,
                "password_file": PASSWORD_FILE,
                **quiet,
            }
        ],
        "zones": [{"id": zone.id, "room": zone.room, "name": zone.name} for zone in item.zones],
        "cameras": [
            {
                "id": camera.id,
                "name": camera.name,
                "zones": [camera.zone, *camera.sees_too],
                "recorder": RECORDER,
                "channel": camera.channel,
                "stream": device["channels"][str(camera.channel)]["sub"],
            }
            for camera in item.cameras
        ],
        "rhythm": {**RHYTHM, **item.rhythm},
    }
    return yaml.safe_dump(site, allow_unicode=True, sort_keys=False)
