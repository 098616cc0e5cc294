"""Whom the agent tells its code: the holder of the pinned certificate authority, over TLS, and nobody else."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from agents.enroll import EnrolError, enroll
from agents.link import Link
from agents.state import State
from monitor.model.authority import plain_fingerprint, read_authority
from support.authority import Authority
from support.enrolled import NONCE
from support.loopback_collector import LoopbackCollector, Reply, Request


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


@pytest.mark.parametrize(
    ("since", "advice"),
    [
        (timedelta(days=1), "certificate is not yet valid .*; set this machine's clock;"),
        (
            timedelta(days=-9),
            "certificate has expired .*; its certificate has to be renewed, or this machine's clock to be set;",
        ),
    ],
)
async def test_a_certificate_that_is_not_good_at_this_time_is_told_with_what_to_do(
    tmp_path: Path, state: State, since: timedelta, advice: str
) -> None:
    """A box that starts in 1970 finds every certificate too new: neither the address nor the network is to blame."""
    made = Authority(tmp_path, "untimely", valid_from=since)
    async with LoopbackCollector.running(made.tls) as running:
        with pytest.raises(EnrolError, match=advice):
            await enroll(state, "a", running.url, "code", trust=made.file)


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
        with pytest.raises(EnrolError, match=r"no authority that this agent trusts: .*enrol the agent with .*\(--ca\)"):
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


async def test_an_intermediate_authority_may_be_pinned_as_it_is_what_the_certificate_comes_from(
    collector: LoopbackCollector, authority: Authority, state: State, tmp_path: Path
) -> None:
    intermediate = authority.issued_by(Authority(tmp_path, "root"))
    enrolment = await enroll(state, "a", collector.url, "code", trust=intermediate)
    assert enrolment.ca == intermediate.read_text()


async def test_an_address_that_the_certificate_is_not_for_is_told_so(
    collector: LoopbackCollector, authority: Authority, state: State
) -> None:
    url = collector.url.replace("127.0.0.1", "localhost")
    with pytest.raises(EnrolError, match=r"not valid for 'localhost'.*; write its address with a name that its cert"):
        await enroll(state, "a", url, "code", trust=authority.file)
    assert collector.requests == []


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
    with pytest.raises(ValueError, match="begins with a server's certificate, which another one signed: name that one"):
        read_authority(authority.leaf.read_bytes() + authority.pem)
    odd = x509.UnrecognizedExtension(
        x509.OID_SUBJECT_ALTERNATIVE_NAME, bytes.fromhex("3006a504a1021300")
    )  # an ediPartyName
    assert read_authority(authority.certificate_with(odd)).fingerprint.startswith("sha256:")
    with pytest.raises(ValueError, match="no certificate"):
        read_authority(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")


async def test_a_certificate_is_shown_where_the_collector_asks_for_one(
    authority: Authority, state: State, tmp_path: Path
) -> None:
    agents = Authority(tmp_path, "agents")
    authority.tls.verify_mode = ssl.CERT_REQUIRED
    authority.tls.load_verify_locations(agents.file)
    async with LoopbackCollector.running(authority.tls) as strict:
        strict.other = lambda _: Reply(201, {"institution": "a", "agent": "box", "key": strict.jwk, "nonce": NONCE})
        for wrong in (None, (authority.leaf, authority.leaf_key)):
            with pytest.raises(EnrolError, match=r"asks agents for a certificate, enrol .* \(--client-certificate\)"):
                await enroll(state, "a", strict.url, "code", trust=authority.file, client=wrong)
        assert strict.requests == []
        shown = (agents.leaf, agents.leaf_key)
        enrolment = await enroll(state, "a", strict.url, "code", trust=authority.file, client=shown)
        assert enrolment.client == tuple(map(str, shown))
        link = Link(state)
        found = link()
        assert found is not None
        await found.fetch("/api/v1/ca")
        assert strict.requests[-1].path == "/api/v1/ca"
        await link.close()
    agents.leaf.write_text("nothing")
    with pytest.raises(EnrolError, match=r"the client certificate .* can't be used"):
        await enroll(state, "a", "https://127.0.0.1:1", "code", trust=authority.file, client=shown)
    agents.leaf_key.chmod(0o644)
    with pytest.raises(EnrolError, match="can be read by other users of this machine: chmod 600"):
        await enroll(state, "a", "https://127.0.0.1:1", "code", trust=authority.file, client=shown)
