"""Checks a bundle: signatures, links, and the verdict computed again from the reports. What it can't tell it says too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from monitor.evaluation.cases import Move, moves
from monitor.evaluation.judge import judge, of_silence_alone
from monitor.evidence.bundle import Bundle, BundleError
from monitor.evidence.readings import finding_problems
from monitor.evidence.series import Series
from monitor.model.calendar import Waiver
from monitor.model.chain import read_chain
from monitor.model.counted import counted
from monitor.model.envelope import Envelope, unframe
from monitor.model.finding import Known, Run
from monitor.model.inventory import Inventory
from monitor.model.jws import SignatureError
from monitor.model.ledger import Facts, fold, with_approvals
from monitor.model.observation import Observation, Subject
from monitor.model.regulation import Regulation, pack_digest
from monitor.model.report import Report, is_misdated
from monitor.model.span import Millis, isoformat, parse_instant
from monitor.model.suite import PublicKey
from monitor.model.verdict import Cause, Episode, Outcome, Verdict
from monitor.model.view import Approval

_WAIVERS = TypeAdapter(tuple[Waiver, ...])
_APPROVALS = TypeAdapter(dict[str, list[Approval]])
_PARTS = ("agents.json", "computation.json", "finding.json", "regulation.json")


@dataclass
class Result:
    """What was found, in sentences."""

    holds: list[str] = field(default_factory=list)
    fails: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """Whose keys they are by the bundle's word, which nothing in it can prove."""
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
        until = bundle.json("computation.json")["as_of"]
        agents = _agents(bundle)
        result.fails += [
            f"{name} is no part of a bundle: nothing checks what it says" for name in _beyond(bundle, agents)
        ]
        observations = [item for name in agents for item in _agent(bundle, name, until, result)]
        _told(bundle, result)
        _judged(bundle, observations, result)
    except BundleError:
        raise
    # Whoever made the bundle may have written anything into it.
    except (
        ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, MemoryError
    ) as error:  # fmt: skip
        raise BundleError(f"the bundle can't be read: {type(error).__name__}") from None
    return result


def about_bundle(bundle: Bundle) -> list[str]:
    """Say what the bundle is said to prove, for somebody who has nothing but it. Raises BundleError."""
    try:
        finding, index = bundle.json("finding.json"), bundle.index
        subject, citation = finding["subject"], finding["citation"]
        until = "not over when the bundle was made" if finding["ended_at"] is None else f"until {finding['ended_at']}"
        return [
            f"finding {finding['id']} of institution {finding['institution']}, exported at {index['made_at']}",
            f"{finding['requirement']} of {subject['kind']} {subject['id']}: {finding['state']} from {finding['began_at']}, {until}",
            f"by {citation['title']}, {citation['clause']} ({citation['strength']}): {finding['reason']}",
        ]
    except (LookupError, TypeError, AttributeError) as error:
        raise BundleError(f"the bundle can't be read: {type(error).__name__}") from None


def _agents(bundle: Bundle) -> list[str]:
    found = bundle.json("agents.json")
    return sorted(found)


def _beyond(bundle: Bundle, agents: list[str]) -> list[str]:
    """Return what is in the bundle and is no part of it: whoever opens the zip would take it for checked, too."""
    said = bundle.json("agents.json")
    reports = {said[name]["reports"]["file"] for name in agents}
    return bundle.beyond({*_PARTS, *reports, *(f"received/{name}.json" for name in agents)})


def _agent(bundle: Bundle, agent: str, until: Millis, result: Result) -> Iterator[Observation]:
    """Check an agent's envelopes; give the observations of those whose signature holds and that count."""
    about = bundle.json("agents.json")[agent]
    keys = dict(_keys(agent, about["keys"], result))
    bodies = _bodies(bundle, agent, about["reports"], result)
    envelopes: list[Envelope] = []
    for number, body in enumerate(bodies, 1):
        try:
            envelopes.append(_proved(body, keys, bundle.index["institution"], agent))
        except SignatureError as error:
            result.fails.append(f"agent {agent}, report {number} in the file: {error}")
    series = Series.of(envelopes)
    wrong = [
        f"report {sequence} of boot {boot} is in the file {count} times"
        for (boot, sequence), count in Counter((item.place.boot, item.place.sequence) for item in envelopes).items()
        if count > 1
    ]
    wrong += series.wrong(read_chain(about["chain"]), about["missing"])
    result.fails += [f"agent {agent}: {text}" for text in wrong]
    if len(envelopes) == len(bodies) and not wrong:
        result.holds.append(
            f"agent {agent}: {counted(len(bodies), 'report')}, each signed by the agent's key and linked to the one before"
        )
    result.notes += [f"agent {agent}: {text}" for text in series.notes(about["missing"])]
    if left_out := about["reports"].get("unsigned_left_out"):
        result.notes.append(
            f"agent {agent}: not in the bundle: {counted(left_out, 'report')} from before reports were signed; what needs them can't be"
            " computed again"
        )
    if about["forked_at"] is not None and not series.forks:
        result.notes.append(f"agent {agent}: its reports forked later, a backup was restored or a copy of it ran")
    if any(item["revoked_at"] is not None for item in about["keys"].values()):
        result.notes.append(f"agent {agent}: a key of it was revoked later")
    yield from _counted(bundle, agent, about["reports"], envelopes, until, result)


def _keys(agent: str, said: dict[str, dict[str, Any]], result: Result) -> Iterator[tuple[str, PublicKey]]:
    """Give an agent's keys by their ids: what is called by an id and is another key would be taken for the agent's."""
    for key_id, item in said.items():
        key = PublicKey.of(item["jwk"])
        if key.id != key_id:
            result.fails.append(f"agent {agent}: the key that is called {key_id} is another one, {key.id}")
            continue
        times = {"registered": item["registered_at"], "replaced": item["replaced_at"], "revoked": item["revoked_at"]}
        text = ", ".join(f"{word} {isoformat(at)}" for word, at in times.items() if at is not None)
        result.keys.append(f"agent {agent}: {key_id}, {text}")
        yield key_id, key


def _bodies(bundle: Bundle, agent: str, about: dict[str, Any], result: Result) -> list[bytes]:
    data = bundle.read(about["file"])
    try:
        bodies = unframe(data, most=len(data)) if data else []
    except SignatureError as error:
        result.fails.append(f"agent {agent}: {about['file']} can't be taken apart: {error}")
        return []
    if len(bodies) != about["count"]:
        result.fails.append(
            f"agent {agent}: the index says {counted(about['count'], 'report')}, and the file holds {len(bodies)}"
        )
    return bodies


def _counted(
    bundle: Bundle, agent: str, about: dict[str, Any], envelopes: list[Envelope], until: Millis, result: Result
) -> Iterator[Observation]:
    """Give what counts: not what says a time that can't be, nor what the collector had not received by then."""
    received = _received(bundle, agent)
    undated = [item.place for item in envelopes if (item.place.boot, item.place.sequence) not in received]
    result.fails += [
        f"agent {agent}: when report {item.sequence} of boot {item.boot} came in is not said" for item in undated
    ]
    misdated = {tuple(item) for item in about.get("misdated", ())}
    beyond = {tuple(item) for item in about["later"]} if "later" in about else None
    """What had not come in; a bundle of before tells it by times alone."""
    later = stepped = 0
    for item in envelopes:
        place = (item.place.boot, item.place.sequence)
        nonce_at, at = received.get(place, (0, until))
        report = Report.from_bytes(item.payload)
        is_later = at > until if beyond is None else place in beyond
        stepped += is_later != (at > until)
        if place in misdated:
            if not is_misdated(report, nonce_at, at):
                result.fails.append(
                    f"agent {agent}: report {place[1]} of boot {place[0]} is left out, and says no time that can't be"
                )
        elif is_later:
            later += 1
        else:
            yield from report.observations
    if misdated:
        result.notes.append(f"agent {agent}: not counted: {counted(len(misdated), 'report')} with a time that can't be")
    if later:
        result.notes.append(
            f"agent {agent}: not counted in the reading: {counted(later, 'report')} that came in later, by the collector's word"
        )
    if stepped:
        result.notes.append(
            f"agent {agent}: by the collector's word {counted(stepped, 'report')} came in before the reading and not after it, or the other way"
            " round, though the times beside them say otherwise: its clock was set back"
        )


def _received(bundle: Bundle, agent: str) -> dict[tuple[str, int], tuple[Millis, Millis]]:
    """Return, by place, when each report's nonce was given and when it came in."""
    rows = bundle.json(f"received/{agent}.json")
    return {(boot, sequence): (nonce_at or 0, received_at) for boot, sequence, nonce_at, received_at in rows}


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


def _told(bundle: Bundle, result: Result) -> None:
    """Hold the finding against the readings that made it. A bundle of before has none but the newest, and proves no times."""
    finding, computation = bundle.json("finding.json"), bundle.json("computation.json")
    if (finding["institution"], finding["id"]) != (bundle.index["institution"], bundle.index["finding"]):
        result.fails.append("finding.json is another finding than the one that the index names")
    if "readings" not in computation:
        result.fails.append(
            "the finding's readings are not in this bundle: its times and its state can't be checked; export it anew"
        )
        return
    readings = computation["readings"]
    if parse_instant(computation["reading"]["at"]) != computation["as_of"]:
        result.fails.append("the verdict is computed again as of another instant than that of its reading")
    problems = list(finding_problems(finding, readings))
    if computation["reading"] not in readings:
        problems.append("the reading that is computed again is none of its readings")
    result.fails += [f"the finding: {text}" for text in problems]
    if not problems:
        result.holds.append(f"the finding is what its {len(readings)} readings say, and its id that of the first one")


def _judged(bundle: Bundle, observations: list[Observation], result: Result) -> None:
    """Compute the verdict again, and compare it with the one of the finding."""
    computation, finding = bundle.json("computation.json"), bundle.json("finding.json")
    said = computation["reading"]
    if not _is_by_its_regulation(bundle, computation, result):
        return
    verdict = _verdict(bundle, computation, finding, observations)
    name = f"{finding['requirement']} of {finding['subject']['kind']}/{finding['subject']['id']}"
    if verdict is None:
        result.fails.append(f"the reports don't come to any verdict on {name}")
        return
    found = verdict.to_json()
    if finding["citation"] != found["citation"]:
        result.fails.append("the finding: it cites another text than its regulation")
    told = _told_again(verdict, finding["id"], computation)
    what = f"{name} is {said['state']}" if told is None or told.retells else f"{name} was {_times(said)}"
    if told is not None and found["measured"] == said["measured"]:
        result.holds.append(f"the reports come to the same verdict as of {said['at']}: {what}")
    else:
        result.fails.append(
            f"the reports come to another verdict as of {said['at']} on {name}: {_other(verdict, said)}"
        )
    # Sentences and what they rest on may be others in another version of this program.
    reason = found["reason"] if told is None else told.reason
    if reason != said["reason"]:
        result.notes.append(f"computed again the reason reads: {reason}")
    if found["evidence"] != said["evidence"]:
        result.notes.append("computed again it rests on other evidence than its reading names")


def _told_again(verdict: Verdict, finding: str, computation: dict[str, Any]) -> Move | None:
    """Return what the verdict makes of the finding, where that is what the reading says; None where it isn't.

    Spans tell when a breach began and ended, be it over before the reading, as of what came in after an outage. Else
    looks do, by the collector's word; where they don't tell it, the verdict's own state has to be the reading's.
    """
    said, readings = computation["reading"], computation.get("readings", [])
    number = readings.index(said) if said in readings else 0
    before = [_known(finding, readings[number - 1])] if number else []
    told = _known(finding, said)
    for item in moves(verdict, _looks(computation), before, computation["as_of"]):
        if (item.episode.state, item.episode.began, item.episode.ended) == (told.state, told.began, told.ended):
            return item
    same = verdict.episodes is None and verdict.state == told.state
    return Move(verdict, None, Episode(told.state, told.began, told.ended)) if same else None


def _looks(computation: dict[str, Any]) -> tuple[Run, ...]:
    """Return the looks at the finding's subject; a bundle of before has none."""
    return tuple(
        Run(
            item["first"],
            item["last"],
            Outcome(item["outcome"]),
            item["state"],
            item["began"],
            _cause(item["because_of"]),
        )
        for item in computation.get("looks", ())
    )


def _cause(value: dict[str, Any] | None) -> Cause | None:
    return None if value is None else Cause(value["requirement"], Subject.model_validate(value["subject"]))


def _known(finding: str, reading: dict[str, Any]) -> Known:
    ended = None if reading["ended_at"] is None else parse_instant(reading["ended_at"])
    return Known(finding, reading["state"], parse_instant(reading["began_at"]), ended)


def _times(said: dict[str, Any]) -> str:
    until = "" if said["ended_at"] is None else f" until {said['ended_at']}"
    return f"{said['state']} from {said['began_at']}{until}"


def _other(verdict: Verdict, said: dict[str, Any]) -> str:
    if verdict.state != said["state"]:
        return f"{verdict.state}, not {said['state']}" if said["ended_at"] is None else f"not {_times(said)}"
    return "other figures" if verdict.measured != said["measured"] else f"not {_times(said)}"


def _is_by_its_regulation(bundle: Bundle, computation: dict[str, Any], result: Result) -> bool:
    """Tell whether the regulation is the one by which the reading was made; note which readings another one made."""
    pack, said = bundle.json("regulation.json"), computation["reading"].get("regulation")
    version = computation.get("regulation_version", pack["version"])
    if said is not None and pack_digest(pack) != said:
        result.fails.append("regulation.json is not the regulation by which the reading was made")
    if said is None and pack["version"] != version:
        result.fails.append(
            f"the finding was opened by version {version} of its regulation, which the collector had not kept, and version"
            f" {pack['version']} is here: the verdict can't be computed again"
        )
        return False
    others = [
        item["at"] for item in computation.get("readings", ()) if item.get("regulation", said) not in {said, None}
    ]
    if others:
        result.notes.append(
            f"{len(others)} readings, the first at {others[0]}, were made by another regulation than the one that opened the"
            " finding (a newer version, or the institution was given another one): they are told, and not computed again"
        )
    return True


def _verdict(bundle: Bundle, said: dict[str, Any], finding: dict[str, Any], seen: list[Observation]) -> Verdict | None:
    inventory = None if said["inventory"] is None else Inventory.model_validate(said["inventory"])
    facts = fold(seen, said["as_of"], inventory=inventory, waivers=_WAIVERS.validate_python(said["waivers"]))
    regulation = Regulation.model_validate(bundle.json("regulation.json"))
    if facts is None:
        if "undeclared" not in said:
            return None
        facts, regulation = (
            Facts(said["as_of"], Inventory.model_validate(said["undeclared"])),
            of_silence_alone(regulation),
        )
    facts = with_approvals(facts, _APPROVALS.validate_python(said["approvals"]))
    verdicts = judge(
        facts,
        regulation,
        last_reports=said["last_reports"],
        undetermined_since={(kind, Subject.parse(subject)): at for kind, subject, at in said["undetermined_since"]},
        listening_since=said["listening_since"],
        clocks_disputed=said.get("clocks_disputed", False),
    )
    wanted = (finding["requirement"], Subject.model_validate(finding["subject"]))
    return next((item for item in verdicts if item.key == wanted), None)


def compare_pack(bundle: Bundle, installed: Regulation | None, result: Result) -> None:
    """Say whether the bundle's regulation is that of this installation. Raises BundleError."""
    try:
        pack = Regulation.model_validate(bundle.json("regulation.json"))
    except ValueError as error:
        raise BundleError(f"the bundle can't be read: {type(error).__name__}") from None
    name = f"regulation.json, {pack.id} version {pack.version},"
    if installed is None:
        result.notes.append(f"{name} is no pack of this installation: compare it with the collector's")
    elif installed != pack:
        result.notes.append(f"{name} differs from this installation's version {installed.version}: compare them")
    else:
        result.holds.append(f"{name} is the pack of this installation")
