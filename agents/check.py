"""One look at everything now, judged here: what an installer runs on site, and what explains itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from agents.glance import HOLDS_FOR, Glance
from agents.rtsp.request import Deadlines
from agents.scan.memory import Keep
from agents.scan.recorder import Progress
from agents.scan.rounds import Rounds
from agents.site import CameraConfig, Site
from agents.state import State
from agents.station import Station
from agents.views import ViewBook
from agents.watch.decoder import Decoder
from monitor.evaluation.contradictions import proof_text
from monitor.evaluation.judge import judge
from monitor.model.calendar import Waiver
from monitor.model.clock import Clock
from monitor.model.inventory import Inventory
from monitor.model.ledger import Facts, first_seen, fold, with_approvals
from monitor.model.observation import Kind, Observation, Source, Subject
from monitor.model.regulation import Regulation
from monitor.model.span import HOUR, MINUTE, SECOND, Basis, Millis, isoformat, to_millis
from monitor.model.verdict import Cause, Outcome, Verdict

CHECK_DEADLINES = Deadlines(connect=3.0, answer=4.0, total=8.0, first_frame=9.0, stall=Deadlines().stall)
"""A pause between frames is a stall where it is one for the service."""
INDEX_WINDOW: Millis = 10 * MINUTE
"""A camera that only its index tells of is judged by the last minutes of it."""

EXCHANGE_LENGTH = 500
"""How much of a recorder's answer --explain prints."""

RESUMED_WITHIN: Millis = 6 * HOUR
"""A check that was cut off so lately goes on where it was; what is older is looked at anew."""

KEPT_KINDS = frozenset({Kind.CLOCK, Kind.RECORDINGS})
"""What a check adds to the agent's journal: the recorders' indexes, and the clocks that they go by; what was lost of them,
where it is this check that remembers it."""

HISTORY_KINDS = frozenset(
    {
        Kind.ATTESTATION, Kind.CLOCK, Kind.RECORDINGS, Kind.FOOTAGE_LOST, Kind.INVENTORY, Kind.MAIN_STREAM, Kind.PROOF,
        Kind.TWIN, Kind.WRITTEN,
    }
)  # fmt: skip
"""What earlier runs tell a check: statements, clock offsets, old index readings, what was lost of them, main streams, proofs,
which cameras show the same, what is written a day; never whether something was up."""


@dataclass
class Explained:
    """What was asked, answered and measured for one subject, in lines for people."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    shown: dict[str, list[str]] = field(default_factory=dict)
    """The same, with what is long told shorter."""

    def tell(self, subject: str, line: str, *shorter: str) -> None:
        """Add a line; what people read on a terminal are the `shorter` ones, where there are any."""
        self.lines.setdefault(subject, []).append(line)
        self.shown.setdefault(subject, []).extend(shorter or (line,))


@dataclass(frozen=True)
class Checked:
    """The outcome of a check."""

    as_of: Millis
    regulation: Regulation
    verdicts: tuple[Verdict, ...]
    observations: tuple[Observation, ...]
    explained: Explained
    notes: tuple[str, ...] = ()
    """What keeps the agent from knowing more, in a sentence each."""

    @property
    def exit_code(self) -> int:
        """0 all met, 1 something breached, 3 nothing breached but something undetermined."""
        outcomes = {verdict.outcome for verdict in self.verdicts}
        if Outcome.BREACHED in outcomes:
            return 1
        return 3 if Outcome.UNDETERMINED in outcomes else 0


async def check(  # noqa: PLR0913  (each is given by its name)
    site: Site,
    regulation: Regulation,
    clock: Clock,
    *,
    history: Sequence[Observation] = (),
    seen_first: Mapping[Subject, Millis] | None = None,
    inventory: Inventory | None = None,
    waivers: Sequence[Waiver] = (),
    views: ViewBook | None = None,
    camera: str | None = None,
    retry_credentials: bool = False,
    memory: Keep | None = None,
    state: State,
    progress: Progress | None = None,
) -> Checked:
    """Look at everything (or at one camera and its recorder), and judge it by `regulation`.

    `history` is what the agent's journal holds, `seen_first` since when it knows each subject; `inventory` is the
    approved one where there is one, `views` are those approved of the cameras, `memory` knows what was seen of the
    recorders before. `progress` is told how far the index scans are; readings go into the journal of `state` as they
    come, so that a check which is cut off goes on where it was.
    Raises SecretError or OptionsError when the site can't be asked at all.
    """
    seen: list[Observation] = []
    explained = Explained()
    learnt = state.learnt_budgets()
    station = Station(site, clock, seen.append, deadlines=CHECK_DEADLINES, learnt=learnt, memory=memory)
    for budget in station.budgets.values() if state.is_running() else ():
        budget.limit = None if budget.limit is None else 1  # the service holds our share: those left are people's
    if retry_credentials:
        station.breaker.retry()
    began = to_millis(clock.now())
    seen.append(_declared(site, began))
    cameras = [item for item in site.cameras if camera in (None, item.id)]
    recorders = {item.recorder for item in cameras} if camera else {item.id for item in site.recorders}
    decoder = Decoder()
    looks = [
        Glance(
            station,
            decoder,
            item,
            seen.append,
            explained.tell,
            views.of(item.id) if views else (),
            main=regulation.requirements.picture_quality is not None,
        ).run()
        for item in cameras
        if site.has_stream(item)
    ]
    journal = state.journal()
    played = _played(journal.spans_between(began - HOUR, began), began)
    told, kinds = 0, KEPT_KINDS | {Kind.FOOTAGE_LOST} if memory is state else KEPT_KINDS

    async def keep() -> None:
        nonlocal told
        journal.append([item for item in seen[told:] if item.kind in kinds])
        told = len(seen)

    asks = []
    for recorder_id in sorted(filter(None, recorders)):
        scan = station.scans[recorder_id]
        scan.cameras = tuple(item for item in scan.cameras if camera in (None, item.camera))
        station.settings_scans[recorder_id].cameras = scan.cameras
        rounds = Rounds(
            scan, zone=site.timezone, journal=journal, kept=state, keep=keep, now=lambda: to_millis(clock.now()),
            progress=progress, name="check",
        )  # fmt: skip
        asks.append(_ask(station, recorder_id, regulation, seen.append, rounds))
    try:
        trouble, *_ = await asyncio.gather(station.gateway_trouble(), *looks, *asks)
    finally:
        journal.close()
        await decoder.close()
        for recorder_id, driver in station.drivers.items():
            for exchange in driver.exchanges:
                answered = " ".join(exchange.answered.split())
                short = answered if len(answered) <= EXCHANGE_LENGTH else f"{answered[:EXCHANGE_LENGTH]} ..."
                explained.tell(f"recorder/{recorder_id}", f"{exchange.asked} -> {short}")
        await station.close()
    as_of = to_millis(clock.now())
    seen[:] = [_as_played(item, played.get(item.subject), explained) for item in seen]
    kept = [item for item in history if item.kind in HISTORY_KINDS]
    facts = fold([*kept, *seen], as_of, inventory=inventory or site.inventory(), waivers=waivers)
    if facts is None:  # an inventory was given: there is always something to judge
        raise RuntimeError("a check without an inventory")
    facts = with_approvals(facts, views.approvals() if views else {})
    for item in cameras:
        explained.tell(f"camera/{item.id}", last_proof(facts, item.id))
    verdicts = judge(_since_window(first_seen(facts, seen_first or {})), _look_as_window(regulation, as_of - began))
    if camera is not None:
        verdicts = tuple(_of_asked(item, site, verdicts, camera) for item in verdicts if _concerns(item, cameras))
    return Checked(as_of, regulation, verdicts, tuple(seen), explained, () if trouble is None else (trouble,))


def _played(spans: Sequence[Observation], at: Millis) -> dict[Subject, Observation]:
    """Return which cameras play a recording, by what the service told of them last, as far as that may still be presumed."""
    newest = {
        item.subject: item for item in sorted(spans, key=lambda item: (item.end, item.start)) if item.kind is Kind.VIEW
    }
    return {subject: item for subject, item in newest.items() if item.state == "looped" and item.expires > at}


def _as_played(seen: Observation, known: Observation | None, explained: Explained) -> Observation:
    """Return what a look comes to where the service knows of a recording that is played as live: each of its pictures is a good one."""
    if known is None or seen.kind is not Kind.VIEW or seen.state != "ok":
        return seen
    detail = f"no single look can tell it: the service, which watches all the time, saw a recording played as live until {isoformat(known.end // SECOND * SECOND)}"
    explained.tell(str(seen.subject), detail)
    return seen.model_copy(update={"state": known.state, "cause": None, "start": known.start, "detail": detail})


def last_proof(facts: Facts, camera: str) -> str:
    """Say what the service proved of a camera's footage: a check plays none."""
    proofs = facts.proofs.get(camera, ())
    if not proofs:
        return "proof by decoding: none yet; the service plays a minute of the footage a day, in quiet hours"
    told = [(proof_text(item), item.observation.detail) for item in proofs[-2:] if item.far or item is proofs[-1]]
    said = "; ".join(f"{text}: {detail}" if detail else text for text, detail in told)
    return f"proof by decoding, {isoformat(proofs[-1].at)}: {said}"


def _declared(site: Site, at: Millis) -> Observation:
    facts: dict[str, JsonValue] = site.inventory().model_dump(mode="json", by_alias=True)
    subject = Subject(kind="institution", id=site.institution.id)
    return Observation(
        subject=subject, kind=Kind.INVENTORY, start=at, end=at, state="declared", source=Source.PERSON,
        expires=at + HOLDS_FOR, facts=facts,
    )  # fmt: skip


def _look_as_window(regulation: Regulation, look: Millis) -> Regulation:
    """For uptime the look is the window: what was not looked at is not held against it."""
    uptime = regulation.requirements.uptime
    if uptime is None:
        return regulation
    changed = uptime.model_copy(update={"window": max(look, INDEX_WINDOW), "minimum_known_ratio": 0.0})
    return regulation.model_copy(
        update={"requirements": regulation.requirements.model_copy(update={"uptime": changed})}
    )


def _since_window(facts: Facts) -> Facts:
    """Let the index speak for cameras without a stream, over the last minutes."""
    seen = dict(facts.inventory_seen)
    for camera in facts.inventory.cameras:
        if not camera.has_stream:
            subject = Subject(kind="camera", id=camera.id)
            seen[subject] = min(seen.get(subject, facts.as_of), facts.as_of - INDEX_WINDOW)
    return replace(facts, inventory_seen=seen)


def _concerns(verdict: Verdict, cameras: Sequence[CameraConfig]) -> bool:
    ids: dict[str, set[str | None]] = {
        "camera": {item.id for item in cameras},
        "recorder": {item.recorder for item in cameras},
        "zone": {zone for item in cameras for zone in item.zones},
    }
    return verdict.subject.id in ids.get(verdict.subject.kind, set())


def _of_asked(verdict: Verdict, site: Site, verdicts: Sequence[Verdict], asked: str) -> Verdict:
    """Say of a zone that other cameras show too, and weren't asked, what was asked: not that nothing is known of them."""
    others = [item.id for item in site.cameras if item.id != asked and verdict.subject.id in item.zones]
    if verdict.requirement.kind != "zone_coverage" or verdict.state != "unknown" or not others:
        return verdict
    mine = Subject(kind="camera", id=asked)
    found = (
        item
        for kind in ("uptime", "view")
        for item in verdicts
        if item.subject == mine and item.requirement.kind == kind and item.outcome is not Outcome.MET
    )
    worst = next(found, None)
    state = f" ({worst.requirement.kind} {worst.state})" if worst else ""
    who = f"{', '.join(others)}, which may show this zone, {'was' if len(others) == 1 else 'were'} not asked"
    reason = f"Only camera {asked} was asked{state}; {who}."
    cause = None if worst is None else worst.because_of or Cause(worst.requirement.kind, mine)
    return replace(verdict, reason=reason, because_of=cause)


async def _ask(
    station: Station,
    recorder_id: str,
    regulation: Regulation,
    sink: Callable[[Observation], None],
    rounds: Rounds,
) -> None:
    """Ask one recorder: does it answer, what does it say, what does it hold."""
    if station.reach.is_device(recorder_id):
        sink(await _reached(station, recorder_id))
    scan = station.scans[recorder_id]
    silent = await scan.look(HOLDS_FOR)
    if silent is not None:  # each camera's index would wait as long for nothing
        scan.unread(silent, HOLDS_FOR)
        return
    await station.settings_scans[recorder_id].ask(HOLDS_FOR)
    retention = regulation.requirements.retention
    rounds.forget(older=RESUMED_WITHIN)
    if await rounds.round(retention.required_days if retention else 2):
        rounds.forget()


async def _reached(station: Station, recorder_id: str) -> Observation:
    at = to_millis(station.clock.now())
    reached = await station.reach.ask(recorder_id)
    now = to_millis(station.clock.now())
    return Observation(
        subject=Subject(kind="recorder", id=recorder_id), kind=Kind.REACH, start=at, end=max(now, at + 1),
        state=reached.state, cause=reached.cause, basis=Basis.WATCHED, expires=now + HOLDS_FOR, detail=reached.detail,
    )  # fmt: skip


def as_json(site: Site, checked: Checked) -> dict[str, JsonValue]:
    """Return the contract's form of a check."""
    counts = {outcome.value: 0 for outcome in Outcome}
    for verdict in checked.verdicts:
        counts[verdict.outcome.value] += 1
    return {
        "schema": "cradlewatch.check/1",
        "institution": site.institution.id,
        "as_of": isoformat(checked.as_of // SECOND * SECOND),
        "regulation": checked.regulation.id,
        "summary": dict(counts),
        "verdicts": [verdict.to_json() for verdict in checked.verdicts],
    }
