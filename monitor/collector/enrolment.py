"""How an agent comes to its token: a one-time code, made by the operator and exchanged once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from monitor.collector.context import Context
from monitor.collector.ingest import Identity
from monitor.model.span import DAY, Millis
from monitor.store import agents, registry
from monitor.store.engine import reading, writing
from monitor.store.tokens import new_code, new_secret, plain_code

VALID: Millis = 7 * DAY
"""How long a code can be used, unless told otherwise."""

_TOKEN = re.compile(r"cwa~([A-Za-z0-9._-]{1,64})~([A-Za-z0-9._-]{1,64})~([A-Za-z0-9_-]{20,100})")


class EnrolmentError(ValueError):
    """A code that can't be exchanged; the sentence says why."""


@dataclass(frozen=True)
class Enrolled:
    """What an agent gets for its code. The token is shown this once."""

    institution: str
    agent: str
    token: str


def create_code(context: Context, institution: str, agent: str | None = None, valid: Millis = VALID) -> str:
    """Return a new one-time code for an agent of the institution. Raises RegisterError for an unknown institution."""
    now, code = context.now(), new_code()
    with writing(context.engine) as session:
        if registry.institution(session, institution) is None:
            raise registry.RegisterError(f"institution {institution} is not in the register")
        agents.add_enrolment(session, plain_code(code), institution, agent, now, now + valid)
    return code


def exchange(context: Context, code: str, agent: str) -> Enrolled:
    """Exchange a code for a token; the code is used up. Raises EnrolmentError.

    The name that the operator wrote into the code wins over the one that the agent asks for.
    """
    now, plain, secret = context.now(), plain_code(code), new_secret()
    with writing(context.engine) as session:
        found = agents.enrolment_of(session, plain)
        if found is None:
            raise EnrolmentError("there is no such code")
        if not agents.use_code(session, plain, now):
            raise EnrolmentError("this code has been used or has expired; ask for a new one")
        name = found.agent or agent
        agents.enrol(session, found.institution, name, secret, now)
    return Enrolled(found.institution, name, f"cwa~{found.institution}~{name}~{secret}")


def identify(context: Context, token: str) -> Identity | None:
    """Return whose token this is, None when it is nobody's. A token names its agent, so that one row is looked up."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    institution, agent, secret = match.groups()
    with reading(context.engine) as session:
        return Identity(institution, agent) if agents.proves(session, institution, agent, secret) else None
