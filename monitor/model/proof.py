"""What a proof by decoding says: one minute of a camera's footage was played, or could not be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from monitor.model.observation import Observation
from monitor.model.span import DAY, Millis

FAR = "far"
"""The minute as far back as is required, or an hour inside the far edge."""
NEWER = "newer"
"""A minute of a day ago, played when the far one could not be."""

KEPT: Millis = 30 * DAY
"""Older proofs say nothing of what is held now."""

State = Literal["played", "not_proved", "failed"]
_STATES: dict[str, State] = {"played": "played", "not_proved": "not_proved", "failed": "failed"}
_LATEST: Millis = 2**47


@dataclass(frozen=True)
class Proof:
    """One minute that was played, or not."""

    at: Millis
    """When it was tried."""
    minute: Millis
    """The instant of the footage."""
    far: bool
    state: State
    cause: str | None
    view: Literal["matches", "other", "unknown"]
    shows: str | None
    """Another camera of the institution whose approved view was seen."""
    observation: Observation


def read_proof(item: Observation) -> Proof | None:
    """Read an observation of a proof; None for what is none: bad input is unknown, never a failure."""
    state, which, minute = _STATES.get(item.state), item.facts.get("which"), item.facts.get("minute_at")
    if state is None or which not in (FAR, NEWER) or type(minute) is not int or not 0 <= minute <= _LATEST:
        return None
    said, shows = item.facts.get("view"), item.facts.get("shows")
    view: Literal["matches", "other", "unknown"] = (
        "matches" if said == "matches" else "other" if said == "other" else "unknown"
    )
    return Proof(
        item.start, minute, which == FAR, state, item.cause, view, shows if isinstance(shows, str) else None, item
    )


def read_proofs(items: Iterable[Observation], as_of: Millis) -> tuple[Proof, ...]:
    """Return the proofs of one camera that still count at `as_of`, in the order of `items`."""
    found = (read_proof(item) for item in items if as_of - KEPT <= item.start)
    return tuple(proof for proof in found if proof is not None)
