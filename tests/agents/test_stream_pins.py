"""A camera's certificate: the first one that it shows is kept over restarts, another one is told nothing."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agents.rtsp import StreamError
from agents.site import load_site
from agents.station import Station
from agents.watch.failure import Around, meaning
from monitor.model.clock import SystemClock
from monitor.model.observation import StreamCause
from support.parts import require
from support.rtsp_device import Device, serve
from support.rtsp_opening import PATIENT
from support.site import write_site


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """Make a self-signed certificate; return the server's side of it, and its fingerprint."""
    key, crt = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-days", "2",
         "-keyout", key, "-out", crt],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    return context, hashlib.sha256(ssl.PEM_cert_to_DER_cert(crt.read_text())).hexdigest()


async def play(folder: Path, device: Device, pinned: str | None = None, **recorder: Any) -> None:
    """Open the camera's stream as the service does after a start. Raises StreamError."""
    recorders = [{"id": "nvr", "driver": "hikvision", "url": "http://127.0.0.1:9", **recorder}] if recorder else []
    camera: dict[str, Any] = {"id": "yard", "zones": ["gate"], "stream": device.url(scheme="rtsps")}
    if pinned is not None:
        camera["tls_fingerprint"] = pinned
    if recorder:
        camera |= {"recorder": "nvr", "channel": 1}
    site = load_site(write_site(folder, [camera], recorders))
    station = Station(site, SystemClock(), lambda _: None, deadlines=PATIENT)
    try:
        stream = await station.open(site.cameras[0])
        await stream.close()
    finally:
        await station.close()


async def refused(folder: Path, device: Device, **recorder: Any) -> StreamError:
    device.asked.clear()
    with pytest.raises(StreamError) as caught:
        await play(folder, device, **recorder)
    assert device.asked == [], "nothing was told to it"
    return caught.value


async def test_the_first_certificate_is_kept_and_another_one_is_told_nothing(tmp_path: Path) -> None:
    require("openssl", present=shutil.which("openssl") is not None)
    one, other = certificate(tmp_path, "one"), certificate(tmp_path, "other")
    device = Device()
    async with serve(device, one[0]):
        await play(tmp_path, device)
        await play(tmp_path, device)
        port = device.port
    async with serve(device, other[0], port=port):
        error = await refused(tmp_path, device)
        await play(tmp_path, device, pinned=other[1])
    assert error.cause is StreamCause.CERTIFICATE
    assert other[1] in error.detail, "what to write down when it is right"
    assert meaning(error.cause, Around()) == ("unknown", StreamCause.CERTIFICATE)


async def test_the_fingerprint_of_the_recorder_s_entry_wins(tmp_path: Path) -> None:
    require("openssl", present=shutil.which("openssl") is not None)
    one, other = certificate(tmp_path, "one"), certificate(tmp_path, "other")
    device = Device()
    async with serve(device, one[0]):
        await play(tmp_path, device, tls_fingerprint=one[1])
        error = await refused(tmp_path, device, tls_fingerprint=other[1])
        assert error.cause is StreamCause.CERTIFICATE
