"""How an agent's key becomes known: by a one-time code of the operator's, later by the key before it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from monitor.collector.arrival import Identity
from monitor.collector.context import Context
from monitor.collector.nonce import new_nonce
from monitor.model.enrolment import POSSESSION, plain_code, proves_possession
from monitor.model.inventory import Identifier
from monitor.model.span import DAY, Millis
from monitor.model.suite import BadKey, PublicKey
from monitor.regulations.messages import NO_ID
from monitor.store import agents, registry
from monitor.store.engine import writing
from monitor.store.evaluations import make_due
from monitor.store.keys import agent_keys, key_count, register_key, revoke_keys
from monitor.store.tokens import new_code

log = structlog.get_logger(__name__)

VALID: Millis = 7 * DAY
"""How long a code can be used, unless told otherwise."""

MAX_KEYS = 1000
"""So many keys of one agent at the most: rotation is for people's hands, not for loops."""


class EnrolmentError(ValueError):
    """A code or key that can't be accepted; the sentence says why."""


class WrongInstitution(EnrolmentError):
    """A code of another institution than the site that shows it is of: it is not used up, and nobody's key is replaced."""


@dataclass(frozen=True)
class Enrolled:
    """What an agent gets when its key is registered."""

    institution: str
    agent: str
    key: dict[str, str]
    """The collector's public key, to be pinned: it signs what the agent is told."""
    nonce: str
    replaces_heard: Millis | None = None
    """When an agent of this name was heard last that can't report any more from now on: another box may bear its name."""


_AGENT: TypeAdapter[str | None] = TypeAdapter(Identifier | None)


@dataclass(frozen=True)
class Offer:
    """A public key that somebody offers, and the proof that he has the private one."""

    key: dict[str, str]
    proof: str


def create_code(context: Context, institution: str, agent: str | None = None, valid: Millis = VALID) -> str:
    """Return a new one-time code for an agent of the institution, for `valid` ms.

    Raises RegisterError for an unknown institution, or an agent's name that is no id.
    """
    try:
        _AGENT.validate_python(agent)
    except ValidationError:
        raise registry.RegisterError(f"--agent: {agent!r} {NO_ID}") from None
    now, code = context.now(), new_code()
    with writing(context.engine) as session:
        registry.known_institution(session, institution)
        agents.add_enrolment(session, plain_code(code), institution, agent, now, now + valid)
    return code


def enrol(context: Context, code: str, agent: str, offer: Offer, institution: str | None = None) -> Enrolled:
    """Register the key of an agent that shows a code; the code is used up. Raises EnrolmentError.

    `institution` is that of the agent's site, where it says it (agents of before don't). The name that the operator wrote into the code wins over the one that the agent asks for. An agent that enrols
    again keeps its history; its earlier keys count as replaced, and the grant says so: two boxes may have one name.

    Whoever shows the code once more with the very key that it registered is answered once more, for as long as the code
    is valid: the first answer may have been lost on the line. Nothing changes then, and nobody else can have that key.
    """
    now, plain = context.now(), plain_code(code)
    key = _offered(offer, plain)
    with writing(context.engine) as session:
        found = agents.enrolment_of(session, plain)
        if found is None:
            raise EnrolmentError("there is no such code")
        if institution is not None and institution != found.institution:
            raise WrongInstitution(f"the code is for another institution than {institution}")
        identity = Identity(found.institution, found.agent or agent)
        if agents.use_code(session, plain, now):
            heard = _register(context, session, identity, key, now)
        else:
            heard = _registered_by(session, plain, identity, key, now)
    return replace(_granted(context, identity, now), replaces_heard=heard)


def _register(context: Context, session: Session, identity: Identity, key: PublicKey, now: Millis) -> Millis | None:
    """Register a key by a code; return when the agent was heard whose key it replaces, None where it replaces none."""
    heard = agents.heard_from(session, identity.institution).get(identity.agent)
    due = context.packs.silent_due(registry.known_institution(session, identity.institution).regulation, now)
    agents.enrol(session, identity.institution, identity.agent, now, due)
    known = agent_keys(session, identity.institution, identity.agent)
    if key.id in known:
        raise EnrolmentError("this key has been registered before; make a new one")
    register_key(session, identity.institution, identity.agent, key, now)
    if not any(item.replaced is None and item.revoked is None for item in known.values()):
        return None
    log.warning("an enrolment replaced an agent's key", institution=identity.institution, agent=identity.agent)
    return heard


def _registered_by(session: Session, code: str, identity: Identity, key: PublicKey, now: Millis) -> Millis | None:
    """Return what `_register` did when this key was registered by this code. Raises EnrolmentError where it wasn't, or counts no more."""
    session.expire_all()  # who used the code meanwhile may have done so since it was read
    found = agents.enrolment_of(session, code)
    known = agent_keys(session, identity.institution, identity.agent)
    mine = known.get(key.id)
    valid = found is not None and now < found.expires
    if not valid or found is None or mine is None or mine.registered != found.used:
        raise EnrolmentError("this code has been used or has expired; ask for a new one")
    if mine.replaced is not None or mine.revoked is not None:
        raise EnrolmentError("the key that was registered with this code counts no more; ask for a new code")
    counted = [
        item
        for item in known.values()
        if item.replaced == mine.registered and (item.revoked is None or item.revoked > mine.registered)
    ]
    if not counted:
        return None
    reported = agents.last_report_at(session, identity.institution, identity.agent)
    return max(item.registered for item in counted) if reported is None else reported


def rotate(context: Context, identity: Identity, by: str, offer: Offer) -> Enrolled:
    """Register a new key for an agent that has proved itself by the key `by`, which has to count still. Raises EnrolmentError."""
    now = context.now()
    key = _offered(offer, f"{identity.institution}/{identity.agent}")
    with writing(context.engine) as session:
        agents.hold_agent(session, identity.institution, identity.agent)
        known = agent_keys(session, identity.institution, identity.agent)
        if by not in known or known[by].revoked is not None or known[by].replaced is not None:
            # Since it was looked at: a key must not outlive its own revocation in one that it registers.
            raise EnrolmentError("the key that signed this request counts no more")
        if key.id in known:
            raise EnrolmentError("this key has been registered before; make a new one")
        if key_count(session, identity.institution, identity.agent) >= MAX_KEYS:
            raise EnrolmentError(f"this agent has had {MAX_KEYS} keys; enrol it under another name")
        register_key(session, identity.institution, identity.agent, key, now)
    return _granted(context, identity, now)


def revoke(context: Context, institution: str, agent: str) -> int:
    """Revoke an agent's keys: nothing that they signed is accepted any more, and its silence is no case any more.

    Return how many; raises RegisterError.
    """
    now = context.now()
    with writing(context.engine) as session:
        agents.hold_agent(session, institution, agent)
        if not key_count(session, institution, agent):
            raise registry.RegisterError(f"institution {institution} has no agent {agent} with a key")
        make_due(session, institution, now)
        return revoke_keys(session, institution, agent, now)


def _granted(context: Context, identity: Identity, now: Millis) -> Enrolled:
    nonce = new_nonce(context.keys().nonce, identity.institution, identity.agent, now)
    return Enrolled(identity.institution, identity.agent, context.signing().public.jwk, nonce)


def _offered(offer: Offer, bound_to: str) -> PublicKey:
    """Return the offered key. Raises EnrolmentError unless the offer proves that the private key is there."""
    try:
        key = PublicKey.of(offer.key)
    except BadKey as error:
        raise EnrolmentError(str(error)) from None
    if key.suite.retired:
        raise EnrolmentError(f"the key is of a kind that is not taken any more ({key.suite.algorithm})")
    if not proves_possession(offer.proof, key, bound_to):
        raise EnrolmentError(f"the proof that the private key is there doesn't hold ({POSSESSION})")
    return key
