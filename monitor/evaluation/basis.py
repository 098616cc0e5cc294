"""What every judgement needs: due time, subjects, and the verdict's usual endings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from monitor.model.calendar import closure_spans, local_date, open_time
from monitor.model.clock_offsets import never_right
from monitor.model.counted import counted
from monitor.model.inventory import Camera
from monitor.model.ledger import Facts
from monitor.model.observation import Subject
from monitor.model.recordings import RecordingFacts
from monitor.model.regulation import Due, DueTime, Regulation, Requirement, Retention
from monitor.model.span import Millis, Spans, to_millis
from monitor.model.verdict import Verdict

if TYPE_CHECKING:
    from monitor.evaluation.contradictions import Contradiction

R = TypeVar("R", bound=Requirement)


@dataclass
class Judgement:
    """One evaluation in the making: the facts, the pack, and the verdicts so far, which later ones may refer to."""

    facts: Facts
    regulation: Regulation
    last_reports: Mapping[str, Millis] | None = None
    undetermined_since: Mapping[tuple[str, Subject], Millis] = field(default_factory=dict)
    listening_since: Millis | None = None
    clocks_disputed: bool = False
    """The centre's clock and the median of its agents' disagree: nobody can say whose clock is off."""
    verdicts: dict[tuple[str, Subject], Verdict] = field(default_factory=dict)
    contradictions: tuple[Contradiction, ...] = ()
    """What can't be true together in the facts."""

    @property
    def as_of(self) -> Millis:
        """The instant of the judgement."""
        return self.facts.as_of

    def of(self, requirement: str, subject: Subject) -> Verdict | None:
        """Return the verdict already reached, if the pack asks for it."""
        return self.verdicts.get((requirement, subject))


Judge = Callable[[Judgement, R], list[Verdict]]


def institution(facts: Facts) -> Subject:
    """Return the institution as a subject."""
    return Subject(kind="institution", id=facts.inventory.institution.id)


def camera_subject(camera_id: str) -> Subject:
    """Return a camera as a subject."""
    return Subject(kind="camera", id=camera_id)


def recorder_subject(recorder_id: str) -> Subject:
    """Return a recorder as a subject."""
    return Subject(kind="recorder", id=recorder_id)


def zone_subject(zone_id: str) -> Subject:
    """Return a zone as a subject."""
    return Subject(kind="zone", id=zone_id)


def due_spans(facts: Facts, due: DueTime, camera: Camera, requirement: str, start: Millis, end: Millis) -> Spans:
    """Return the time in [start, end) that is owed of a camera: by its rooms, less closures and waivers."""
    subject = camera_subject(camera.id)
    if due.of(camera, facts.inventory) is Due.ALWAYS:
        return owed_spans(facts, requirement, subject, start, end)
    return open_time(facts.inventory, start, end).subtract(waived(facts, requirement, subject))


def owed_spans(facts: Facts, requirement: str, subject: Subject, start: Millis, end: Millis) -> Spans:
    """Return the time in [start, end) in which what is required round the clock is owed: all but closures and waivers."""
    inventory = facts.inventory
    closed = closure_spans(inventory.closures, inventory.institution.zone_info)
    return Spans.window(start, end).subtract(closed).subtract(waived(facts, requirement, subject))


def waived(facts: Facts, requirement: str, subject: Subject) -> Spans:
    """Return the time in which `requirement` is not owed of `subject`; a recorder's waiver speaks of its cameras, too."""
    camera = facts.inventory.camera(subject.id) if subject.kind == "camera" else None
    both = (subject,) if camera is None or camera.recorder is None else (subject, recorder_subject(camera.recorder))
    found = (item for item in facts.waivers if any(item.covers(requirement, one) for one in both))
    return Spans.empty().union(*(item.spans for item in found))


def hours_known(facts: Facts, due: DueTime, camera: Camera) -> bool:
    """Tell whether what is due can be computed at all: opening hours must be declared where the pack counts them."""
    return facts.inventory.hours is not None or due.of(camera, facts.inventory) is Due.ALWAYS


def commissioned_on(facts: Facts, camera: Camera) -> date | None:
    """Return when a camera came, as far as it may claim: no later than the agent first saw it."""
    if camera.commissioned is None:
        return None
    first = facts.inventory_seen.get(camera_subject(camera.id))
    if first is None:
        return camera.commissioned
    return min(camera.commissioned, local_date(first, facts.inventory.institution.zone_info))


def new_since(facts: Facts, requirement: Retention, camera: Camera, reading: RecordingFacts) -> Millis | None:
    """Return the first footage of a camera that is new, else None."""
    commissioned = commissioned_on(facts, camera)
    today = local_date(facts.as_of, facts.inventory.institution.zone_info)
    new = commissioned is not None and commissioned >= today - timedelta(days=requirement.required_days)
    return reading.footage.start if new else None


def unread(facts: Facts, camera: Camera) -> str | None:
    """Return why part of a camera's index says nothing though it was read; None where it is still to be read."""
    if not never_right(facts.offsets.get(camera.recorder or "", ())):
        return None
    return "the recorder's clock shows a date before 2000, so what it recorded can't be dated: set the recorder's clock"


def instant_of(value: object) -> Millis | None:
    """Read an instant as facts carry it; None for anything else."""
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return to_millis(instant) if instant is not None and instant.tzinfo is not None and instant.year >= 1970 else None


def days_text(count: int) -> str:
    """Return `1 day` or `N days`."""
    return counted(count, "day")


def duration_text(millis: Millis) -> str:
    """Return a length of time for people: the two largest units."""
    seconds = max(0, round(millis / 1000))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
