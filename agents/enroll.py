"""Registers the agent's key with its collector: by a one-time code."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.collector import Collector, CollectorError, NotAccepted, Pinned, Refused, collector_url
from agents.history import forget_history
from agents.identity import IdentityError, make_key, read_key
from agents.state import Enrolment, State
from monitor.model.authority import Authority, plain_fingerprint, read_authority
from monitor.model.enrolment import plain_code, prove_possession
from monitor.model.handover import PATH as HANDOVERS
from monitor.model.handover import Handovers, follow
from monitor.model.suite import BadKey, PrivateKey, PublicKey

_OFFERED = "key_offered"
"""Which key was offered last, and the digest of the code with which it was."""
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class EnrolError(Exception):
    """The agent could not be enrolled; the text is one sentence, without the code."""


class Granted(BaseModel):
    """The collector's answer; a newer one may say more."""

    model_config = ConfigDict(extra="ignore")

    institution: str
    agent: str
    key: dict[str, str]
    nonce: str
    replaces_heard_at: datetime | None = None

    def enrolment(self, url: str, key: PrivateKey, pinned: Pinned) -> Enrolment:
        """Return what is kept. Raises ValueError when the answer holds no key."""
        return Enrolment(
            institution=self.institution,
            agent=self.agent,
            collector=url,
            key=key.public.id,
            collector_key=PublicKey.of(self.key).jwk,
            ca=pinned.ca,
            client=pinned.client,
            nonce=self.nonce,
        )


async def enroll(
    state: State,
    institution: str,
    url: str,
    code: str,
    agent: str | None = None,
    *,
    trust: str | Path | None = None,
    client: tuple[Path, Path] | None = None,
    tell: Callable[[str], None] = lambda _sentence: None,
) -> Enrolment:
    """Make a key, register it with the code, and keep what was granted.

    `agent` is the name to ask for (default: its own). `trust` is what the collector's certificate must come from: a
    PEM file, or the fingerprint that was given with the code; without it the system's trust store decides. `client` are
    the files of a certificate and its key, for a collector that asks for one; they stay where they are.
    Raises EnrolError; an earlier enrolment then stays as it was.
    """
    if agent is not None and not _IDENTIFIER.fullmatch(agent):
        raise EnrolError(f"--agent {agent!r} is no id: use letters, digits, dot, underscore and hyphen, at most 64")
    try:
        address = collector_url(url)
    except ValueError as error:
        raise EnrolError(str(error)) from None
    shown = None if client is None else _shown(*client, address)
    pinned = Pinned(await _pinned(address, trust), client=shown)
    try:
        key = _key_for(state, code)
        name = state.agent if state.is_enrolled() else state.own_name
        granted = await _ask(address, pinned, code, (institution, agent or name), key)
        enrolment = granted.enrolment(address, key, pinned)
    except IdentityError as error:
        raise EnrolError(str(error)) from None
    except (ValidationError, BadKey):
        raise EnrolError(f"the answer of {address} can't be read: is this the collector's address?") from None
    if enrolment.institution != institution:
        raise EnrolError(
            f"the code is for institution {enrolment.institution}, and site.yaml is of {institution}:"
            " ask for a code for this one"
        )
    same = await _is_the_same(state, enrolment, pinned)
    if granted.replaces_heard_at is not None and not same:
        tell(
            f"the collector had an agent {enrolment.agent} of {institution} already, heard last at"
            f" {granted.replaces_heard_at:%Y-%m-%d %H:%M} UTC; it can't report any more. If that is another box, enrol this"
            " one again under a name of its own (--agent NAME), and that one too: each with a new code"
        )
    keep_enrolment(state, enrolment, goes_on=same)
    state.put(_OFFERED, None)
    return enrolment


def _key_for(state: State, code: str) -> PrivateKey:
    """Return the key that is registered with a code: the same one each time, until the enrolment is kept.

    The collector's answer may be lost on the line, or the box be cut off before it is kept; the code is used up by
    then, and the collector answers once more to whoever has the key that used it. Raises IdentityError.
    """
    shown, before = hashlib.sha256(plain_code(code).encode("utf-8", "surrogatepass")).hexdigest(), state.get(_OFFERED)
    if isinstance(before, dict) and before.get("code") == shown:
        with suppress(IdentityError):  # gone meanwhile: another one is made
            return read_key(state.directory, str(before.get("key")))
    key = make_key(state.directory)
    state.put(_OFFERED, {"code": shown, "key": key.public.id})
    return key


def keep_enrolment(state: State, enrolment: Enrolment, *, goes_on: bool) -> None:
    """Keep an enrolment; the chain of reports goes on where the agent stays the same to the same collector."""
    outbox = state.outbox()
    try:
        if not goes_on:
            outbox.begin_chain()
            forget_history(state)
        outbox.keep_nonce(enrolment.nonce)
    finally:
        outbox.close()
    state.save_enrolment(enrolment)


async def _is_the_same(state: State, enrolment: Enrolment, pinned: Pinned) -> bool:
    """Tell whether this box was the same agent of the same collector before: which one that is its key says, not its address."""
    before = state.enrolment() if state.is_enrolled() else None
    if before is None or (before.institution, before.agent) != (enrolment.institution, enrolment.agent):
        return False
    if before.collector_key == enrolment.collector_key:
        return True
    collector = _open(enrolment.collector, pinned)
    try:
        said = Handovers.model_validate_json((await collector.fetch(HANDOVERS)).body)
        return follow(PublicKey.of(before.collector_key), said.handovers).jwk == enrolment.collector_key
    except (CollectorError, ValueError):
        return False
    finally:
        await collector.close()


async def _ask(address: str, pinned: Pinned, code: str, who: tuple[str, str], key: PrivateKey) -> Granted:
    plain, (institution, agent) = plain_code(code), who
    asked = {"code": plain, "agent": agent, "institution": institution}
    body = {**asked, "key": key.public.jwk, "proof": prove_possession(key, plain)}
    collector = _open(address, pinned)
    try:
        answer = await collector.post("/api/v1/enrolments", json.dumps(body).encode())
    except (Refused, NotAccepted) as error:
        if isinstance(error, Refused) and error.status == HTTPStatus.CONFLICT:
            why = str(error).partition(": ")[2]
            raise EnrolError(f"{why}: it is still good there; ask for a code for this one") from None
        reason = str(error).partition(": ")[2] if isinstance(error, Refused) else "the code is not accepted"
        raise EnrolError(f"{reason}: a code works once and for some days; ask for a new one") from None
    except CollectorError as error:
        said = str(error)
        raise EnrolError(said if said.endswith("?") else f"{said}; try again") from None
    finally:
        await collector.close()
    return Granted.model_validate_json(answer.body)


def _open(address: str, pinned: Pinned, *, verify: bool = True) -> Collector:
    try:
        return Collector(address, None, pinned, verify=verify)
    except CollectorError as error:
        raise EnrolError(str(error)) from None


async def _pinned(address: str, trust: str | Path | None) -> str | None:
    """Return the certificate to pin. Raises EnrolError: not there, or not that of the fingerprint."""
    if trust is None:
        return None
    if not address.startswith("https://"):
        raise EnrolError("--ca and --ca-fingerprint are for an https:// address: the one given is not encrypted")
    if isinstance(trust, Path):
        return _of_file(trust).pem
    try:
        wanted = plain_fingerprint(trust)
    except ValueError as error:
        raise EnrolError(f"--ca-fingerprint {error}") from None
    found = await _fetched(address)
    if found.fingerprint != wanted:
        raise EnrolError(
            f"{address} shows a certificate authority with the fingerprint {found.fingerprint}, and not the one given:"
            " somebody may stand between; ask whoever runs the collector"
        )
    return found.pem


def _shown(certificate: Path, key: Path, address: str) -> tuple[str, str]:
    """Return the files of what the agent shows, wherever it is started from. Raises EnrolError."""
    if not address.startswith("https://"):
        raise EnrolError("--client-certificate is for an https:// address: the one given is not encrypted")
    try:
        if key.stat().st_mode & 0o077:
            raise EnrolError(f"--client-key {key} can be read by other users of this machine: chmod 600 {key}")
    except OSError as error:
        raise EnrolError(f"--client-key {key} can't be read: {error.strerror}") from None
    return str(certificate.absolute()), str(key.absolute())


def _of_file(path: Path) -> Authority:
    try:
        return read_authority(path.read_bytes())
    except OSError as error:
        raise EnrolError(f"--ca {path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise EnrolError(f"--ca {path} {error}") from None


async def _fetched(address: str) -> Authority:
    """Fetch what is to be pinned from whoever answers: its fingerprint decides, and nothing is told to it before."""
    collector = _open(address, Pinned(), verify=False)
    try:
        return read_authority((await collector.fetch("/api/v1/ca")).body)
    except ValueError:
        raise EnrolError(f"the answer of {address} can't be read: is this the collector's address?") from None
    except CollectorError as error:
        raise EnrolError(f"{error}; or give its certificate authority with --ca FILE") from None
    finally:
        await collector.close()
