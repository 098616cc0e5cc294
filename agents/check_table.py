"""The verdicts of a check as lines for people: worst first, the same sentence once, times on the site's own clock."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from monitor.model.span import from_millis, parse_instant
from monitor.model.verdict import Outcome, Verdict
from monitor.regulations.columns import indented, pad, table, width

MARKS = {Outcome.BREACHED: "BREACHED", Outcome.UNDETERMINED: "unknown", Outcome.MET: "met"}

_ORDER = {outcome: number for number, outcome in enumerate(MARKS)}
_INDENT = max(map(len, MARKS.values())) + 2
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")

_LOOKS = frozenset({"stream", "view", "reach"})
"""Evidence whose text says what a device answered, and what is to be done."""

Row = tuple[str, str, str]
"""Mark, requirement with its state, and the sentence: what several subjects may have in common."""


def check_table(verdicts: Sequence[Verdict], zone: ZoneInfo, columns: int) -> Iterator[str]:
    """Yield the lines of a check, at most `columns` wide; instants are written in `zone`."""
    subjects: dict[Row, list[str]] = {}
    for verdict in sorted(verdicts, key=_worst_first):
        row = MARKS[verdict.outcome], f"{verdict.requirement.kind} {verdict.state}", local(_sentence(verdict), zone)
        subjects.setdefault(row, []).append(str(verdict.subject))
    widest = max((width(what) for _, what, _ in subjects), default=0)
    for (mark, what, sentence), named in subjects.items():
        yield from table([(pad(mark, _INDENT - 2), pad(what, widest), ", ".join(named))], columns)
        yield from indented(sentence, _INDENT, columns)


def local(text: str, zone: ZoneInfo) -> str:
    """Write the instants in a text as a clock on the site's wall shows them, to the second."""

    def shown(found: re.Match[str]) -> str:
        return f"{from_millis(parse_instant(found[0])).astimezone(zone):%Y-%m-%d %H:%M:%S}"

    return _INSTANT.sub(shown, text)


def _worst_first(verdict: Verdict) -> tuple[int, bool, str, str, list[tuple[int, str]]]:
    subject = verdict.subject
    by_number = [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", subject.id)]
    return _ORDER[verdict.outcome], verdict.because_of is not None, verdict.requirement.kind, subject.kind, by_number


def _sentence(verdict: Verdict) -> str:
    """Return the reason, what a device answered where that is no good, and what contradicts what, as the centre's pages tell it."""
    listed = verdict.measured.get("contradictions")
    told = [str(item.get("text")) for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    cause = verdict.because_of
    if cause is None:
        return " ".join((verdict.reason, *_answered(verdict), *told))
    whose = "" if cause.subject == verdict.subject else f" of {cause.subject}"
    return " ".join((f"{verdict.reason} (because of {cause.requirement}{whose})", *told))


def _answered(verdict: Verdict) -> Iterator[str]:
    """Yield what the last look met with, as a sentence: the reason names its kind alone."""
    texts = [item.text for item in verdict.evidence if item.kind in _LOOKS and item.text]
    if verdict.outcome is not Outcome.MET and texts and texts[-1].lower() not in verdict.reason.lower():
        yield f"{texts[-1][0].upper()}{texts[-1][1:].rstrip('.')}."
