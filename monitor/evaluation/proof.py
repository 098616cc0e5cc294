"""Proof by decoding beside retention: what was last played, and what an index is worth that lists what doesn't play."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import JsonValue

from monitor.evaluation.contradictions import CONTRADICTION, Contradiction, proof_text
from monitor.model.ledger import Facts, evidence_of
from monitor.model.proof import Proof
from monitor.model.span import isoformat
from monitor.model.verdict import Outcome, Verdict

_DISBELIEVED = {
    "unplayable": "the recorder's index lists footage that does not play",
    "wrong_camera": "the recordings show the view of another camera",
}


def with_proof(verdict: Verdict, facts: Facts, found: Sequence[Contradiction]) -> Verdict:
    """Return a retention verdict with its proof; one that rests on an index that can't be believed is undetermined.

    What is breached stays so: an index that lists too little is not better for listing what doesn't play.
    """
    far = [item for item in facts.proofs.get(verdict.subject.id, ()) if item.far]
    last = far[-1] if far else None
    measured: dict[str, JsonValue] = {**verdict.measured, "proof": proof_json(last)}
    evidence = (
        verdict.evidence if last is None else (*verdict.evidence, evidence_of(last.observation, proof_text(last)))
    )
    why = next((_DISBELIEVED[c.kind] for c in found if c.kind in _DISBELIEVED and c.subject == verdict.subject), None)
    if why is None or verdict.outcome is not Outcome.MET:
        return replace(verdict, measured=measured, evidence=evidence)
    return replace(
        verdict,
        outcome=Outcome.UNDETERMINED,
        state="unknown",
        reason=f"How long footage is kept is not known: {why}.",
        looked=facts.as_of,
        measured=measured,
        evidence=evidence,
        cause=CONTRADICTION,
    )


def proof_json(proof: Proof | None) -> JsonValue:
    """Return the newest proof of the far minute as `measured` shows it; None where there is none."""
    if proof is None:
        return None
    return {
        "proved_at": isoformat(proof.at),
        "minute_at": isoformat(proof.minute),
        "result": proof.state,
        "cause": proof.cause,
        "view": proof.view,
        "shows": proof.shows,
    }
