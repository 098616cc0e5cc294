"""What there is to watch: the devices that answer on the site's networks, and each recorder's own list of channels."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, count
from typing import Any

from agents.recorders.base import Channel, Recorder, RecorderError
from agents.recorders.ws_discovery import PROBED_VERSION, Device
from agents.recorders.ws_discovery import discover as probe
from agents.site import Site
from agents.site_file import Network, is_channel
from monitor.model.counted import counted

SCHEMA = "cradlewatch.discover/1"
NAME_LENGTH = 200
"""So long may a name in site.yaml be."""

ID_LENGTH = 56
"""So long may an id in site.yaml be, with room for a number behind it."""

Probe = Callable[[Sequence[Network]], Awaitable[tuple[Device, ...]]]


@dataclass(frozen=True)
class Listed:
    """A channel, and the camera of site.yaml that it is; None: the site doesn't declare it."""

    channel: Channel
    declared_as: str | None


@dataclass(frozen=True)
class Asked:
    """What one recorder lists, or why it doesn't."""

    recorder: str
    driver: str
    channels: tuple[Listed, ...]
    error: str | None


@dataclass(frozen=True)
class Discovered:
    """All that was found."""

    devices: tuple[Device, ...]
    device_error: str | None
    recorders: tuple[Asked, ...]


async def discover(
    networks: Sequence[Network], site: Site | None, drivers: dict[str, Recorder], probe_networks: Probe = probe
) -> Discovered:
    """Look for devices on `networks`, and ask each recorder of `site` for its channels, all at once."""
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(_devices(networks, probe_networks))
        asking = [group.create_task(_asked(site, *item)) for item in drivers.items()] if site is not None else []
    devices, error = looking.result()
    return Discovered(devices, error, tuple(one.result() for one in asking))


async def _devices(networks: Sequence[Network], probe_networks: Probe) -> tuple[tuple[Device, ...], str | None]:
    if all(network.version != PROBED_VERSION for network in networks):
        return (), "devices can't be looked for: the probe goes by IPv4, and all networks are IPv6"
    try:
        return await probe_networks(networks), None
    except OSError as error:
        return (), f"devices can't be looked for: {error.strerror or error}"


async def _asked(site: Site, recorder_id: str, driver: Recorder) -> Asked:
    config = site.recorder(recorder_id)
    make = config.driver if config is not None else ""
    try:
        channels = await driver.channels()
    except RecorderError as error:
        return Asked(recorder_id, make, (), error.detail)
    declared = {camera.channel or camera.id: camera.id for camera in site.cameras_of(recorder_id)}
    return Asked(recorder_id, make, tuple(Listed(one, declared.get(one.id)) for one in channels), None)


def as_json(found: Discovered) -> str:
    """Return cradlewatch.discover/1."""
    recorders = [
        {
            "id": one.recorder,
            "driver": one.driver,
            "error": one.error,
            "channels": [_plain(item) for item in one.channels],
        }
        for one in found.recorders
    ]
    whole = {
        "schema": SCHEMA,
        "devices": [asdict(device) for device in found.devices],
        "device_error": found.device_error,
        "recorders": recorders,
    }
    return json.dumps(whole, ensure_ascii=False, indent=2)


def _plain(item: Listed) -> dict[str, Any]:
    channel = item.channel
    behind = asdict(channel.behind) if channel.behind is not None else None
    return {
        "id": channel.id,
        "name": channel.name,
        "online": channel.online,
        "declared_as": item.declared_as,
        "behind": behind,
    }


def as_yaml(found: Discovered, declared: Iterable[str] = ()) -> str:
    """Return text to paste into site.yaml: a camera for each channel that isn't declared, with an id of its own.

    `declared` are the ids that the site's cameras have. What is no declaration is a comment: devices, errors, and
    channels that site.yaml can't name. A channel's zone only people know: it is left to be filled in.
    """
    new = {(one.recorder, item.channel.id): item for one in found.recorders for item in one.channels}
    ids = set(declared)
    lines = [f"# {_said(one)}" for one in found.recorders]
    entries = [
        _entry(recorder, item.channel, ids)
        for (recorder, channel), item in new.items()
        if item.declared_as is None and is_channel(channel)
    ]
    if entries:
        lines += ["cameras:  # put these below the `cameras:` that is there; zones: the rooms that each one watches"]
        lines += entries
    lines += [
        f"# recorder {recorder} lists a channel that site.yaml can't name: {_one_line(channel)[:NAME_LENGTH]}"
        for recorder, channel in new
        if not is_channel(channel)
    ]
    for device in found.devices:
        named = " ".join(filter(None, (device.hardware, device.name)))
        lines.append(f"# ONVIF device at {_one_line(device.url)}{': ' if named else ''}{_one_line(named)}")
    if found.device_error is not None:
        lines.append(f"# {_one_line(found.device_error)}")
    elif not found.devices:
        lines.append("# no ONVIF device answered in these networks")
    return "\n".join(lines) + "\n"


def _said(one: Asked) -> str:
    if one.error is not None:
        return f"recorder {one.recorder}: {_one_line(one.error)}"
    new = sum(item.declared_as is None for item in one.channels)
    return f"recorder {one.recorder}: {counted(len(one.channels), 'channel')}, {new} of them not in site.yaml"


def _entry(recorder: str, channel: Channel, ids: set[str]) -> str:
    """Return one camera in YAML's flow form (JSON's texts are YAML's too), and add its id to `ids`."""
    told = {True: "on line", False: "off line", None: ""}[channel.online]
    behind = channel.behind
    about = [told, *([behind.model, behind.address, behind.identity] if behind is not None else [])]
    comment = _one_line(", ".join(filter(None, about)))[:NAME_LENGTH]
    identity = behind.identity if behind is not None else ""
    # Another text than the recorder's would be another camera's.
    is_whole = identity == _one_line(identity) and 0 < len(identity) <= NAME_LENGTH
    pinned = f", identity: {_text(identity)}" if is_whole else ""
    camera_id = _free_id(recorder, channel.id, ids)
    ids.add(camera_id)
    fields = f"id: {_text(camera_id)}, name: {_text(_one_line(channel.name)[:NAME_LENGTH])}, zones: []"
    entry = f"  - {{{fields}, recorder: {_text(recorder)}, channel: {_text(channel.id)}{pinned}}}"
    return f"{entry}{'  # ' if comment else ''}{comment}"


def _free_id(recorder: str, channel: str, ids: set[str]) -> str:
    """Return RECORDER-CHANNEL as an id, with a number behind it where another camera has that one."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", channel).strip("-") or "channel"
    wanted = f"{recorder}-{plain}"[:ID_LENGTH]
    further = (f"{wanted}-{number}" for number in count(2))
    return next(one for one in chain((wanted,), further) if one not in ids)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _one_line(text: str) -> str:
    """Return a device's text on one line, so that nothing of it can become a declaration."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
