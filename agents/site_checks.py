"""What site.yaml's parts must be to each other: ids once, references that exist, addresses inside the networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from agents.recorders.registry import DRIVERS
from agents.recorders.settings import OptionsError
from agents.rtsp.address import AddressBook
from agents.site_file import CameraForm, RecorderForm, SiteForm, is_address, split_url
from monitor.model.facts import inventory_troubles, trouble
from monitor.model.inventory import WITHOUT_ADDRESS, Inventory
from monitor.model.observation import Kind

Key = tuple[str | int, ...]
Found = tuple[Key, str]
CheckOptions = Callable[[str, str, Mapping[str, Any]], None]
"""Checks (recorder id, driver, options); raises OptionsError with a sentence that begins with "recorder ID: "."""

LOCAL_DRIVERS = WITHOUT_ADDRESS
"""Drivers that ask no device: they need no url, and serve no stream."""


def check_driver(recorder_id: str, driver: str, options: Mapping[str, Any]) -> None:
    """Check a recorder's driver and its options by the registry. Raises OptionsError."""
    if driver not in DRIVERS:
        raise OptionsError(f"recorder {recorder_id}: unknown driver; there are {', '.join(sorted(DRIVERS))}")
    DRIVERS[driver].check(recorder_id, options)


def check_site(form: SiteForm, check_options: CheckOptions) -> Iterator[Found]:
    """Yield what is wrong between the parts: (key, sentence)."""
    addresses = AddressBook(form.networks)
    for name, items in (("recorders", form.recorders), ("zones", form.zones), ("cameras", form.cameras)):
        yield from _twice(name, [item.id for item in items])
    for index, recorder in enumerate(form.recorders):
        key: Key = ("recorders", index)
        yield from _recorder(key, recorder, check_options)
        yield from _address((*key, "url"), recorder.url, ("http", "https"), addresses)
    for index, camera in enumerate(form.cameras):
        key = ("cameras", index)
        yield from _camera(key, camera, form)
        for name, url in (("stream", camera.stream), ("main_stream", camera.main_stream)):
            yield from _address((*key, name), url, ("rtsp", "rtsps"), addresses)
    yield from _channels(form)
    if form.gateway is not None:
        yield from _inside(("gateway",), form.gateway.host, addresses)
    for index, nap in enumerate(form.naps):
        if nap.to <= nap.start:
            yield ("naps", index), "to must be later than from on the same day"


def undeclarable(inventory: Inventory) -> Iterator[Found]:
    """Yield what of a declaration can't travel: no report could tell the collector what the institution has."""
    facts = inventory.model_dump(mode="json", by_alias=True)
    if trouble(Kind.INVENTORY, facts) is not None:
        yield from inventory_troubles(facts)


def _twice(name: str, ids: list[str]) -> Iterator[Found]:
    for index, item in enumerate(ids):
        if item in ids[:index]:
            yield (name, index, "id"), f"{item} is also the id of {name}[{ids.index(item)}]: give each its own"


def _recorder(key: Key, recorder: RecorderForm, check_options: CheckOptions) -> Iterator[Found]:
    options = dict(recorder.model_extra or {})
    if recorder.driver not in LOCAL_DRIVERS and recorder.url is None:
        yield key, f"driver {recorder.driver} needs a url: add it like http://192.0.2.10"
    try:
        check_options(recorder.id, recorder.driver, options)
    except OptionsError as error:
        text = str(error).removeprefix(f"recorder {recorder.id}: ")
        named = [name for name in (*options, "driver") if repr(name) in text or f" {name};" in text]
        at = (*key, *named[:1])
        yield at, text.removeprefix(f"key {at[-1]!r}: ")  # the place names it


def _camera(key: Key, camera: CameraForm, form: SiteForm) -> Iterator[Found]:
    zones = {zone.id for zone in form.zones}
    for index, zone in enumerate(camera.zones):
        if zone not in zones:
            yield (*key, "zones", index), f"there is no zone {zone}: declare it under zones, or correct the name"
        elif zone in camera.zones[:index]:
            yield (*key, "zones", index), f"names zone {zone} twice: keep one of them"
    recorders = {recorder.id for recorder in form.recorders}
    if camera.recorder is not None and camera.recorder not in recorders:
        there = f"there is no recorder {camera.recorder}"
        yield (*key, "recorder"), f"{there}: declare it under recorders, or correct the name"
    if camera.recorder is None and camera.stream is None:
        yield key, "has neither a stream nor a recorder: add one, there is nothing to look at"
    if camera.recorder is None and camera.channel is not None:
        yield (*key, "channel"), "needs a recorder: a channel is one of a recorder's"


def channel_of(camera: CameraForm, recorders: Iterable[RecorderForm]) -> str | None:
    """Return a camera's channel as its recorder's driver lists it; None where none is written."""
    if camera.channel is None:
        return None
    makes = (DRIVERS[item.driver] for item in recorders if item.id == camera.recorder and item.driver in DRIVERS)
    make = next(makes, None)
    return camera.channel if make is None else make.channel(camera.channel)


def _channels(form: SiteForm) -> Iterator[Found]:
    first: dict[tuple[str, str], str] = {}
    for index, camera in enumerate(form.cameras):
        channel = channel_of(camera, form.recorders)
        if camera.recorder is None or channel is None:
            continue
        other = first.setdefault((camera.recorder, channel), camera.id)
        if other != camera.id:
            text = f"channel {camera.channel} of recorder {camera.recorder} is already camera {other}: each has its own"
            yield ("cameras", index, "channel"), text


def _address(key: Key, url: str | None, schemes: tuple[str, ...], addresses: AddressBook) -> Iterator[Found]:
    if url is not None:
        yield from _inside(key, split_url(url, schemes).hostname or "", addresses)


def _inside(key: Key, host: str, addresses: AddressBook) -> Iterator[Found]:
    """A numeric address must lie inside the networks; a name is resolved, and held to the same, when it is used."""
    if not is_address(host) or addresses.allows(host):
        return
    address = ip_address(host)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        yield (
            key,
            f"{host} is link-local, or no device's at all, and never contacted: give the device an address inside the networks",
        )
    else:
        yield key, f"{host} lies outside the site's networks: add its network to networks, or correct the address"
