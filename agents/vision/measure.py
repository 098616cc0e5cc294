"""All numbers of one picture, and of a picture beside the one before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

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

    def numbers(self) -> list[float | None]:
        """Return all numbers in a fixed order: they cross from the decoder's process so."""
        return [value for part in vars(self).values() for value in vars(part).values()]

    @classmethod
    def from_numbers(cls, numbers: Sequence[Any]) -> Measures:
        """Return what `numbers` gave. Raises ValueError for another count, TypeError for what is no finite number, and for None where that can't be."""
        if len(numbers) != MEASURES:
            raise ValueError(f"{len(numbers)} numbers are no measures")
        for value, name in zip(numbers, NAMES, strict=True):
            known = name in _MAY_BE_NONE if value is None else type(value) in _KINDS and math.isfinite(value)
            if not known:
                raise TypeError(f"{name} is no number")
        each = iter(numbers)
        return cls(*(part(*islice(each, count)) for part, count in _PARTS))


_PARTS: tuple[tuple[Callable[..., Any], int], ...] = tuple(
    (part, len(fields(part))) for part in (Levels, Drawn, Grain, Tint, Stripes, Smear, Repeat)
)
"""Who asks each question, in the order of `Measures`, and by how many numbers."""

_FIELDS = [item for part in (Levels, Drawn, Grain, Tint, Stripes, Smear, Repeat) for item in fields(part)]
NAMES = tuple(item.name for item in _FIELDS)
_MAY_BE_NONE = frozenset(item.name for item in _FIELDS if "None" in str(item.type))
_KINDS = (int, float)

MEASURES = len(NAMES)
"""So many numbers are measured."""


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
