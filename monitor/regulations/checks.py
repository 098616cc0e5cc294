"""What a pack's form allows but its meaning doesn't: dates, silent rooms, ratios of nothing, claims without a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

from monitor.model.regulation import Citation, Regulation, Requirement, Status, Strength, format_duration
from monitor.regulations.problem import Key

Finding = tuple[Key, str]


def check(pack: Regulation) -> Iterator[Finding]:
    """Yield (key, message) for everything in the pack that contradicts itself."""
    for one in CHECKS:
        yield from one(pack)


def _requirements(pack: Regulation) -> Iterator[tuple[Key, Requirement]]:
    for requirement in pack.requirements.all():
        yield ("requirements", requirement.kind), requirement


def _dates(pack: Regulation) -> Iterator[Finding]:
    yield from _in_order((), pack.effective_from, pack.effective_to)
    for key, requirement in _requirements(pack):
        yield from _in_order(key, requirement.effective_from or pack.effective_from, requirement.effective_to)


def _in_order(key: Key, start: date, end: date | None) -> Iterator[Finding]:
    if end is not None and end < start:
        yield (*key, "effective_to"), f"{end} lies before effective_from, {start}"


def _claims(pack: Regulation) -> Iterator[Finding]:
    """A duty whose wording nobody has verified must say so in words, not only by a mark."""
    for key, requirement in _requirements(pack):
        if _needs_note(requirement.citation):
            yield (
                (*key, "citation", "note"),
                "this key is missing; a binding text that is unverified needs a note that says what is known of it",
            )


def _needs_note(citation: Citation) -> bool:
    binding = citation.strength not in (Strength.INTERNAL, Strength.RECOMMENDED)
    return binding and citation.status is Status.UNVERIFIED and citation.note is None


def _rooms(pack: Regulation) -> Iterator[Finding]:
    """A list of rooms that nothing looks at, or a look that has no rooms, would pass in silence."""
    pairs = (
        ("zone_coverage", pack.requirements.zone_coverage, "required", pack.rooms.required),
        ("forbidden_zone", pack.requirements.forbidden_zone, "forbidden", pack.rooms.forbidden),
    )
    for kind, requirement, name, rooms in pairs:
        if requirement is not None and not rooms:
            yield ("requirements", kind), f"needs rooms to look at, but rooms.{name} is empty"
        if requirement is None and rooms:
            yield (
                ("rooms", name),
                f"names rooms, but requirements.{kind} is missing, so that nothing would look at them",
            )


def _numbers(pack: Regulation) -> Iterator[Finding]:
    requirements = pack.requirements
    spans = {
        ("uptime", "window"): requirements.uptime and requirements.uptime.window,
        ("agent_silence", "silent_after"): requirements.agent_silence and requirements.agent_silence.silent_after,
    }
    for key, value in spans.items():
        if value == 0:
            yield ("requirements", *key), "must be longer than 0s"
    retention = requirements.retention
    if retention is not None:
        for name in ("day_held_ratio", "mass_min_ratio"):
            if getattr(retention, name) == 0.0:
                yield (
                    ("requirements", "retention", name),
                    "must be more than 0, or days without footage would count as held",
                )


def _outages(pack: Regulation) -> Iterator[Finding]:
    """No outage within the grace is a lead: a limit below it would be a number that never acts."""
    uptime = pack.requirements.uptime
    for name in ("longest_outage_in_hours", "longest_outage_out_of_hours") if uptime else ():
        longest = getattr(uptime, name)
        if uptime is not None and longest < uptime.grace:
            message = f"{format_duration(longest)} is shorter than grace, {format_duration(uptime.grace)}, and could never act; it must not be"
            yield ("requirements", "uptime", name), message


def _offers(pack: Regulation) -> Iterator[Finding]:
    measurability = pack.requirements.measurability
    kinds = [requirement.kind for requirement in pack.requirements.all()]
    for index, name in enumerate(measurability.must_offer if measurability else ()):
        if name not in kinds:
            key: Key = ("requirements", "measurability", "must_offer", index)
            yield key, f"{name!r} is no requirement of this pack; it has {', '.join(kinds)}"


CHECKS: tuple[Callable[[Regulation], Iterator[Finding]], ...] = (_dates, _claims, _rooms, _numbers, _outages, _offers)
