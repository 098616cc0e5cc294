"""All numbers of one picture, and of a picture beside the one before it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from agents.vision.cells import cells
from agents.vision.drawn import Drawn, drawn
from agents.vision.grain import Grain, detail, grain
from agents.vision.imprint import Imprint, imprint
from agents.vision.levels import Levels, levels, luma_histogram
from agents.vision.picture import Picture, Plane
from agents.vision.repeat import Repeat, repeat
from agents.vision.smear import Smear, smear
from agents.vision.stripes import Profile, Stripes, profile, stripes
from agents.vision.strips import strips
from agents.vision.tint import Tint, tint

Scores = dict[str, float | None]
"""Numbers by name; None where nothing tells."""


KEPT_LOOKS = 4
"""A frozen picture's keyframes are not all encoded alike: more looks to compare with find one that was."""


@dataclass(frozen=True)
class Measures:
    """What was measured on one picture, a part for each question."""

    levels: Levels
    drawn: Drawn
    grain: Grain
    tint: Tint
    stripes: Stripes
    smear: Smear
    repeat: Repeat

    def as_scores(self) -> Scores:
        """Return the numbers by name, rounded, as they are shown and reported."""
        return {
            name: None if value is None else round(value, 4)
            for part in vars(self).values()
            for name, value in vars(part).items()
        }

    def as_json(self) -> dict[str, dict[str, float | None]]:
        """Return what `from_json` reads: it crosses from the decoder's process."""
        return {name: dict(vars(part)) for name, part in vars(self).items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Measures:
        """Return what `as_json` gave. Raises KeyError or TypeError for another form, and for what is no number."""
        return cls(
            _part(Levels, data["levels"]), _part(Drawn, data["drawn"]), _part(Grain, data["grain"]),
            _part(Tint, data["tint"]), _part(Stripes, data["stripes"]), _part(Smear, data["smear"]),
            _part(Repeat, data["repeat"]),
        )  # fmt: skip


_NUMBERS: dict[type[Any], tuple[tuple[str, bool], ...]] = {
    kind: tuple((item.name, "None" in str(item.type)) for item in fields(kind))
    for kind in (Levels, Drawn, Grain, Tint, Stripes, Smear, Repeat)
}
"""Of each question the names of its numbers, and whether each may be null."""

_Part = TypeVar("_Part", Levels, Drawn, Grain, Tint, Stripes, Smear, Repeat)


def _part(kind: type[_Part], data: dict[str, Any]) -> _Part:
    """Read one question's numbers: finite ones, and null only where nothing may tell."""
    for name, may_be_null in _NUMBERS[kind]:
        value = data[name]
        known = may_be_null if value is None else type(value) in {int, float} and math.isfinite(value)
        if not known:
            raise TypeError(f"{name} is no number")
    return kind(**data)


@dataclass(frozen=True)
class Trace:
    """What is kept for the next look: a sample of the blocks of the last four pictures, 256 KiB or so."""

    strips: tuple[Plane, ...]
    rows: Profile
    same_ratio: float | None
    """Of the last look."""
    imprint: Imprint | None
    """Of the last picture; None where it is too small."""


def measure(picture: Picture, before: Trace | None) -> tuple[Measures, Trace]:
    """Measure a picture beside what was kept of the look before; return what is to be kept of this one."""
    sample, histogram = strips(picture.luma), luma_histogram(picture.luma)
    steps = detail(sample)
    means = cells(picture)
    rows = profile(means)
    noise = grain(sample, steps, strips(picture.u), strips(picture.v))
    kept = () if before is None else before.strips
    measures = Measures(
        levels=levels(histogram, means),
        drawn=drawn(picture, histogram),
        grain=noise,
        tint=tint(means),
        stripes=stripes(picture.luma, rows, None if before is None else before.rows),
        smear=smear(picture.luma, means),
        repeat=repeat(sample, steps, kept, None if before is None else before.same_ratio, noise.grain),
    )
    return measures, Trace((*kept, sample)[-KEPT_LOOKS:], rows, measures.repeat.same_ratio, imprint(sample))
