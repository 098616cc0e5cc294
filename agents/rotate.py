"""A new key in the place of the agent's old one, which vouches for it."""

from __future__ import annotations

import json

from pydantic import ValidationError

from agents.assignment import PATH as ASSIGNMENT
from agents.collector import Collector, CollectorError, NotAccepted, Pinned
from agents.enroll import EnrolError, Granted, keep_enrolment
from agents.identity import Identity, IdentityError, make_key, read_key
from agents.link import collector_of
from agents.state import Enrolment, State
from monitor.model.enrolment import prove_possession
from monitor.model.suite import BadKey, PrivateKey

PATH = "/api/v1/agents/self/keys"


async def rotate(state: State) -> Enrolment:
    """Make a key, let the old one register it, and use it from now on. Raises EnrolError, StateError.

    The new key's name is kept before it is sent: when this is cut off in between, the next call finds out which of
    the two the collector knows, and goes on from there.
    """
    enrolment, identity = state.enrolment(), state.identity()
    if enrolment is None or identity is None:
        raise EnrolError("the agent is not enrolled: there is no key to replace")
    try:
        key = _next_key(state, enrolment)
    except IdentityError as error:
        raise EnrolError(str(error)) from None
    state.save_enrolment(enrolment.model_copy(update={"next_key": key.public.id}))
    try:
        granted = await _register(state, enrolment, identity, key)
        fresh = granted.enrolment(enrolment.collector, key, Pinned(enrolment.ca, client=enrolment.client))
        # Another key of the collector counts by the pinned one's hand-over alone, never by an answer that names it.
        now = state.enrolment() or enrolment
        fresh = fresh.model_copy(update={"collector_key": now.collector_key})
    except (ValidationError, BadKey):
        raise EnrolError(f"the answer of {enrolment.collector} can't be read; try again") from None
    except CollectorError as error:
        raise EnrolError(f"{error}; the old key stays in use") from None
    keep_enrolment(state, fresh, goes_on=True)
    return fresh


def _next_key(state: State, enrolment: Enrolment) -> PrivateKey:
    if enrolment.next_key is None:
        return make_key(state.directory)
    return read_key(state.directory, enrolment.next_key)


async def _register(state: State, enrolment: Enrolment, identity: Identity, key: PrivateKey) -> Granted:
    body = {"key": key.public.jwk, "proof": prove_possession(key, f"{identity.institution}/{identity.agent}")}
    collector = collector_of(state, enrolment, identity)
    try:
        answer = await collector.post_signed(PATH, json.dumps(body).encode())
        return Granted.model_validate_json(answer.body)
    except NotAccepted:
        if not await _is_known(state, enrolment, identity, key):
            raise
        return Granted(
            institution=identity.institution, agent=identity.agent, key=enrolment.collector_key, nonce=enrolment.nonce
        )
    finally:
        await collector.close()


async def _is_known(state: State, enrolment: Enrolment, identity: Identity, key: PrivateKey) -> bool:
    """Tell whether the collector took the new key before: it answers what is signed with it."""
    who = Identity(identity.institution, identity.agent, key, identity.nonce)
    collector: Collector = collector_of(state, enrolment, who)
    try:
        await collector.get(ASSIGNMENT)
    except NotAccepted:
        return False
    finally:
        await collector.close()
    return True
