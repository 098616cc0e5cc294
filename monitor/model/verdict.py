"""What one look shows about one requirement on one subject."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import JsonValue

from monitor.model.observation import Evidence, Subject
from monitor.model.regulation import Requirement, Uptime, View
from monitor.model.span import Millis, isoformat


class Outcome(StrEnum):
    """met, breached, or undetermined: never met without evidence."""

    MET = "met"
    BREACHED = "breached"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True)
class Cause:
    """The verdict that explains this one: a cause takes its consequences with it."""

    requirement: str
    subject: Subject


@dataclass(frozen=True)
class Episode:
    """A stretch of time in which a requirement was breached, known by its spans: no second look is needed."""

    state: str
    began: Millis
    ended: Millis | None
    cause: str | None = None
    because_of: Cause | None = None


TOLD_BY_SPANS = frozenset({Uptime.kind, View.kind})
"""Requirements of which spans tell when each breach began and ended, by the agent's clock; else looks do."""


@dataclass(frozen=True)
class Verdict:
    """The judgement of one requirement on one subject at one instant.

    `looked` is the instant of the newest evidence (the evaluation's own instant where evidence is missing): two
    evaluations of the same evidence are one look. `began` is since when the state holds, where the evidence tells.
    `episodes` is set where spans tell every breach exactly (`TOLD_BY_SPANS`); else the finding is folded from looks.
    """

    requirement: Requirement
    subject: Subject
    outcome: Outcome
    state: str
    reason: str
    looked: Millis
    measured: dict[str, JsonValue] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    because_of: Cause | None = None
    began: Millis | None = None
    episodes: tuple[Episode, ...] | None = None
    cause: str | None = None
    waived: tuple[tuple[Millis, Millis], ...] = ()
    """Spans [start, end) that a waiver covers, in which no case begins; empty where what is due leaves them out anyway."""

    def __post_init__(self) -> None:
        if self.episodes is not None and self.requirement.kind not in TOLD_BY_SPANS:
            msg = f"the breaches of {self.requirement.kind} are told by looks, not by spans"
            raise ValueError(msg)

    @property
    def key(self) -> tuple[str, Subject]:
        """(requirement, subject)."""
        return self.requirement.kind, self.subject

    def to_json(self, language: str = "en") -> dict[str, Any]:
        """Return the contract's form, every key present; the citation in `language` (en or zh)."""
        return {
            "requirement": self.requirement.kind,
            "subject": self.subject.model_dump(),
            "outcome": self.outcome.value,
            "state": self.state,
            "because_of": cause_json(self.because_of),
            "reason": self.reason,
            "citation": citation_json(self.requirement, language),
            "measured": self.measured,
            "evidence": [evidence_json(item) for item in self.evidence],
            "began_at": isoformat(self.began) if self.began is not None else None,
        }


def cause_json(cause: Cause | None) -> dict[str, Any] | None:
    """Return a cause in the contract's form."""
    return None if cause is None else {"requirement": cause.requirement, "subject": cause.subject.model_dump()}


def citation_json(requirement: Requirement, language: str = "en") -> dict[str, str]:
    """Return the citation in the contract's form, its texts in `language` (en or zh)."""
    citation = requirement.citation
    return {
        "title": getattr(citation.title, language),
        "clause": getattr(citation.clause, language),
        "strength": citation.strength.value,
        "status": citation.status.value,
    }


def evidence_json(evidence: Evidence) -> dict[str, Any]:
    """Return evidence in the contract's form."""
    return {
        "kind": evidence.kind,
        "source": evidence.source,
        "at": isoformat(evidence.at),
        "digest": evidence.digest,
        "text": evidence.text,
        **evidence.extra,
    }
