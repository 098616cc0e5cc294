"""Checks a bundle: signatures, links, and the verdict computed again from the reports. What it can't tell it says too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from monitor.evaluation.judge import judge
from monitor.evidence.bundle import Bundle, BundleError
from monitor.model.calendar import Waiver
from monitor.model.chain import Chain, read_chain
from monitor.model.envelope import Envelope, unframe
from monitor.model.inventory import Inventory
from monitor.model.jws import SignatureError
from monitor.model.ledger import fold, with_approvals
from monitor.model.observation import Observation, Subject
from monitor.model.regulation import Regulation
from monitor.model.report import Report
from monitor.model.suite import BadKey, PublicKey
from monitor.model.verdict import Verdict
from monitor.model.view import Approval

_WAIVERS = TypeAdapter(tuple[Waiver, ...])
_APPROVALS = TypeAdapter(dict[str, list[Approval]])


@dataclass
class Result:
    """What was found, in sentences."""

    holds: list[str] = field(default_factory=list)
    fails: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What speaks neither for nor against it: missing reports, forks, keys that were revoked later."""


def check_bundle(bundle: Bundle) -> Result:
    """Check everything that can be checked. Raises BundleError when a part can't be read at all."""
    result = Result()
    altered = bundle.altered()
    result.fails += [f"{name} is not the file that the index names" for name in altered]
    if not altered:
        result.holds.append(f"all {len(bundle.names())} files are those that the index names")
    try:
        observations = [item for name in _agents(bundle) for item in _agent(bundle, name, result)]
        _judged(bundle, observations, result)
    except (ValidationError, BadKey, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"the bundle can't be read: {type(error).__name__}") from None
    return result


def _agents(bundle: Bundle) -> list[str]:
    found = bundle.json("agents.json")
    return sorted(found)


def _agent(bundle: Bundle, agent: str, result: Result) -> Iterator[Observation]:
    """Check an agent's envelopes; give the observations of those whose signature holds."""
    about = bundle.json("agents.json")[agent]
    keys = {key_id: PublicKey.of(item["jwk"]) for key_id, item in about["keys"].items()}
    data = bundle.read(about["reports"]["file"])
    bodies = unframe(data, most=len(data)) if data else []
    count = len(bodies)
    if count != about["reports"]["count"]:
        result.fails.append(
            f"agent {agent}: {about['reports']['count']} reports are said to be there, and there are {count}"
        )
    envelopes: list[Envelope] = []
    for number, body in enumerate(bodies, 1):
        try:
            envelopes.append(_proved(body, keys, bundle.index["institution"], agent))
        except SignatureError as error:
            result.fails.append(f"agent {agent}, report {number} in the file: {error}")
    broken = list(_broken_links(envelopes, read_chain(about["chain"])))
    result.fails += [f"agent {agent}: {text}" for text in broken]
    if len(envelopes) == count and not broken:
        result.holds.append(
            f"agent {agent}: {count} reports, each signed by the agent's key and linked to the one before"
        )
    if about["missing"]:
        result.notes.append(f"agent {agent}: {about['missing']} reports are known to be missing")
    if about["forked_at"] is not None:
        result.notes.append(f"agent {agent}: its reports fork, a backup was restored or a copy of it ran")
    if any(item["revoked_at"] is not None for item in about["keys"].values()):
        result.notes.append(f"agent {agent}: a key of it was revoked later")
    left_out = {tuple(item) for item in about["reports"].get("misdated", ())}
    if left_out:
        result.notes.append(f"agent {agent}: {len(left_out)} reports say a time that can't be, and count for nothing")
    for item in envelopes:
        if (item.place.boot, item.place.sequence) not in left_out:
            yield from Report.from_bytes(item.payload).observations


def _proved(body: bytes, keys: dict[str, PublicKey], institution: str, agent: str) -> Envelope:
    envelope = Envelope.read(body)
    header = envelope.protected
    key = keys.get(header.kid)
    if key is None:
        raise SignatureError("unknown_key", "it is signed with a key that the bundle doesn't hold")
    envelope.verify(key)
    if (header.institution, header.agent) != (institution, agent):
        raise SignatureError("cross_site", f"it is of {header.institution}/{header.agent}")
    return envelope


def _broken_links(envelopes: list[Envelope], chain: Chain) -> Iterator[str]:
    """Say what is followed and not there, unless it was missing when the reports came in."""
    places = {item.place for item in envelopes}
    holes = {item.after for item in chain.segments}
    for item in envelopes:
        after = item.protected.after
        if after is not None and after not in places and after not in holes and not chain.settled:
            here = item.protected
            yield f"report {after.sequence} of boot {after.boot}, which report {here.sequence} of boot {here.boot} follows, is not there"


def _judged(bundle: Bundle, observations: list[Observation], result: Result) -> None:
    """Compute the verdict again, and compare it with the one of the finding."""
    computation, finding = bundle.json("computation.json"), bundle.json("finding.json")
    verdict = _verdict(bundle, computation, finding, observations)
    said = computation["reading"]
    name = f"{finding['requirement']} of {finding['subject']['kind']}/{finding['subject']['id']}"
    if verdict is None:
        result.fails.append(f"the reports don't come to any verdict on {name}")
        return
    found = verdict.to_json()
    if (found["state"], found["measured"]) == (said["state"], said["measured"]):
        result.holds.append(f"the reports come to the same verdict as of {said['at']}: {name} is {found['state']}")
    else:
        what = "other figures" if found["state"] == said["state"] else f"{found['state']}, not {said['state']}"
        result.fails.append(f"the reports come to another verdict as of {said['at']} on {name}: {what}")


def _verdict(bundle: Bundle, said: dict[str, Any], finding: dict[str, Any], seen: list[Observation]) -> Verdict | None:
    inventory = None if said["inventory"] is None else Inventory.model_validate(said["inventory"])
    facts = fold(seen, said["as_of"], inventory=inventory, waivers=_WAIVERS.validate_python(said["waivers"]))
    if facts is None:
        return None
    facts = with_approvals(facts, _APPROVALS.validate_python(said["approvals"]))
    verdicts = judge(
        facts,
        Regulation.model_validate(bundle.json("regulation.json")),
        last_reports=said["last_reports"],
        undetermined_since={(kind, Subject.parse(subject)): at for kind, subject, at in said["undetermined_since"]},
        listening_since=said["listening_since"],
        clocks_disputed=said.get("clocks_disputed", False),
    )
    wanted = (finding["requirement"], Subject.model_validate(finding["subject"]))
    return next((item for item in verdicts if item.key == wanted), None)
