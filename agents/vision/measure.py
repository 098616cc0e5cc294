"""All numbers of one picture, and of a picture beside the one before it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from agents.vision.drawn import Drawn, drawn
from agents.vision.grain import Grain, grain
from agents.vision.levels import Levels, levels
from agents.vision.picture import Picture, Plane
from agents.vision.repeat import same_ratio
from agents.vision.smear import Smear, smear
from agents.vision.stripes import Stripes, stripes
from agents.vision.strips import strips
from agents.vision.tint import Tint, tint

Scores = dict[str, float | None]
"""Numbers by name; None where nothing tells."""


@dataclass(frozen=True)
class Measures:
    """What was measured on one picture, a part for each question."""

    levels: Levels
    drawn: Drawn
    grain: Grain
    tint: Tint
    stripes: Stripes
    smear: Smear
    same_ratio: float | None
    """Share of blocks with any detail that are the same again as in the picture before; None where nothing tells."""

    def as_scores(self) -> Scores:
        """Return the numbers by name, rounded, as they are shown and reported."""
        found = {name: round(value, 4) for part in self._parts for name, value in vars(part).items()}
        return {**found, "same_ratio": None if self.same_ratio is None else round(self.same_ratio, 4)}

    @property
    def _parts(self) -> tuple[Levels | Drawn | Grain | Tint | Stripes | Smear, ...]:
        return self.levels, self.drawn, self.grain, self.tint, self.stripes, self.smear

    def as_json(self) -> dict[str, dict[str, float] | float | None]:
        """Return what `from_json` reads: it crosses from the decoder's process."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Measures:
        """Return what `as_json` gave. Raises KeyError or TypeError for another form."""
        return cls(
            Levels(**data["levels"]), Drawn(**data["drawn"]), Grain(**data["grain"]), Tint(**data["tint"]),
            Stripes(**data["stripes"]), Smear(**data["smear"]), data["same_ratio"],
        )  # fmt: skip


@dataclass(frozen=True)
class Trace:
    """What is kept of a picture for the next look: a sample of its blocks, 128 KiB or so."""

    strips: Plane


def measure(picture: Picture, before: Trace | None) -> tuple[Measures, Trace]:
    """Measure a picture beside what was kept of the look before; return what is to be kept of this one."""
    sample = strips(picture.luma)
    measures = Measures(
        levels=levels(picture.luma),
        drawn=drawn(picture),
        grain=grain(sample),
        tint=tint(picture),
        stripes=stripes(picture.luma),
        smear=smear(picture),
        same_ratio=same_ratio(sample, None if before is None else before.strips),
    )
    return measures, Trace(sample)
