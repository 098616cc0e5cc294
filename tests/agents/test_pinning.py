"""Whom the agent tells its code: the holder of the pinned certificate authority, over TLS, and nobody else."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agents.enroll import EnrolError, enroll
from agents.link import Link
from agents.state import State
from monitor.model.authority import plain_fingerprint, read_authority
from support.enrolled import NONCE
from support.loopback_collector import LoopbackCollector, Reply, Request


class Authority:
    """A certificate authority of its own, and a server's certificate from it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        ca = self._builder(self.name, self.key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.certificate = ca.sign(self.key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(Encoding.PEM)
        self.fingerprint = self.certificate.fingerprint(hashes.SHA256()).hex()
        own = ec.generate_private_key(ec.SECP256R1())
        host = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        leaf = self._builder(x509.Name([]), own).add_extension(host, critical=True).sign(self.key, hashes.SHA256())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.pem)
        server = folder / f"{name}-server.pem"
        server.write_bytes(
            own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + leaf.public_bytes(Encoding.PEM)
        )
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(server)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "district")


@pytest.fixture
async def collector(authority: Authority) -> AsyncIterator[LoopbackCollector]:
    async with LoopbackCollector.running(authority.tls) as running:

        def answer(request: Request) -> Reply:
            if request.path == "/api/v1/ca":
                return Reply(200, authority.pem, {"Content-Type": "application/x-pem-file"})
            return Reply(201, {"institution": "a", "agent": "box", "key": running.jwk, "nonce": NONCE})

        running.other = answer
        yield running


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state", "a")


async def test_a_fingerprint_pins_the_authority_before_the_code_is_sent(
    collector: LoopbackCollector, authority: Authority, state: State
) -> None:
    typed = " SHA256:" + ":".join(authority.fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
    enrolment = await enroll(state, "a", collector.url, "code", trust=typed)
    assert enrolment.ca == authority.pem.decode()
    assert [item.path for item in collector.requests] == ["/api/v1/ca", "/api/v1/enrolments"]


async def test_another_fingerprint_ends_it_before_the_code_is_sent(collector: LoopbackCollector, state: State) -> None:
    with pytest.raises(EnrolError, match="and not the one given: somebody may stand between"):
        await enroll(state, "a", collector.url, "code", trust="0" * 64)
    assert [item.path for item in collector.requests] == ["/api/v1/ca"]
    assert state.enrolment() is None
    with pytest.raises(EnrolError, match="--ca-fingerprint is no SHA-256 fingerprint"):
        await enroll(state, "a", collector.url, "code", trust="abc")


async def test_a_file_pins_the_authority_and_no_other_is_believed(
    collector: LoopbackCollector, authority: Authority, state: State, tmp_path: Path
) -> None:
    for wrong in (Authority(tmp_path, "another").file, None):
        with pytest.raises(EnrolError, match="can't be reached"):
            await enroll(state, "a", collector.url, "code", trust=wrong)
    assert collector.requests == []
    enrolment = await enroll(state, "a", collector.url, "code", trust=authority.file)
    assert enrolment.ca == authority.pem.decode()
    # What follows goes over the pinned authority too: another server at the address is told nothing.
    other = Authority(tmp_path, "thief")
    async with LoopbackCollector.running(other.tls) as thief:
        state.save_enrolment(enrolment.model_copy(update={"collector": thief.url}))
        link = Link(state)
        found = link()
        assert found is not None
        with pytest.raises(Exception, match="can't be reached"):
            await found.get("/api/v1/agents/self/assignment")
        assert thief.requests == []
        await link.close()


async def test_what_cannot_be_pinned_is_one_sentence(state: State, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("nothing")
    for url, trust, said in [
        ("https://127.0.0.1:1", tmp_path / "none", r"--ca .*none can't be read: No such file"),
        ("https://127.0.0.1:1", tmp_path / "empty", r"--ca .*empty holds no certificate in PEM"),
        ("http://127.0.0.1:1", tmp_path / "empty", r"are for an https:// address"),
    ]:
        with pytest.raises(EnrolError, match=said):
            await enroll(state, "a", url, "code", trust=trust)


def test_a_fingerprint_is_that_of_the_certificate(authority: Authority) -> None:
    assert read_authority(b"# a comment\n" + authority.pem * 2).fingerprint == f"sha256:{authority.fingerprint}"
    assert plain_fingerprint(authority.fingerprint) == f"sha256:{authority.fingerprint}"
    with pytest.raises(ValueError, match="no certificate"):
        read_authority(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
