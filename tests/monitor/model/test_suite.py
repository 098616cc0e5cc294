"""Another algorithm is one entry of the table: keys of it enrol, sign, verify and are replaced beside those of before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace

import pytest
from joserfc.jwk import ECKey, OKPKey
from sqlalchemy import Engine

from monitor.collector.arrival import Identity
from monitor.collector.enrolment import EnrolmentError, Offer, create_code, enrol, rotate
from monitor.collector.verify import verify_institution
from monitor.model import suite
from monitor.model.enrolment import prove_possession
from monitor.model.envelope import Envelope
from monitor.model.jws import SignatureError
from monitor.model.suite import BadKey, PrivateKey, PublicKey, Suite
from support import raw_jws
from support.centre import NOW, make_centre, span
from support.signing import SigningAgent

ES256 = Suite("ES256", "sha256", hashlib.sha256, {"kty": "EC", "crv": "P-256"})


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the entry in, and make it the one by which new keys are made."""
    monkeypatch.setitem(suite.SUITES, (ES256.algorithm, ES256.digest), ES256)
    monkeypatch.setattr(suite, "DEFAULT", ES256)


def test_keys_of_two_algorithms_report_side_by_side_and_replace_each_other(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = make_centre(engine)
    old = centre.add("wj-0001")
    centre.see(span("camera/gate", "up", NOW - 1000, NOW), institution="wj-0001")
    assert old.key.public.jwk["crv"] == "Ed25519"
    monkeypatch.setitem(suite.SUITES, (ES256.algorithm, ES256.digest), ES256)
    monkeypatch.setattr(suite, "DEFAULT", ES256)
    new = centre.add("wj-0002")
    assert set(new.key.public.jwk) == {"kty", "crv", "x", "y"}
    for site in ("wj-0001", "wj-0002"):
        centre.see(span("camera/gate", "up", NOW, NOW + 1000), institution=site)
    key = PrivateKey.make()
    offer = Offer(key.public.jwk, prove_possession(key, "wj-0001/box"))
    rotate(centre.context, Identity("wj-0001", "box"), old.key.public.id, offer)
    old.key = key
    centre.see(span("camera/gate", "up", NOW + 1000, NOW + 2000), institution="wj-0001")
    assert [verify_institution(centre.context, site).problems for site in ("wj-0001", "wj-0002")] == [[], []]
    newest = Envelope.read(list(old.sealed.values())[-1])
    assert (newest.protected.alg, newest.protected.dig) == ("ES256", "sha256")


@pytest.mark.usefixtures("entry")
def test_a_key_is_kept_and_read_again_and_signs_for_no_other_algorithm() -> None:
    key = PrivateKey.make()
    again = PrivateKey.of_pem(key.pem())
    assert again.public.jwk == key.public.jwk
    assert PublicKey.of({**key.public.jwk, "use": "sig"}).jwk == key.public.jwk
    other = PrivateKey(OKPKey.generate_key("Ed25519", private=True))
    assert PrivateKey.of_pem(other.pem()).public.id == other.public.id
    agent = SigningAgent("wj-0001", "box", key, "A" * 51)
    sealed = Envelope.read(agent.envelope(b"{}"))
    sealed.verify(again.public)
    with pytest.raises(SignatureError):
        sealed.verify(other.public)


@pytest.mark.parametrize("curve", ["P-256", "P-384"])
def test_a_key_whose_algorithm_is_no_entry_is_refused(curve: str) -> None:
    key = ECKey.generate_key(curve, private=True)
    with pytest.raises(BadKey):
        PublicKey.of(key.as_dict(private=False))
    with pytest.raises(BadKey):
        PrivateKey.of_pem(key.as_pem(private=True))


@pytest.mark.usefixtures("entry")
def test_a_private_part_and_another_curve_are_refused_beside_the_entry_too() -> None:
    with pytest.raises(BadKey):
        PublicKey.of(ECKey.generate_key("P-256", private=True).as_dict(private=True))
    with pytest.raises(BadKey):
        PublicKey.of(ECKey.generate_key("P-384", private=True).as_dict(private=False))
    for wrong in (
        {"kty": "EC", "crv": "P-256", "x": "A"},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "OKP", "crv": "Ed25519", "x": "A"},
        {},
    ):
        with pytest.raises(BadKey):
            PublicKey.of(wrong)


OF_EIGHT = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
OTHER_OF_EIGHT = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"


@pytest.mark.parametrize("sign", [0, 128])
@pytest.mark.parametrize(
    "point",
    [
        "01" + 31 * "00",
        32 * "00",
        "ec" + 30 * "ff" + "7f",
        OF_EIGHT,
        OTHER_OF_EIGHT,
        "ed" + 30 * "ff" + "7f",  # 0 and 1 once more, written beyond the prime
        "ee" + 30 * "ff" + "7f",
    ],
)
def test_a_key_for_which_anybody_can_sign_is_none(point: str, sign: int) -> None:
    raw = bytearray.fromhex(point)
    raw[31] |= sign
    with pytest.raises(BadKey, match="anybody can sign"):
        PublicKey.of({"kty": "OKP", "crv": "Ed25519", "x": raw_jws.encode(bytes(raw)).decode()})


@pytest.mark.parametrize("anybody_signs", [True, False])
def test_which_keys_bind_nobody_is_the_entry_s_to_say(monkeypatch: pytest.MonkeyPatch, *, anybody_signs: bool) -> None:
    jwk = ECKey.generate_key("P-256").as_dict(private=False)  # another one each time: none is remembered
    asked = []

    def said(words: Mapping[str, object]) -> bool:
        asked.append(words["x"])
        return anybody_signs

    monkeypatch.setitem(suite.SUITES, (ES256.algorithm, ES256.digest), replace(ES256, binds_nobody=said))
    with pytest.raises(BadKey, match="anybody can sign") if anybody_signs else nullcontext():
        PublicKey.of(jwk)
    assert asked == [jwk["x"]]


def test_nobody_enrols_with_a_key_that_one_signature_fits_to_every_text(engine: Engine) -> None:
    """The neutral point: R is it, too, and S is 0, whatever is signed."""
    centre = make_centre(engine)
    centre.add("wj-0001")
    neutral = bytes([1, *bytes(31)])
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": raw_jws.encode(neutral).decode()}
    name = raw_jws.encode(hashlib.sha256(json.dumps(jwk, separators=(",", ":")).encode()).digest()).decode()
    header = {
        "alg": "Ed25519", "b64": False, "crit": ["b64"], "dig": "sha256", "kid": name, "typ": "cradlewatch-possession"
    }  # fmt: skip
    proof = f"{raw_jws.encode(json.dumps(header).encode()).decode()}..{raw_jws.encode(neutral + bytes(32)).decode()}"
    with pytest.raises(EnrolmentError, match="anybody can sign"):
        enrol(centre.context, create_code(centre.context, "wj-0001"), "other", Offer(jwk, proof))
