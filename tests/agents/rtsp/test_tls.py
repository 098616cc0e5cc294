"""rtsps: any certificate is taken, unless one is pinned; and what is no TLS is told apart."""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
import subprocess
from pathlib import Path

import pytest

from agents.rtsp import AddressBook, Deadlines, Login, StreamError, StreamRequest, open_stream
from monitor.model.clock import SystemClock
from monitor.model.observation import StreamCause
from support.old_tls import OLD, grown_old
from support.rtsp_device import Device, serve

LOOPBACK = AddressBook([ipaddress.ip_network("127.0.0.0/8")])
SHORT = Deadlines(connect=1, answer=1, total=3, first_frame=1, stall=1, teardown=0.3)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate and its key in one file, as a camera has."""
    path = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *[
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=camera",
                "-days",
                "2",
                "-keyout",
                "key.pem",
                "-out",
                "cert.pem",
            ]
        ],
        cwd=path,
        check=True,
        capture_output=True,
    )
    (path / "both.pem").write_bytes((path / "key.pem").read_bytes() + (path / "cert.pem").read_bytes())
    return path / "both.pem"


def digest_of(certificate: Path) -> str:
    pem = certificate.read_text()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :])).hexdigest()


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_rtsps_plays_and_gives_the_fingerprint_to_pin(certificate: Path) -> None:
    async with serve(Device("viewer", "s3cret"), server_side(certificate)) as device:
        url = device.url(scheme="rtsps")
        stream = await open_stream(StreamRequest(url, Login("viewer", "s3cret")), LOOPBACK, SHORT, clock=SystemClock())
        assert await stream.batch()
        assert await stream.next_keyframe(2) is not None
        fingerprint = stream.info.tls_fingerprint
        await stream.close()
        assert fingerprint == digest_of(certificate)
        pinned = StreamRequest(url, Login("viewer", "s3cret"), fingerprint)
        stream = await open_stream(pinned, LOOPBACK, SHORT, clock=SystemClock())
        await stream.close()


async def test_frames_that_gather_in_the_socket_are_deciphered_when_they_are_read(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.rtsp.pace.KNOWN_SECONDS", 0.0)
    monkeypatch.setattr("agents.rtsp.pace.CHECK_SECONDS", 0.1)
    async with serve(Device(interval=0.02), server_side(certificate)) as device:
        stream = await open_stream(StreamRequest(device.url(scheme="rtsps")), LOOPBACK, SHORT, clock=SystemClock())
        seen = 0
        while seen < 50:
            events = await stream.batch()
            assert not any(event.lost for event in events)
            seen += len(events)
        await stream.close()


@pytest.mark.parametrize("how", OLD)
async def test_old_units_are_understood(certificate: Path, how: str) -> None:
    async with serve(Device("viewer", "s3cret"), grown_old(server_side(certificate), how)) as device:
        wanted = StreamRequest(device.url(scheme="rtsps"), Login("viewer", "s3cret"), old_tls=how == "TLS 1.0")
        stream = await open_stream(wanted, LOOPBACK, SHORT, clock=SystemClock())
        assert await stream.batch()
        await stream.close()


async def test_tls_1_0_is_not_spoken_unless_its_recorder_s_entry_says_so(certificate: Path) -> None:
    async with serve(Device("viewer", "s3cret"), grown_old(server_side(certificate), "TLS 1.0")) as device:
        wanted = StreamRequest(device.url(scheme="rtsps"), Login("viewer", "s3cret"))
        with pytest.raises(StreamError, match="old_tls: true"):
            await open_stream(wanted, LOOPBACK, SHORT, clock=SystemClock())


async def test_another_certificate_than_the_pinned_one_is_told_nothing(certificate: Path) -> None:
    async with serve(Device("viewer", "s3cret"), server_side(certificate)) as device:
        request = StreamRequest(device.url(scheme="rtsps"), Login("viewer", "s3cret"), "00" * 32)
        with pytest.raises(StreamError) as caught:
            await open_stream(request, LOOPBACK, SHORT, clock=SystemClock())
        assert (caught.value.cause, caught.value.stage) == (StreamCause.CERTIFICATE, "connect")
        assert "another TLS certificate" in caught.value.detail
        assert device.asked == []


async def test_rtsps_on_a_port_without_tls_ends_in_time() -> None:
    async with serve(Device()) as device:
        with pytest.raises(StreamError) as caught:
            await open_stream(StreamRequest(device.url(scheme="rtsps")), LOOPBACK, SHORT, clock=SystemClock())
        assert caught.value.cause in {StreamCause.TIMEOUT, StreamCause.PROTOCOL_ERROR, StreamCause.CLOSED}


async def test_rtsp_on_a_tls_port_is_not_rtsp_or_closed(certificate: Path) -> None:
    async with serve(Device(), server_side(certificate)) as device:
        with pytest.raises(StreamError) as caught:
            await open_stream(StreamRequest(device.url()), LOOPBACK, SHORT, clock=SystemClock())
        assert caught.value.cause in {StreamCause.NOT_RTSP, StreamCause.CLOSED}
