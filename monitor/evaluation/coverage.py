"""Coverage: every required zone has a working camera, and somebody vouches for the whole room."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import JsonValue

from monitor.evaluation.basis import Judgement, camera_subject, institution, zone_subject
from monitor.model.inventory import Room, Zone
from monitor.model.ledger import Facts, evidence_of
from monitor.model.observation import Evidence, Kind, Observation, Subject
from monitor.model.regulation import ForbiddenZone, ZoneCoverage
from monitor.model.verdict import Cause, Outcome, Verdict


def judge_coverage(judgement: Judgement, requirement: ZoneCoverage) -> list[Verdict]:
    """Judge every zone whose room the pack requires, and the institution where a required room is not declared."""
    facts, rooms = judgement.facts, judgement.regulation.rooms
    declared = {zone.room for zone in facts.inventory.zones}
    absent = [room for room in rooms.must_exist if room not in declared]
    zones = [zone for zone in facts.inventory.zones if zone.room in rooms.required]
    verdicts = [_zone(judgement, requirement, zone) for zone in zones]
    return ([_no_zone(judgement, requirement, absent)] if absent else []) + verdicts


def _no_zone(judgement: Judgement, requirement: ZoneCoverage, absent: list[Room]) -> Verdict:
    names = ", ".join(room.value for room in absent)
    reason = f"No zone is declared for: {names}."
    measured: dict[str, JsonValue] = {"rooms": [room.value for room in absent]}
    subject = institution(judgement.facts)
    return Verdict(
        requirement, subject, Outcome.BREACHED, "no_zone", reason, judgement.as_of, measured,
        _inventory_evidence(judgement.facts),
    )  # fmt: skip


def _zone(judgement: Judgement, requirement: ZoneCoverage, zone: Zone) -> Verdict:
    facts, subject = judgement.facts, zone_subject(zone.id)
    cameras = [camera.id for camera in facts.inventory.cameras_of(zone.id)]
    measured: dict[str, JsonValue] = {"cameras": [*cameras], "room": zone.room.value}

    def verdict(
        outcome: Outcome, state: str, reason: str, because_of: Cause | None = None, *extra: Evidence
    ) -> Verdict:
        looked = facts.as_of
        evidence = (*extra, *_inventory_evidence(facts))
        return Verdict(requirement, subject, outcome, state, reason, looked, measured, evidence, because_of=because_of)

    if not cameras:
        return verdict(Outcome.BREACHED, "no_camera", "No camera is declared to show this zone.")
    standing = [(camera_id, *_standing(judgement, camera_id)) for camera_id in cameras]
    working = [camera_id for camera_id, state, _ in standing if state == "ok"]
    unapproved = [camera_id for camera_id, state, _ in standing if state == "unapproved"]
    if not working and unapproved:
        measured["unapproved"] = [*unapproved]
        reason = "A camera shows it; that this is the view it is meant to show has not been approved."
        return verdict(Outcome.UNDETERMINED, "camera_present_only", reason)
    if not working:
        return _none_working(standing, verdict)
    proof = _proof(facts, subject)
    if "camera" in requirement.proof or ("attested" in requirement.proof and proof is not None):
        extra = () if proof is None else (evidence_of(proof, f"walked by {proof.facts.get('by')}"),)
        return verdict(Outcome.MET, "ok", f"Camera {', '.join(working)} shows it.", None, *extra)
    reason = "A camera shows it; that the whole room is covered has been neither attested nor planned."
    return verdict(Outcome.UNDETERMINED, "camera_present_only", reason)


_WRONG = (
    ("camera_down", "camera {} is down", "cameras {} are down"),
    ("view_faulty", "the picture of camera {} is not usable", "the pictures of cameras {} are not usable"),
    ("unknown", "what camera {} shows is not known", "what cameras {} show is not known"),
)
"""States of a camera that doesn't work for its zone, the surest and worst first: what is said of one, and of several."""


def _none_working(standing: list[tuple[str, str, Cause | None]], verdict: Callable[..., Verdict]) -> Verdict:
    """No camera of the zone works for certain: say the worst that is sure, whose fault it is, and of each camera what is wrong with it."""
    states = {state for _, state, _ in standing}
    named = next(state for state in ("unknown", "camera_down", "view_faulty") if state in states)
    cause = next((cause for _, state, cause in standing if state == named and cause is not None), None)
    outcome = Outcome.UNDETERMINED if named == "unknown" else Outcome.BREACHED
    parts = [
        (one if len(cameras) == 1 else many).format(", ".join(cameras))
        for wrong, one, many in _WRONG
        if (cameras := [camera_id for camera_id, state, _ in standing if state == wrong])
    ]
    reason = "; ".join(parts)
    return verdict(outcome, named, f"{reason[0].upper()}{reason[1:]}.", cause)


def _standing(judgement: Judgement, camera_id: str) -> tuple[str, Cause | None]:
    """Return whether a camera works for its zone, and the verdict behind it.

    It is one of ok, camera_down, view_faulty, unapproved (the pack asks for an approved view), unknown. What the pack
    does not ask for is not held against the camera.
    """
    subject = camera_subject(camera_id)
    uptime, view = judgement.of("uptime", subject), judgement.of("view", subject)
    for verdict, breached in ((uptime, "camera_down"), (view, "view_faulty")):
        if verdict is None or verdict.outcome is Outcome.MET:
            continue
        camera = judgement.facts.inventory.camera(camera_id)
        if verdict is view and camera is not None and not camera.has_stream:
            continue
        if verdict.state == "no_baseline":
            return "unapproved", None
        state = breached if verdict.outcome is Outcome.BREACHED else "unknown"
        return state, verdict.because_of or Cause(verdict.requirement.kind, subject)
    return "ok", None


def _proof(facts: Facts, subject: Subject) -> Observation | None:
    """Return the newest coverage walk of the zone (or of the whole institution) if it holds: a later fault undoes it."""
    walks = [
        item
        for owner in (subject, institution(facts))
        for item in facts.attestations.get(("coverage_walk", owner), ())
        if item.start <= facts.as_of <= item.expires
    ]
    newest = max(walks, key=Observation.sort_key, default=None)
    return newest if newest is not None and newest.state == "ok" else None


def _inventory_evidence(facts: Facts) -> tuple[Evidence, ...]:
    newest = facts.instant(Kind.INVENTORY, institution(facts))
    return () if newest is None else (evidence_of(newest.observation, "as declared"),)


def judge_forbidden(judgement: Judgement, requirement: ForbiddenZone) -> list[Verdict]:
    """Judge every camera: none may be in a forbidden room."""
    facts, forbidden = judgement.facts, judgement.regulation.rooms.forbidden
    verdicts = []
    for camera in facts.inventory.cameras:
        inside = [zone for zone in facts.inventory.zones if zone.id in camera.zones and zone.room in forbidden]
        known = [zone for zone in facts.inventory.zones if zone.id in camera.zones]
        measured: dict[str, JsonValue] = {"zones": [zone.id for zone in inside]}
        subject, evidence = camera_subject(camera.id), _inventory_evidence(facts)
        if inside:
            named = ", ".join(f"{zone.id} ({zone.room.value})" for zone in inside)
            reason = f"The camera shows a room where none may be: {named}."
            outcome, state = Outcome.BREACHED, "inside"
        elif known:
            outcome, state, reason = Outcome.MET, "clear", "The camera shows no forbidden room, as declared."
        else:
            outcome, state, reason = Outcome.UNDETERMINED, "unknown", "No zone is declared for the camera."
        verdicts.append(Verdict(requirement, subject, outcome, state, reason, facts.as_of, measured, evidence))
    return verdicts
