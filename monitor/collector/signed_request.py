"""Who asks: an agent signs each request that isn't a report, with a nonce that was given to it not long ago."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.collector.arrival import Identity, NotProved
from monitor.collector.context import Context
from monitor.collector.nonce import new_nonce, nonce_moment
from monitor.model.jws import SignatureError
from monitor.model.signed import RequestHeader, read_request
from monitor.model.span import MINUTE, Millis
from monitor.model.suite import RETIRED, suite_of
from monitor.store.engine import asking
from monitor.store.keys import agent_keys

FRESH: Millis = 10 * MINUTE
"""So old may a request's nonce be: long enough for a slow line, short enough that no old request says anything."""


@dataclass(frozen=True)
class Asked:
    """A request whose sender is proved."""

    identity: Identity
    header: RequestHeader


def who_asks(context: Context, authorization: str, text: bytes) -> Asked:
    """Return who signed a request's text. Raises NotProved: with a nonce, when a fresh one is all that is missing."""
    try:
        header, signed = read_request(authorization, text)
    except SignatureError as error:
        raise NotProved(error.reason, str(error)) from None
    identity = Identity(header.institution, header.agent)
    with asking(context.engine) as session:
        key = agent_keys(session, identity.institution, identity.agent).get(header.kid)
    if key is None or key.revoked is not None or key.replaced is not None:
        raise NotProved(
            "unknown_key" if key is None else "revoked_key", "the request is signed with no key that counts"
        )
    if suite_of(header.alg, header.dig).retired:
        raise NotProved("algorithm", f"{RETIRED}: enrol the agent again")
    try:
        signed.verify(key.public)
    except SignatureError as error:
        raise NotProved(error.reason, str(error)) from None
    now, secret = context.now(), context.keys().nonce
    given = nonce_moment(secret, identity.institution, identity.agent, header.nonce)
    if given is None or now - given > FRESH:
        fresh = new_nonce(secret, identity.institution, identity.agent, now)
        raise NotProved("nonce", "the request needs a fresh nonce: it is in the header Cradlewatch-Nonce", fresh)
    return Asked(identity, header)
