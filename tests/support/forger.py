"""Forgeries of every kind, made of one good report; and what shows that none of them changed anything."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient
from sqlalchemy import Engine, inspect, text

from monitor.model.span import MINUTE, from_millis
from support import raw_jws
from support.centre import NOW, Centre, span


def everything(engine: Engine, *leave: str) -> dict[str, list[str]]:
    """Return the whole database."""
    with engine.connect() as connection:
        return {
            table: sorted(map(repr, connection.execute(text(f'SELECT * FROM "{table}"')).all()))
            for table in inspect(engine).get_table_names()
            if table not in leave
        }


def refusals(client: TestClient) -> dict[str, float]:
    lines = [line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines()]
    found = {line[0]: float(line[1]) for line in lines if line[0].startswith("cradlewatch_refused_total{")}
    return {name.split('"')[1]: value for name, value in found.items() if value}


class Forger:
    """Makes one bad envelope of each kind out of a good one that has not been sent."""

    def __init__(self, centre: Centre) -> None:
        self.centre = centre
        self.own, self.other = centre.agents["wj-0001"], centre.agents["wj-0002"]
        self.report = centre.report(span("camera/gate", "down", NOW - MINUTE, NOW))
        self.payload = self.report.to_bytes()
        self.good = self.own._seal(self.payload)
        self.header = raw_jws.header_of(self.good)

    def sign(self, payload: bytes | None = None, key: Ed25519PrivateKey | None = None, **changes: Any) -> bytes:
        """Return an envelope with another header, signed by the agent's own key or another."""
        header = {**self.header, **changes}
        return raw_jws.envelope(header, self.payload if payload is None else payload, key or self.own.raw)

    def written(self, at: int) -> bytes:
        """Return what the agent wrote at another time, by its own word."""
        report = self.centre.report().model_copy(
            update={"written_at": from_millis(at), "sequence": self.report.sequence}
        )
        return self.sign(report.to_bytes(), written_at=at)

    def unsigned(self) -> bytes:
        first = raw_jws.encode(json.dumps({**self.header, "alg": "none"}).encode())
        return first + b"..\n" + self.payload

    def hs256(self) -> bytes:
        """Sign symmetrically with the public key as the secret: what a naive verifier takes."""
        first = raw_jws.encode(json.dumps({**self.header, "alg": "HS256"}).encode())
        secret = raw_jws.decode(self.own.key.public.jwk["x"].encode())
        tag = hmac.new(secret, first + b"." + self.payload, hashlib.sha256).digest()
        return first + b".." + raw_jws.encode(tag) + b"\n" + self.payload

    def padded(self) -> bytes:
        """Write the same signature in other letters: the last two bits of 64 bytes in base64 mean nothing."""
        line, _, payload = self.good.partition(b"\n")
        letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        return line[:-1] + bytes([letters[letters.index(line[-1:]) ^ 1]]) + b"\n" + payload

    def without_b64(self) -> bytes:
        header = {name: value for name, value in self.header.items() if name not in {"b64", "crit"}}
        first, second = raw_jws.encode(json.dumps(header).encode()), raw_jws.encode(self.payload)
        return first + b".." + raw_jws.encode(self.own.raw.sign(first + b"." + second)) + b"\n" + self.payload


FORGERIES: dict[str, tuple[str, Callable[[Forger], bytes]]] = {
    "a stranger's key": ("signature", lambda f: f.sign(key=Ed25519PrivateKey.generate())),
    "a key that nobody registered": ("unknown_key", lambda f: f.sign(key=Ed25519PrivateKey.generate(), kid="k" * 43)),
    "an agent that nobody enrolled": ("unknown_key", lambda f: f.sign(agent="nobody")),
    "another site's key": ("unknown_key", lambda f: f.sign(key=f.other.raw, kid=f.other.key.public.id)),
    "for another site": ("unknown_key", lambda f: f.sign(institution="wj-0002")),
    "another payload": ("signature", lambda f: f.good.replace(b'"down"', b'"up"')),
    "another header": ("signature", lambda f: raw_jws.encode(json.dumps({**f.header, "sequence": 9}).encode()) + f.good[f.good.index(b"..") :]),
    "no algorithm": ("algorithm", lambda f: f.unsigned()),
    "the public key as a secret": ("algorithm", lambda f: f.hs256()),
    "another curve": ("algorithm", lambda f: f.sign(alg="Ed448")),
    "an older name of the algorithm": ("algorithm", lambda f: f.sign(alg="EdDSA")),
    "a weak digest": ("algorithm", lambda f: f.sign(dig="md5")),
    "an algorithm that is no word": ("algorithm", lambda f: f.sign(alg=["Ed25519"])),
    "encoded otherwise": ("form", lambda f: f.without_b64()),
    "more that is critical": ("form", lambda f: f.sign(crit=["b64", "exp"])),
    "the signature in other letters": ("signature", lambda f: f.padded()),
    "a key sent along": ("form", lambda f: f.sign(jwk={"kty": "OKP", "crv": "Ed25519", "x": "A" * 43})),
    "a header as deep as it goes": ("form", lambda f: raw_jws.encode(b"[" * 1500) + b".." + b"A" * 86 + b"\n{}"),
    "a header too long": ("form", lambda f: f.sign(agent="a" * 3000)),
    "no header": ("form", lambda f: b".." + b"A" * 86 + b"\n{}"),
    "no line": ("form", lambda f: f.good.replace(b"\n", b"")),
    "no nonce": ("form", lambda f: f.sign(nonce=None)),
    "an invented nonce": ("nonce", lambda f: f.sign(nonce="A" * 51)),
    "another agent's nonce": ("nonce", lambda f: f.sign(nonce=f.other.nonce)),
    "an altered nonce": ("nonce", lambda f: f.sign(nonce=("B" if f.own.nonce[0] == "A" else "A") + f.own.nonce[1:])),
    "a nonce older than the report before": ("nonce", lambda f: f.sign(nonce=first_nonce(f))),
    "a time in the header alone": ("content", lambda f: f.sign(written_at=NOW - MINUTE)),
    "a payload of another agent": ("content", lambda f: f.sign(f.payload.replace(b'"box"', b'"fox"'))),
    "a payload as deep as it goes": ("content", lambda f: f.sign(b'{"a":' * 100_000)),
    "other bytes for a stored number": ("equivocation", lambda f: f.sign(f.centre.report().model_copy(update={"sequence": 1}).to_bytes(), sequence=1)),
    "a number that goes back": ("order", lambda f: f.sign(after={**f.header["after"], "sequence": f.report.sequence + 1})),
    "late, and after nothing that is known": ("unlinked", lambda f: f.sign(nonce=first_nonce(f), after={"boot": "d" * 32, "sequence": 7, "digest": "sha256:" + "0" * 64})),
}  # fmt: skip


def first_nonce(forger: Forger) -> str:
    """Return the nonce of the agent's first report."""
    nonce: str = raw_jws.header_of(next(iter(forger.own.sealed.values())))["nonce"]
    return nonce
