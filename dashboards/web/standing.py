"""How an institution stands, in one sentence and in one word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dashboards.web.cases import Case
from dashboards.web.checks import Check
from dashboards.web.figures import Words
from dashboards.web.times import read_date
from monitor.model.span import MINUTE, Millis
from monitor.store.registry import InstitutionSummary

STALE_AFTER: Millis = 10 * MINUTE
"""Every institution is judged again and again; one that was not for this long is no longer known to be in order."""


@dataclass(frozen=True)
class Standing:
    """An institution's line on the list."""

    id: str
    name: str
    outcome: str
    stands: str
    open_findings: int
    breached: int
    undetermined: int
    met: int
    last_report: Markup | str
    views: str
    """How many proposed views wait for an officer; empty for none."""


def is_stale(summary: InstitutionSummary, now: Millis, evaluate_every: Millis) -> bool:
    """Tell whether an institution was judged so long ago that the verdicts may no longer hold."""
    judged = summary.evaluated_at
    return judged is not None and now - judged > stale_after(evaluate_every)


def stale_after(evaluate_every: Millis) -> Millis:
    """Return after how long a judgement is too old to hold."""
    return max(STALE_AFTER, 10 * evaluate_every)


def standing(summary: InstitutionSummary, words: Words, *, stale: bool) -> Standing:
    """Return an institution's line."""
    outcome, stands = _word(summary, words, stale=stale)
    last = summary.last_report_at
    return Standing(
        id=summary.id,
        name=summary.name or summary.id,
        outcome=outcome,
        stands=stands,
        open_findings=summary.open_findings,
        breached=summary.breached,
        undetermined=summary.undetermined,
        met=summary.met,
        last_report=words.translate("none yet") if last is None else words.times.element(last),
        views=_waiting(summary.views_waiting, words),
    )


def _waiting(count: int, words: Words) -> str:
    text = words.plural("%(count)s view to confirm", "%(count)s views to confirm", count)
    return text % {"count": count} if count else ""


def _word(summary: InstitutionSummary, words: Words, *, stale: bool) -> tuple[str, str]:
    if summary.silent:
        return "breached", words.translate("Silent")
    if summary.open_findings:
        return "breached", words.translate("Open findings")
    if summary.breached:
        return "breached", words.translate("To be confirmed")
    if stale:
        return "undetermined", words.translate("Not judged lately")
    if not summary.met and not summary.undetermined:
        return "undetermined", words.translate("Nothing known yet")
    if summary.undetermined:
        return "undetermined", words.translate("Partly unknown")
    return "met", words.translate("In order")


def headline(summary: InstitutionSummary, findings: Sequence[Case], words: Words, *, stale: bool) -> tuple[str, str]:
    """Return (outcome, sentence): how the institution stands."""
    checks = summary.met + summary.breached + summary.undetermined
    if summary.silent and summary.last_report_at is not None:
        text = words.translate("No report since %(instant)s: how the institution stands since then is not known.")
        return "breached", text % {"instant": words.times.instant(summary.last_report_at)}
    if findings:
        kinds = list(dict.fromkeys(item.label for item in findings))
        text = words.plural("%(count)s open finding: %(kinds)s.", "%(count)s open findings: %(kinds)s.", len(findings))
        return "breached", text % {"count": len(findings), "kinds": words.times.listed(kinds)}
    if summary.breached:
        text = words.plural(
            "%(count)s check is not met; a finding opens when further looks confirm it.",
            "%(count)s checks are not met; a finding opens when further looks confirm it.",
            summary.breached,
        )
        return "breached", text % {"count": summary.breached}
    if not checks:
        return "undetermined", words.translate("Nothing is known yet: no agent has declared what this institution has.")
    if stale and summary.evaluated_at is not None:
        text = words.translate("Not judged since %(instant)s: how the institution stands now is not known.")
        return "undetermined", text % {"instant": words.times.instant(summary.evaluated_at)}
    if summary.undetermined:
        text = words.plural(
            "No open finding, but %(count)s of %(checks)s checks is not known.",
            "No open finding, but %(count)s of %(checks)s checks are not known.",
            summary.undetermined,
        )
        return "undetermined", text % {"count": summary.undetermined, "checks": checks}
    text = words.plural("In order: %(count)s check is met.", "In order: all %(count)s checks are met.", checks)
    return "met", text % {"count": checks}


def outlook(checks: Sequence[Check], words: Words) -> str:
    """Return what will not be met before long though it is now: recordings that the forecast sees fall short; or nothing."""
    days = [
        day
        for item in checks
        if item.requirement == "retention" and item.outcome == "met"
        if (day := read_date(item.measured.get("breaks_on"))) is not None
    ]
    text = words.plural(
        "By the forecast too few days of recordings from %(day)s on, of %(count)s camera.",
        "By the forecast too few days of recordings from %(day)s on, of %(count)s cameras.",
        len(days),
    )
    return text % {"day": min(days).isoformat(), "count": len(days)} if days else ""
