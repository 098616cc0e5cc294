"""A person's observation: what no program can see, said by somebody with a name, for a limited time."""

from __future__ import annotations

from enum import StrEnum

from pydantic import ValidationError

from agents.reporter import Reporter
from agents.site import Site
from agents.state import State
from monitor.model.clock import Clock
from monitor.model.observation import Kind, Observation, Source, Subject
from monitor.model.span import Basis, Millis, to_millis


class What(StrEnum):
    """What can be attested."""

    ALARM_TEST = "alarm_test"
    COVERAGE_WALK = "coverage_walk"
    STORAGE = "storage"
    UPS = "ups"
    SIGNAGE = "signage"


SPEAKS_OF: dict[What, tuple[str, ...]] = {
    What.ALARM_TEST: ("institution",),
    What.COVERAGE_WALK: ("zone", "institution"),
    What.STORAGE: ("recorder", "camera", "institution"),
    What.UPS: ("recorder", "institution"),
    What.SIGNAGE: ("zone", "institution"),
}
"""Kinds of subjects that a statement can be about: one about anything else would be read by nobody."""


class AttestError(Exception):
    """The statement can't be taken; the text is one sentence."""


def attest(
    site: Site, state: State, clock: Clock, what: What, subject: str, *, by: str, valid: Millis, fault: bool = False
) -> Observation:
    """Keep a statement that `what` is in order (or at fault) on `subject` (KIND/ID), and report it when enrolled.

    It holds for `valid` ms.

    Raises AttestError for a subject that the site doesn't have or a statement without a person.
    """
    at = to_millis(clock.now())
    if not by.strip():
        raise AttestError("--by is empty: write the name of the person who saw it")
    if valid <= 0:
        raise AttestError("--valid must be longer than nothing: write it like 31d")
    observation = Observation(
        subject=_subject(site, what, subject),
        kind=Kind.ATTESTATION,
        start=at,
        end=at,
        state="fault" if fault else "ok",
        basis=Basis.ATTESTED,
        source=Source.PERSON,
        expires=at + valid,
        facts={"what": what.value, "by": by.strip()[:200]},
    )
    journal = state.journal()
    try:
        journal.append([observation])
    finally:
        journal.close()
    if state.enrolment() is not None:
        _report(state, clock, observation)
    return observation


def _report(state: State, clock: Clock, observation: Observation) -> None:
    outbox = state.outbox()
    try:
        identity = state.identity()
        if identity is not None:
            Reporter(outbox, clock, identity, state.boot).report([observation])
    finally:
        outbox.close()


def _subject(site: Site, what: What, text: str) -> Subject:
    try:
        subject = Subject.parse(text)
    except ValidationError:
        raise AttestError(
            f"--subject {text!r} is no subject: write KIND/ID, such as zone/gate or institution/{site.institution.id}"
        ) from None
    if subject.kind not in SPEAKS_OF[what]:
        raise AttestError(
            f"--subject {text}: {what} is said of {' or '.join(SPEAKS_OF[what])}, not of a {subject.kind}"
        )
    known = {
        "institution": [site.institution.id],
        "zone": [item.id for item in site.zones],
        "camera": [item.id for item in site.cameras],
        "recorder": [item.id for item in site.recorders],
    }[subject.kind]
    if subject.id not in known:
        there = f"there are {', '.join(known)}" if known else "there is none"
        raise AttestError(f"--subject {text}: {site.path} has no {subject.kind} of that id; {there}")
    return subject
