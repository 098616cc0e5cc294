"""Contradictions: where what a recorder says and what was seen can't both be true. Facts beside the verdicts, derived purely."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from pydantic import JsonValue

from monitor.evaluation.basis import camera_subject, due_spans, duration_text, hours_known, institution, new_since
from monitor.model.calendar import day_start, local_date
from monitor.model.inventory import Camera
from monitor.model.ledger import Facts, Timeline, evidence_of
from monitor.model.observation import Evidence, Observation, Subject
from monitor.model.observation import Kind as ObservationKind
from monitor.model.proof import KEPT, Proof
from monitor.model.regulation import Requirements, Retention, Uptime
from monitor.model.span import DAY, HOUR, MINUTE, Basis, Millis, Spans, isoformat, parse_instant
from monitor.model.verdict import Verdict

Key = tuple[str, Subject]
_NOTHING_ASKED = Requirements()
Kind = Literal[
    "unplayable",
    "wrong_camera",
    "other_view",
    "recorded_without_picture",
    "recorded_while_down",
    "stream_told_otherwise",
    "view_told_otherwise",
    "recorder_exchanged",
    "camera_exchanged",
    "same_picture",
    "closed_afterwards",
]

SHORTEST: Millis = 10 * MINUTE
"""What is shorter lies within what segments, lags and clocks leave open."""
TOGETHER: Millis = 5 * MINUTE
"""Stretches this near to each other are one."""
LASTS: Millis = HOUR
"""What was seen so lately still holds: the index is read once an hour."""
CLOSED_LATELY: Millis = 100 * DAY
"""So far back what was declared closed afterwards may still be asked after."""
MOST_SPANS = 20
CONTRADICTION = "contradiction"
"""The cause of a verdict that can't be reached because its evidence is contradicted."""

SHOWN_WITH: Mapping[Kind, tuple[str, ...]] = {
    "unplayable": ("retention", "recording_completeness", "uptime", "view"),
    "wrong_camera": ("retention", "recording_completeness", "uptime", "view"),
    "other_view": ("retention", "recording_completeness", "uptime", "view"),
    "recorded_without_picture": ("view", "retention", "uptime"),
    "recorded_while_down": ("uptime", "retention", "view"),
    "stream_told_otherwise": ("uptime",),
    "view_told_otherwise": ("view",),
    "recorder_exchanged": ("storage_health", "uptime", "recorder_clock", "undeclared_channel", "measurability"),
    "camera_exchanged": ("view", "uptime", "retention", "measurability"),
    "same_picture": ("view", "uptime", "retention", "measurability"),
    "closed_afterwards": ("retention", "uptime"),
}
"""With which verdict on the same subject each is shown: the first that there is."""


@dataclass(frozen=True)
class Contradiction:
    """One contradiction on one subject, over [start, end); `end` is None while it lasts."""

    kind: Kind
    subject: Subject
    start: Millis
    end: Millis | None
    text: str
    """One sentence in English."""
    figures: dict[str, JsonValue] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()

    def to_json(self) -> dict[str, JsonValue]:
        """Return it as verdicts, pages and the API show it."""
        return {
            "kind": self.kind,
            "subject": self.subject.model_dump(),
            "start_at": isoformat(self.start),
            "end_at": None if self.end is None else isoformat(self.end),
            "text": self.text,
            **self.figures,
        }


def contradictions(facts: Facts, asked: Requirements = _NOTHING_ASKED) -> tuple[Contradiction, ...]:
    """Return all contradictions that the facts hold, cameras first, in the order in which they are declared.

    Two failures of a proof count when they are on different calendar days, or so far apart as the pack says.
    """
    apart = asked.retention.proof_failures_apart if asked.retention is not None else None
    found: list[Contradiction | None] = []
    for camera in facts.inventory.cameras:
        proofs = facts.proofs.get(camera.id, ())
        found += [
            _unplayable(facts, camera.id, proofs, apart),
            _other_view(facts, camera.id, proofs, apart),
            _recorded(facts, camera.id, "recorded_without_picture", _without_picture(facts, camera.id)),
            _recorded(facts, camera.id, "recorded_while_down", _down(facts, camera.id)),
            _told_otherwise(facts, camera.id, "stream_told_otherwise", facts.streams.get(camera.id)),
            _told_otherwise(facts, camera.id, "view_told_otherwise", facts.views.get(camera.id)),
            _exchanged(facts, camera_subject(camera.id), "camera_exchanged"),
            *_same_picture(facts, camera_subject(camera.id)),
            _closed_afterwards(facts, camera, asked),
        ]
    found += [
        _exchanged(facts, Subject(kind="recorder", id=item.id), "recorder_exchanged")
        for item in facts.inventory.recorders
    ]
    return tuple(item for item in found if item is not None)


def shown(verdicts: dict[Key, Verdict], found: Iterable[Contradiction]) -> None:
    """Add each contradiction to the figures and the evidence of the verdict that it is shown with.

    A case of something unmeasured that it causes tells it too: nothing else would say there what contradicts what.
    """
    for item in found:
        keys = ((requirement, item.subject) for requirement in SHOWN_WITH[item.kind])
        first = next((key for key in keys if key in verdicts), None)
        case = verdicts.get(("measurability", item.subject))
        also = case.key if case is not None and case.cause == CONTRADICTION else None
        _add(verdicts, item, [key for key in dict.fromkeys((first, also)) if key is not None])


def _add(verdicts: dict[Key, Verdict], item: Contradiction, keys: Iterable[Key]) -> None:
    for key in keys:
        verdict = verdicts[key]
        before = verdict.measured.get("contradictions")
        listed = [*(before if isinstance(before, list) else []), item.to_json()]
        known = {evidence.digest for evidence in verdict.evidence}
        fresh = tuple(evidence for evidence in item.evidence if evidence.digest not in known)
        verdicts[key] = replace(
            verdict, measured={**verdict.measured, "contradictions": listed}, evidence=(*verdict.evidence, *fresh)
        )


def _unplayable(facts: Facts, camera: str, proofs: Sequence[Proof], apart: Millis | None) -> Contradiction | None:
    """The index lists what doesn't play: two failures on different days, and a newer minute that plays.

    A far minute that plays ends it; a minute that could not be tried neither ends nor confirms it.
    """
    far = [item for item in proofs if item.far and item.state != "not_proved"]
    failed = _since_last(far, lambda item: item.state == "played")
    if not _on_two_days(facts, failed, apart):
        return None
    newest = max(item.minute for item in failed)
    plays = [p for p in proofs if p.state == "played" and p.minute > newest and p.at >= failed[0].at]
    if not plays:
        return None
    days = sorted({isoformat(item.minute) for item in failed})
    text = (
        f"The index lists footage that does not play ({', '.join(days[-MOST_SPANS:])}), tried on different days, while"
        f" newer footage ({isoformat(plays[-1].minute)}) plays."
    )
    figures: dict[str, JsonValue] = {
        "minutes": list[JsonValue](days[-MOST_SPANS:]),
        "plays_at": isoformat(plays[-1].minute),
        "cause": failed[-1].cause,
    }
    evidence = tuple(evidence_of(item.observation, proof_text(item)) for item in (failed[0], failed[-1], plays[-1]))
    return Contradiction("unplayable", camera_subject(camera), failed[0].at, None, text, figures, evidence)


def _other_view(facts: Facts, camera: str, proofs: Sequence[Proof], apart: Millis | None) -> Contradiction | None:
    """What is played on different days is not the camera's view, be it another camera's or none that is known."""
    told = [item for item in proofs if item.state == "played" and item.view != "unknown"]
    other = _since_last(told, lambda item: item.view == "matches")
    if not _on_two_days(facts, other, apart):
        return None
    shows = {item.shows for item in other}
    named = next(iter(shows)) if len(shows) == 1 else None
    evidence = tuple(evidence_of(item.observation, proof_text(item)) for item in (other[0], other[-1]))
    subject, start = camera_subject(camera), other[0].at
    if named is not None:
        text = f"What the recorder plays as this camera's footage shows the view of {named}."
        return Contradiction("wrong_camera", subject, start, None, text, {"camera": named}, evidence)
    text = "What the recorder plays as this camera's footage does not show its approved view."
    return Contradiction("other_view", subject, start, None, text, {}, evidence)


def _since_last(items: Sequence[Proof], ends: Callable[[Proof], bool]) -> list[Proof]:
    """Return the items after the last one that ends what the others say."""
    last = max((number for number, item in enumerate(items) if ends(item)), default=-1)
    return list(items[last + 1 :])


def _on_two_days(facts: Facts, items: Sequence[Proof], apart: Millis | None) -> bool:
    if len(items) < 2:
        return False
    if apart is not None:
        return items[-1].at - items[0].at >= apart
    zone = facts.inventory.institution.zone_info
    return local_date(items[0].at, zone) != local_date(items[-1].at, zone)


def proof_text(proof: Proof) -> str:
    """Return what one proof says, for people: the minute, and what came of it."""
    came = {"played": "was played and decoded", "failed": "could not be played", "not_proved": "was not tried"}
    text = f"the minute of {isoformat(proof.minute)} {came[proof.state]}"
    if proof.cause is not None:
        text += f" ({proof.cause.replace('_', ' ')})"
    seen = {"matches": "; it shows the approved view", "other": "; it does not show the approved view", "unknown": ""}
    return text + (seen[proof.view] if proof.state == "played" else "")


def _without_picture(facts: Facts, camera: str) -> tuple[Spans, Observation | None]:
    """Return when a camera was seen black or frozen."""
    timeline = facts.views.get(camera)
    return (Spans.empty(), None) if timeline is None else (timeline.where("black", "frozen"), timeline.last)


def _down(facts: Facts, camera: str) -> tuple[Spans, Observation | None]:
    """Return when a camera's stream was down by the agent's own watch, or by the recorder's word on the channel."""
    timeline = facts.streams.get(camera)
    if timeline is None:
        return Spans.empty(), None
    seen = (Basis.WATCHED, Basis.RECORDER_SAYS)
    down = [(span.start, span.end) for span in timeline.spans if span.state == "down" and span.basis in seen]
    return Spans.of(down), timeline.last


def _recorded(facts: Facts, camera: str, kind: Kind, seen: tuple[Spans, Observation | None]) -> Contradiction | None:
    """The index lists footage of a time in which nothing was there to be recorded."""
    reading, (wrong, last) = facts.recordings.get(camera), seen
    if reading is None or not wrong:
        return None
    lately = wrong.clip(facts.as_of - KEPT, facts.as_of)
    both = reading.footage.intersect(lately).union(reading.locked.intersect(lately)).close_gaps(TOGETHER)
    spans = [(start, end) for start, end in both.tuples() if end - start >= SHORTEST]
    if not spans:
        return None
    total, (start, end) = sum(b - a for a, b in spans), spans[-1]
    ended = None if facts.as_of - end < LASTS and wrong.end is not None and facts.as_of - wrong.end < LASTS else end
    what = {
        "recorded_without_picture": "the camera showed a black or frozen picture",
        "recorded_while_down": "the camera's stream was down",
    }[kind]
    text = f"The index lists {duration_text(total)} of footage while {what}, the last from {isoformat(start)} on."
    listed: list[JsonValue] = [{"start_at": isoformat(a), "end_at": isoformat(b)} for a, b in spans[-MOST_SPANS:]]
    evidence = (evidence_of(reading.observation), *(() if last is None else (evidence_of(last),)))
    figures: dict[str, JsonValue] = {"seconds": total // 1000, "spans": listed}
    return Contradiction(kind, camera_subject(camera), start, ended, text, figures, evidence)


def _told_otherwise(facts: Facts, camera: str, kind: Kind, timeline: Timeline | None) -> Contradiction | None:
    """Of the same time a fault was told and that there was none: the better word counts, and is not the only one."""
    if timeline is None or not timeline.denied:
        return None
    lately = timeline.denied.clip(facts.as_of - KEPT, facts.as_of).close_gaps(TOGETHER)
    spans = [(start, end) for start, end in lately.tuples() if end - start >= SHORTEST]
    if not spans:
        return None
    total, (start, end) = sum(b - a for a, b in spans), spans[-1]
    what = "the stream was down" if kind == "stream_told_otherwise" else "the picture was at fault"
    text = (
        f"Of {duration_text(total)} it was told that {what}, and that it was not, the last from {isoformat(start)} on."
    )
    listed: list[JsonValue] = [{"start_at": isoformat(a), "end_at": isoformat(b)} for a, b in spans[-MOST_SPANS:]]
    figures: dict[str, JsonValue] = {"seconds": total // 1000, "spans": listed}
    evidence = () if timeline.last is None else (evidence_of(timeline.last),)
    return Contradiction(kind, camera_subject(camera), start, end, text, figures, evidence)


def _exchanged(facts: Facts, subject: Subject, kind: Kind) -> Contradiction | None:
    """Another device answers where one was pinned: of the last month, or for as long as it isn't the declared one."""
    newest = facts.instant(ObservationKind.IDENTITY, subject)
    if newest is None or newest.observation.state == "unknown":
        return None
    item, what = newest.observation, "recorder" if kind == "recorder_exchanged" else "camera behind the channel"
    since, evidence = _instant(item.facts.get("exchanged_at")), (evidence_of(newest.observation),)
    if item.facts.get("declared") is False:
        start = item.start if since is None else since
        text = f"The {what} is not the one that the site declares, seen so since {isoformat(start)}."
        return Contradiction(kind, subject, start, None, text, {"declared": True}, evidence)
    if since is None or not facts.as_of - KEPT <= since <= facts.as_of:
        return None
    text = f"The {what} was exchanged for another one, first seen at {isoformat(since)}."
    return Contradiction(kind, subject, since, None, text, {"declared": False}, evidence)


def _same_picture(facts: Facts, subject: Subject) -> list[Contradiction]:
    """Two declared cameras are one: one fact for each other one, as long as the agent sees them so."""
    newest = facts.instant(ObservationKind.TWIN, subject)
    if newest is None or not newest.readable or newest.observation.state != "same":
        return []
    item, told = newest.observation, newest.observation.facts.get("cameras")
    since = item.facts.get("since_at")
    start = since if type(since) is int and 0 <= since <= item.start else item.start
    what = "the same stream, frame by frame," if item.facts.get("by") == "stream" else "the same picture"
    return [
        Contradiction(
            "same_picture", subject, start, None, f"The camera shows {what} as {camera.id}, since {isoformat(start)}.",
            {"camera": camera.id}, (evidence_of(item),),
        )
        for camera in facts.inventory.cameras
        if camera.id != subject.id and isinstance(told, list) and camera.id in told
    ]  # fmt: skip


def _closed_afterwards(facts: Facts, camera: Camera, asked: Requirements) -> Contradiction | None:
    """Days were declared closed when they were past, and something that was owed is missing of them: that is to be seen."""
    late = facts.closed_late.clip(facts.as_of - CLOSED_LATELY, facts.as_of)
    if not late:
        return None
    open_all_along = replace(facts, inventory=facts.inventory.model_copy(update={"closures": ()}))
    wrong = _missing(open_all_along, camera, asked.retention).union(_was_down(open_all_along, camera, asked.uptime))
    wrong = wrong.intersect(late)
    near = [(wrong.clip(start, end).total(), start, end) for start, end in wrong.close_gaps(TOGETHER).tuples()]
    spans = [(start, end) for length, start, end in near if length >= SHORTEST]
    if not spans:
        return None
    total, (start, end) = sum(length for length, *_ in near if length >= SHORTEST), spans[-1]
    text = (
        f"Of days that were declared closed afterwards {duration_text(total)} are missing or were down, the last from"
        f" {isoformat(start)} on; nothing is owed of them by that declaration."
    )
    listed: list[JsonValue] = [{"start_at": isoformat(a), "end_at": isoformat(b)} for a, b in spans[-MOST_SPANS:]]
    declared = facts.instant(ObservationKind.INVENTORY, institution(facts))
    evidence = () if declared is None else (evidence_of(declared.observation, "as declared"),)
    figures: dict[str, JsonValue] = {"seconds": total // 1000, "spans": listed}
    return Contradiction("closed_afterwards", camera_subject(camera.id), start, end, text, figures, evidence)


def _missing(facts: Facts, camera: Camera, asked: Retention | None) -> Spans:
    """Return what is owed of a camera's recordings, and was not found: what is older than asked may have been deleted."""
    reading = facts.recordings.get(camera.id)
    if asked is None or reading is None or not hours_known(facts, asked.due, camera):
        return Spans.empty()
    zone = facts.inventory.institution.zone_info
    first_day = local_date(facts.as_of, zone) - timedelta(days=asked.required_days)
    start = max(facts.as_of - asked.required_days * DAY, day_start(first_day, zone))
    start = max(start, new_since(facts, asked, camera, reading) or start)
    end = max(start, facts.as_of - asked.newest_lag)
    owed = due_spans(facts, asked.due, camera, asked.kind, start, end).intersect(reading.scanned)
    return owed.subtract(reading.footage.close_gaps(asked.gap_tolerance)).subtract(reading.locked)


def _was_down(facts: Facts, camera: Camera, asked: Uptime | None) -> Spans:
    """Return when a camera was down that is owed."""
    down = facts.streams.get(camera.id, Timeline()).where("down")
    if asked is None or not down or not hours_known(facts, asked.due, camera):
        return Spans.empty()
    start = facts.as_of - CLOSED_LATELY
    return due_spans(facts, asked.due, camera, asked.kind, start, facts.as_of).intersect(down)


def _instant(value: JsonValue) -> Millis | None:
    try:
        return parse_instant(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
