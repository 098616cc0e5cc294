"""Agents that are enrolled without a collector, or at the one of the tests."""

from __future__ import annotations

from typing import Any

from agents.assignment import Assigned
from agents.identity import Identity, make_key
from agents.link import Link
from agents.state import Enrolment, State
from monitor.model.suite import PrivateKey
from support.loopback_collector import LoopbackCollector

COLLECTOR_KEY = PrivateKey.make().public.jwk
NONCE = "first-nonce-of-an-agent"


def enrolment_of(state: State, url: str = "http://127.0.0.1:9", **changes: Any) -> Enrolment:
    """Make a key in the state and return an enrolment with it, not kept yet."""
    values = {"agent": "box", "collector_key": COLLECTOR_KEY, "nonce": NONCE, **changes}
    return Enrolment(
        institution=str(state.get("institution")), collector=url, key=make_key(state.directory).public.id, **values
    )


def enrol(state: State, url: str = "http://127.0.0.1:9", **changes: Any) -> Enrolment:
    """Enrol the agent of a state at an address."""
    enrolment = enrolment_of(state, url, **changes)
    state.save_enrolment(enrolment)
    return enrolment


def enrol_at(state: State, collector: LoopbackCollector) -> Enrolment:
    """Enrol the agent of a state at the tests' collector: each knows the other's key."""
    enrolment = enrol(state, collector.url, collector_key=collector.jwk)
    identity = state.identity()
    assert identity is not None
    collector.know(identity.key.public.jwk)
    return enrolment


def identity(institution: str = "a", agent: str = "box") -> Identity:
    """Return somebody with a key of his own."""
    return Identity(institution, agent, PrivateKey.make(), NONCE)


async def pull(state: State) -> str:
    """Ask for the assignment as after a start; return what was wrong."""
    link = Link(state)
    assigned = Assigned(state, link)
    await assigned.pull()
    await link.close()
    return assigned.problem
