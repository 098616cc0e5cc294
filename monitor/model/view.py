"""Approved views: what each camera is meant to show, one a light, known by the id of its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, ValidationError, field_validator

from monitor.model.inventory import Strict
from monitor.model.observation import Observation, digest_of
from monitor.model.span import Millis

PREFIX: Final = "view:"
"""What a cause begins with that names the approved view a picture was found to agree with."""

DIRECTIONS: Final = "abcdefgh"
"""Directions of an edge in a sketch, in steps of an eighth of half a turn: a lies flat, and they turn clockwise."""
NO_EDGE: Final = "."

COMPARED: Final = "compared"
NOT_TAKEN: Final = "not_taken"
FAILED: Final = "failed"
OTHER_LIGHT: Final = "other_light"
"""What came of the second look at a view that was proposed, beside the states of a picture."""

MOST_CELLS: Final = 64
"""Of a sketch, each way: nobody is recognised in so few."""

_DIGITS = 16
_MOST_FINGERPRINT = 16_000

Light = Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}$")]
"""day, infrared, nap: as the agent names them."""

ViewId = Annotated[str, StringConstraints(pattern=r"^view:[0-9a-f]{16}$")]


@dataclass(frozen=True)
class Approval:
    """A view of one camera in one light was approved at an instant, by somebody; later ones of the light replace it."""

    light: str
    view: str
    """Id of the view, as of `view_id`."""
    at: Millis
    by: str = ""
    settled_at: Millis | None = None
    """When an officer said that faults found against earlier views are over by it; None: nobody said so."""


def view_id(fingerprint: Mapping[str, JsonValue]) -> str:
    """Return the id of a view: a digest of its fingerprint's canonical JSON, short enough for a cause."""
    return PREFIX + digest_of(dict(fingerprint)).removeprefix("sha256:")[:_DIGITS]


class Sketch(Strict):
    """A drawing of a view's edges: a row of letters for each row of cells, all of one length."""

    rows: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_CELLS)]

    @field_validator("rows")
    @classmethod
    def _is_drawn(cls, rows: tuple[str, ...]) -> tuple[str, ...]:
        known = set(NO_EDGE + DIRECTIONS + DIRECTIONS.upper())
        if (
            len({len(row) for row in rows}) != 1
            or not 1 <= len(rows[0]) <= MOST_CELLS
            or not known >= set("".join(rows))
        ):
            msg = f"a sketch is rows of one length, of {NO_EDGE} and the letters {DIRECTIONS}"
            raise ValueError(msg)
        return rows


class Proposal(Strict):
    """A view that somebody on site proposes: the facts of an observation `baseline`. A newer agent may say more."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    light: Light
    view: ViewId
    by: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    looks: Annotated[int, Field(ge=1, le=1000)]
    """How many pictures it was merged from."""
    overlap: Annotated[float, Field(ge=0, le=1)] | None = None
    """How far it is the view in force in this light, 0..1; None: there was none."""
    state: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")] = "ok"
    """What the camera showed against the view in force."""
    second_look: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")] | None = None
    """`compared` where a second look a minute later told what of the view stays; else why there was no telling: `not_taken`
    (as asked), `failed`, `other_light`, or the state that the picture was in. None: the agent is older."""
    left_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    """How much of the view had left at the second look, and is no part of it."""
    sketch: Sketch
    fingerprint: dict[str, Any]

    @field_validator("fingerprint")
    @classmethod
    def _is_small(cls, value: dict[str, Any]) -> dict[str, Any]:
        if sum(len(str(key)) + len(str(item)) for key, item in value.items()) > _MOST_FINGERPRINT:
            msg = "the fingerprint is larger than any of ours"
            raise ValueError(msg)
        return value

    @classmethod
    def of(cls, observation: Observation) -> Proposal | None:
        """Read an observation's facts; None for what is no proposal, or names another view than it holds."""
        try:
            found = cls.model_validate(observation.facts)
        except ValidationError:
            return None
        return found if view_id(found.fingerprint) == found.view else None
