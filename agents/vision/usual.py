"""What a camera's picture usually is in each light: what noise, colour and patterns are held against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from agents.vision.light import light_of
from agents.vision.measure import Measures
from agents.vision.tint import shift

LEARNT_LOOKS = 3
"""So many sound looks make a usual."""
FOLLOWS = 0.01
"""Share by which it follows each sound look from then on: a season's slow change, and no tampering in small steps."""

Kind = Literal["coloured", "grey"]


@dataclass(frozen=True)
class Beside:
    """One look beside the usual of its light; None while there is none."""

    tint_shift: float | None
    """Levels of chroma by which all of the picture went the same way."""
    grain_ratio: float | None
    """Its noise in units of the usual, at least half a level."""
    stripe_gain: float | None
    """By how much more its strongest regular pattern stands out."""


@dataclass
class Usual:
    """The usual of one camera, for coloured and for grey pictures: some dozen numbers."""

    _first: dict[Kind, list[_Facts]] = field(default_factory=dict)
    _known: dict[Kind, _Facts] = field(default_factory=dict)

    def beside(self, measures: Measures) -> Beside:
        """Hold a look against the usual."""
        known = self._known.get(_kind(measures))
        if known is None:
            return Beside(None, None, None)
        facts = _facts(measures)
        return Beside(
            tint_shift=shift(measures.tint.ends, known[:6]),
            grain_ratio=facts[6] / max(0.5, known[6]),
            stripe_gain=facts[7] / max(1.0, known[7]),
        )

    def learn(self, measures: Measures) -> None:
        """Take a sound look in."""
        kind, facts = _kind(measures), _facts(measures)
        known = self._known.get(kind)
        if known is not None:
            self._known[kind] = tuple(
                (1 - FOLLOWS) * old + FOLLOWS * new for old, new in zip(known, facts, strict=True)
            )
            return
        first = self._first.setdefault(kind, [])
        first.append(facts)
        if len(first) >= LEARNT_LOOKS:
            self._known[kind] = tuple(float(value) for value in np.median(first, axis=0))
            del self._first[kind]


_Facts = tuple[float, ...]


def _facts(measures: Measures) -> _Facts:
    return (*measures.tint.ends, measures.grain.grain, measures.stripes.stripe_ratio)


def _kind(measures: Measures) -> Kind:
    light = light_of(measures.tint.chroma, measures.levels.luma_median)
    return "grey" if light == "infrared" else "coloured"
