"""A recorder's certificate is pinned on first use, and the pin outlives the agent's process."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from agents.pins import Pins
from agents.recorders.base import RecorderError
from agents.site import load_site
from agents.station import Station
from monitor.model.clock import SystemClock
from support.parts import require
from support.recorder_http import Asked, Reply, serving

INFO = b"<DeviceInfo><model>DS-7616</model></DeviceInfo>"


def ok(_: Asked) -> Reply:
    return Reply(200, INFO)


def certificate(folder: Path) -> ssl.SSLContext:
    require("openssl", present=subprocess.run(["openssl", "version"], capture_output=True, check=False).returncode == 0)
    key, crt = folder / "nvr.key", folder / "nvr.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=nvr", "-days", "2",
         "-keyout", key, "-out", crt],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    return context


def station_of(folder: Path, url: str) -> Station:
    (folder / "site.yaml").write_text(
        "institution: {id: wj-0001}\nregulation: kr-daycare-60\nnetworks: [127.0.0.0/8]\nzones: []\ncameras: []\n"
        f"recorders: [{{id: nvr, driver: hikvision, url: '{url}'}}]\n",
        encoding="utf-8",
    )
    return Station(load_site(folder / "site.yaml"), SystemClock(), lambda _: None)


async def asked(folder: Path, url: str) -> str:
    station = station_of(folder, url)
    try:
        return (await station.drivers["nvr"].identity()).model
    finally:
        await station.close()


async def test_the_first_certificate_is_kept_and_another_one_refused_after_a_restart(tmp_path: Path) -> None:
    async with serving(ok, tls=certificate(tmp_path)) as server:
        url = f"https://127.0.0.1:{server.port}"
        assert await asked(tmp_path, url) == "DS-7616"
        pins = Pins(tmp_path / "site.state" / "pins.sqlite")
        kept = pins.get(f"nvr {url}")
        assert kept is not None
        assert len(kept) == 64
        pins.keep(f"nvr {url}", "ab" * 32)
        assert pins.get(f"nvr {url}") == kept, "the first one stays"
        pins.close()
        assert await asked(tmp_path, url) == "DS-7616"
        (tmp_path / "site.state" / "pins.sqlite").unlink()
        pins = Pins(tmp_path / "site.state" / "pins.sqlite")
        pins.keep(f"nvr {url}", "ab" * 32)
        pins.close()
        with pytest.raises(RecorderError, match="not the known one"):
            await asked(tmp_path, url)


async def test_a_recorder_without_tls_has_no_pin(tmp_path: Path) -> None:
    async with serving(ok) as server:
        url = f"http://127.0.0.1:{server.port}"
        assert await asked(tmp_path, url) == "DS-7616"
    pins = Pins(tmp_path / "site.state" / "pins.sqlite")
    assert pins.get(f"nvr {url}") is None
    pins.close()
