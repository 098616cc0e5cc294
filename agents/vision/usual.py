"""What a camera's picture usually is in each light: what noise, colour and patterns are held against."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from agents.vision.light import Light
from agents.vision.measure import Measures
from agents.vision.repeat import NOISE_GRAIN, Repeat
from agents.vision.tint import shift

LEARNT_LOOKS = 3
"""So many sound looks make a usual."""
FOLLOWS = 0.01
"""Share by which it follows each sound look from then on: a season's slow change, and no tampering in small steps."""

LEAST_SAME = 0.005
LEAST_SEAMS = 0.01
NOISE_RENEWED = 0.8
"""White noise is new by 1.1, what a camera or an encoder has smoothed by more; less is a fine pattern, of gravel or a fence."""
LATELY = 0.3
"""Share by which the noise of lately follows each sound look."""
MOST_RENEWED = 5.0
MOST_CHANGED = 0.5
"""Smoothed noise reaches 4; what differs by more, or where most of the picture has changed, is another light's: learnt from, it would be felt for
hundreds of looks."""
TELLING_GRAIN = 0.4
"""Of so much noise, in levels, an encoder that has less to do leaves more, not nothing."""

Kind = Literal["coloured", "grey"]


@dataclass
class _Slow:
    """The usual of a number that comes of two looks: the first look of all has none, and others may not."""

    _first: float | None = None
    known: float | None = None

    def learn(self, value: float | None) -> None:
        """Take a sound look's in: the less of the first two, and a share of each from then on."""
        if value is None:
            return
        if self.known is not None:
            self.known = (1 - FOLLOWS) * self.known + FOLLOWS * value
        elif self._first is not None:
            self.known = min(self._first, value)
        else:
            self._first = value


@dataclass(frozen=True)
class Beside:
    """One look beside the usual of its light; None while there is none."""

    tint_shift: float | None
    """Levels of chroma by which all of the picture went the same way."""
    grain_ratio: float | None
    """Its noise, or that of its colours, in units of the usual, at least half a level."""
    grain_left: float | None
    """The share of its luma's usual noise that is there; None where that is too little to tell."""
    grain_again: float | None
    """The same, however little is usual, or of that of lately where this is less and still to be seen: a picture that comes again comes with the noise
    that it had, and by day a sensor has a third of what it had under the lamps. What took all of it away, unnoticed, would soon be that of lately."""
    grain_kept: float | None
    """The same of the noise that there was lately: an encoder at a given rate that had noise or a crowd to code saves on noise for minutes after."""
    stripe_gain: float | None
    """By how much stronger its strongest regular pattern is, in units of the usual, at least a level."""
    same_times: float | None
    """Its `same_ratio` in units of the usual, at least a two-hundredth."""
    renewed_left: float | None
    """Its `renewed` in units of the usual; None where that is no noise's."""
    smeared_more: float | None
    """Its `smeared_ratio` less the usual."""
    between_more: float | None
    """Its `between_ratio` less the usual."""
    seam_times: float | None
    """Its `seam_share` in units of the usual, at least a hundredth."""


@dataclass
class Usual:
    """The usual of one camera, for coloured and for grey pictures: some dozen numbers."""

    _first: dict[Kind, list[_Facts]] = field(default_factory=dict)
    _known: dict[Kind, _Facts] = field(default_factory=dict)
    _lately: dict[Kind, float] = field(default_factory=dict)
    """Noise of the last sound looks."""
    _same: defaultdict[Kind, _Slow] = field(default_factory=lambda: defaultdict(_Slow))
    _renewed: defaultdict[Kind, _Slow] = field(default_factory=lambda: defaultdict(_Slow))

    def beside(self, measures: Measures, light: Light) -> Beside:
        """Hold a look against the usual."""
        kind, facts = _kind(light), _facts(measures)
        known = self._known.get(kind)
        if known is None:
            left = _grain_left(facts, self._known.get("coloured"))
            return Beside(None, None, left, None, left, None, None, None, None, None, None)
        again, same, renewed = measures.repeat, self._same[kind].known, self._renewed[kind].known
        return Beside(
            tint_shift=shift(measures.tint.ends, known[:6]),
            grain_ratio=max(facts[place] / max(0.5, known[place]) for place in (6, 8)),
            grain_left=_grain_left(facts, known),
            grain_again=facts[6] / min(known[6], max(NOISE_GRAIN, self._lately[kind])) if known[6] > 0 else None,
            grain_kept=facts[6] / self._lately[kind] if min(known[6], self._lately[kind]) >= TELLING_GRAIN else None,
            stripe_gain=facts[7] / max(1.0, known[7]),
            same_times=None if same is None else (again.same_ratio or 0.0) / max(LEAST_SAME, same),
            renewed_left=None
            if renewed is None or again.renewed is None or renewed < NOISE_RENEWED
            else again.renewed / renewed,
            smeared_more=facts[9] - known[9],
            between_more=facts[11] - known[11],
            seam_times=facts[10] / max(LEAST_SEAMS, known[10]),
        )

    def learn(self, measures: Measures, light: Light) -> None:
        """Take a sound look in."""
        kind, facts = _kind(light), _facts(measures)
        known, again = self._known.get(kind), measures.repeat
        self._same[kind].learn(again.same_ratio)
        self._renewed[kind].learn(_newness(again))
        self._lately[kind] = (1 - LATELY) * self._lately.get(kind, facts[6]) + LATELY * facts[6]
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
    return (
        *measures.tint.ends,
        measures.grain.grain,
        measures.stripes.stripe_level,
        measures.grain.colour_grain,
        measures.smear.smeared_ratio,
        measures.smear.seam_share,
        measures.smear.between_ratio,
    )


def _newness(again: Repeat) -> float | None:
    """Return what a look tells of how new the noise is; None where it tells nothing."""
    if again.renewed is None or again.renewed > MOST_RENEWED:
        return None
    return None if again.changed_ratio is None or again.changed_ratio > MOST_CHANGED else again.renewed


def _grain_left(facts: _Facts, known: _Facts | None) -> float | None:
    """Return the share of the usual noise that is there.

    A camera that was never seen without colour is held against its coloured pictures: in the dark, where a sensor gives up its
    colours, it has more noise, and not less.
    """
    return facts[6] / known[6] if known is not None and known[6] >= TELLING_GRAIN else None


def _kind(light: Light) -> Kind:
    return "grey" if light == "infrared" else "coloured"
