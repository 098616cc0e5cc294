"""The commands `agent discover` and `agent record-device`: what is there, and what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

import typer

from agents.discover import Discovered, as_json, as_yaml, discover
from agents.record_device import Captured, RecordError, capture, known_values, write
from agents.site import RecorderConfig, Site
from agents.site_file import Network
from agents.station import Station
from monitor.model.clock import SystemClock
from monitor.model.observation import Observation


def print_discovery(site: Site | None, networks: Sequence[str], *, as_json_only: bool) -> None:
    """Look around and print what was found: YAML to paste, or JSON. Raises ValueError for what is no network."""
    wanted: list[Network] = [_network(text) for text in networks]
    wanted += site.networks if site is not None else ()
    found = asyncio.run(_discover(site, wanted))
    declared = [camera.id for camera in site.cameras] if site is not None else []
    typer.echo(as_json(found) if as_json_only else as_yaml(found, declared), nl=as_json_only)


def _network(text: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"--network {text}: this is no network; write it like 192.0.2.0/24") from None


async def _discover(site: Site | None, networks: Sequence[Network]) -> Discovered:
    if site is None:
        return await discover(networks, None, {})
    station = Station(site, SystemClock(), _nobody)
    try:
        return await discover(networks, site, station.drivers)
    finally:
        await station.close()


def record_device(site: Site, recorder_id: str, into: Path) -> None:
    """Capture a recorder's replies as a fixture below `into`, and say where it is. Raises RecordError."""
    config = site.recorder(recorder_id)
    if config is None:
        known = ", ".join(item.id for item in site.recorders) or "none"
        raise RecordError(f"--recorder {recorder_id}: {site.path} has no recorder of that id; there are {known}")
    found, folder = asyncio.run(_record(site, config, into))
    for reason in found.refused:
        typer.echo(f"not answered: {reason}", err=True)
    typer.echo(f"{folder} is written; read it through before you pass it on")


async def _record(site: Site, config: RecorderConfig, into: Path) -> tuple[Captured, Path]:
    station = Station(site, SystemClock(), _nobody)
    try:
        settings = station.settings(config)
        found = await capture(settings, station.clock)
    finally:
        await station.close()
    return found, write(found, known_values(site, settings, found), settings, into)


def _nobody(_: Observation) -> None:
    """Keep nothing: what is seen here is no measurement."""
