"""A verdict as a line of a page: what was checked, how it stands, and why, in the page's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.web.figures import Words
from dashboards.web.i18n import Language
from dashboards.web.i18n import mark as _n
from dashboards.web.noted import noted
from dashboards.web.sentences import reason
from dashboards.web.times import read_instant
from dashboards.web.words import CAUSES, SUBJECTS
from monitor.store.verdicts import CurrentVerdict

_WARNS = ("warnings", "over_retention", "breaks_on")
"""Figures for which even what is met has something to say."""


@dataclass(frozen=True)
class Check:
    """One requirement on one subject, as a page shows it."""

    requirement: str
    subject_kind: str
    subject_id: str
    outcome: str
    state: str
    label: str
    state_text: str
    reason: str
    because: str | None
    detail: str | None
    """What the verdict says in English where the page's language has no words for it."""
    measured: Mapping[str, Any]
    readable: bool = True
    """What is stored of it can be read; else it isn't known how it stands."""

    @property
    def says(self) -> bool:
        """Tell whether the reason is worth its line: what is met speaks for itself."""
        return self.outcome != "met" or self.state == "maturing" or any(self.measured.get(key) for key in _WARNS)


_UNREADABLE = _n("What is stored of this verdict can't be read: how it stands is not known until the next evaluation.")


def check(verdict: CurrentVerdict, words: Words) -> Check:
    """Return the line of one verdict."""
    if not verdict.readable:
        return _unreadable(verdict, words)
    try:
        return _check(verdict, words)
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ArithmeticError,
    ):  # somebody edited a figure of it by hand
        return _unreadable(verdict, words)


def _unreadable(verdict: CurrentVerdict, words: Words) -> Check:
    return Check(
        requirement=verdict.requirement,
        subject_kind=verdict.subject_kind,
        subject_id=verdict.subject_id,
        outcome="undetermined",
        state="unknown",
        label=words.requirement(verdict.requirement),
        state_text=words.state("unknown"),
        reason=words.translate(_UNREADABLE),
        because=None,
        detail=None,
        measured={},
        readable=False,
    )


def _check(verdict: CurrentVerdict, words: Words) -> Check:
    body = verdict.json
    measured = body.get("measured") or {}
    own = str(body.get("reason") or "")
    began = read_instant(body.get("began_at"))
    text = reason(verdict.requirement, verdict.state, measured, words, began=began, fallback=own)
    because = _because(body.get("because_of"), words)
    detail = None
    if verdict.outcome == "undetermined" and because is None:
        text, detail = _explained(text, own, words)
    return Check(
        requirement=verdict.requirement,
        subject_kind=verdict.subject_kind,
        subject_id=verdict.subject_id,
        outcome=verdict.outcome,
        state=verdict.state,
        label=words.requirement(verdict.requirement),
        state_text=words.state(verdict.state),
        reason=text,
        because=because,
        detail=detail,
        measured=measured,
    )


def _because(cause: object, words: Words) -> str | None:
    """Name the verdict that explains this one."""
    if not isinstance(cause, dict) or not isinstance(cause.get("subject"), dict):
        return None
    kind, subject_id = str(cause["subject"].get("kind")), str(cause["subject"].get("id"))
    what = words.requirement(str(cause.get("requirement")))
    figures = {"kind": words.translate(SUBJECTS.get(kind, kind)), "name": words.name(kind, subject_id), "what": what}
    return words.translate("Because of: %(kind)s %(name)s (%(what)s).") % figures


def _explained(text: str, own: str, words: Words) -> tuple[str, str | None]:
    """Add to an undetermined verdict's sentence why it is so: in the page's language, else in English beside it."""
    if words.times.language is Language.EN:
        return own or text, None
    tail = own.partition(": ")[2].rstrip(".")
    if not tail:
        return text, None
    why = _why(tail, words)
    if why is None:
        return text, own
    return words.translate("%(sentence)s Why: %(why)s.") % {"sentence": text, "why": why}, None


def _why(tail: str, words: Words) -> str | None:
    code = tail.replace(" ", "_")
    if code in CAUSES:
        return words.cause(code)
    return noted(tail, words, seconds=False)
