"""A finding beside the readings that made it: whoever changes the one has to change the others, and its id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from monitor.model.finding import finding_id
from monitor.model.span import parse_instant


def finding_problems(finding: dict[str, Any], readings: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Say where a finding is not what its readings say (both in the API's form), in the order in which they were made."""
    if not readings:
        yield "none of its readings is there"
        return
    first, last = readings[0], readings[-1]
    subject = f"{finding['subject']['kind']}/{finding['subject']['id']}"
    began, opened = parse_instant(first["began_at"]), parse_instant(first["at"])
    if finding["id"] != finding_id(
        finding["institution"], finding["requirement"], subject, first["state"], began, opened
    ):
        yield "its id is not that of what opened it"
    if finding["opened_at"] != first["at"]:
        yield f"it opened at {finding['opened_at']}, and its first reading was at {first['at']}"
    for name in ("state", "began_at", "ended_at"):
        if finding[name] != last[name]:
            yield f"{name} is {finding[name]}, and {last[name]} in its last reading"
    told = ("reason", "measured", "evidence")
    if all(any(finding[name] != item[name] for name in told) for item in readings):
        yield "no reading says its reason, figures and evidence"
