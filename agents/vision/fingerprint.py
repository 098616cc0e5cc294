"""What is kept of a view: a few bytes for each of 48 x 36 cells, from which its edges are known and no picture is."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from agents.vision.light import Light, chroma_of, light_of
from agents.vision.picture import Picture
from agents.vision.structure import COARSE_COLUMNS, COARSE_ROWS, COLUMNS, ROWS, Edges, Field, structure_of

VERSION: Final = 1

Codes = npt.NDArray[np.uint8]
"""A code for each cell, shape (rows, columns)."""

_FAINTEST: Final = 2.0**-10
"""The faintest strength that is told from none, in doublings of luma a pixel."""

_STEPS: Final = 8
"""Strengths are kept in steps of an eighth of a doubling: 9 %."""

_STRONGEST: Final = 96
_TURNS: Final = 32
"""Directions over half a turn."""

_COHERENCES: Final = 7
STEADIEST: Final = 15

LIT: Final = 0
DARK: Final = 1
CLIPPED: Final = 2

_DARK_UNDER: Final = 26
_CLIPPED_OVER: Final = 228
"""Means of luma (video range) beyond which a cell's edges are lost in the sensor's toe or shoulder."""

_LIT_SHARE: Final = 0.2

_PLANES: Final = {
    "strength": (ROWS, COLUMNS),
    "angle": (ROWS, COLUMNS),
    "fine": (ROWS, COLUMNS),
    "steady": (ROWS, COLUMNS),
    "shade": (ROWS, COLUMNS),
    "coarse_strength": (COARSE_ROWS, COARSE_COLUMNS),
    "coarse_angle": (COARSE_ROWS, COARSE_COLUMNS),
}
CELL_BYTES: Final = sum(rows * columns for rows, columns in _PLANES.values())
_LIMITS: Final = {
    "strength": _STRONGEST,
    "fine": _STRONGEST,
    "coarse_strength": _STRONGEST,
    "steady": STEADIEST,
    "shade": CLIPPED,
}
_MOST: Final = np.concatenate(
    [np.full(rows * columns, _LIMITS.get(name, 255), np.uint8) for name, (rows, columns) in _PLANES.items()]
)
"""The same for each byte of the cells, one plane after the other."""
_ANOTHER_LENGTH: Final = f"a fingerprint's cells unpack to {CELL_BYTES} bytes"
NUMBERS: Final = ("chroma", "luma", "lit", "aspect", "noise", "fine_noise", "coarse_noise")
_LONGEST_TEXT: Final = 12_000
_BY_EDGES: Final = ("edges", "coarse_edges", "fine_strength", "by_edges")
"""What is kept with a view and doesn't hang on how steady it was."""


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """The edges of a view, quantized. Two are compared by `agents.vision.match`."""

    chroma: float
    """How far from grey its most coloured parts are, in chroma steps."""
    luma: float
    """Median luma, video range."""
    lit: float
    """Luma that a fifth of the picture reaches: low only where nearly all is dark."""
    aspect: float
    """Width of the picture over its height, in pixels."""
    noise: float
    fine_noise: float
    coarse_noise: float
    """Strength that noise has at each scale: fainter structure can't be seen in this picture."""
    strength: Codes
    angle: Codes
    fine: Codes
    steady: Codes
    """How far each cell stayed the same over the looks that were merged, 0..15; 15 everywhere for one look."""
    shade: Codes
    """Where exposure leaves nothing to be seen: DARK or CLIPPED; else LIT."""
    coarse_strength: Codes
    coarse_angle: Codes

    @property
    def light(self) -> Light:
        """The light in which the picture was taken."""
        return light_of(self.chroma, self.luma)

    @cached_property
    def edges(self) -> Edges:
        """Edges of the middle scale."""
        return Edges(_strength(self.strength), *_direction(self.angle), self.noise)

    @cached_property
    def coarse_edges(self) -> Edges:
        """Edges of the coarse scale."""
        return Edges(_strength(self.coarse_strength), *_direction(self.coarse_angle), self.coarse_noise)

    @cached_property
    def fine_strength(self) -> Field:
        """Strength of the finest edges in each cell."""
        return _strength(self.fine)

    @cached_property
    def steadiness(self) -> Field:
        """Share 0..1 of how far each cell stayed the same."""
        return (self.steady / np.float32(STEADIEST)).astype(np.float32)

    @cached_property
    def by_edges(self) -> dict[str, npt.NDArray[Any]]:
        """What its edges alone tell, by name, once it was asked for: the same for a view that is `steadied`."""
        return {}

    def steadied(self, steady: Codes) -> Fingerprint:
        """Return the same view with other cells that stayed the same, (ROWS, COLUMNS)."""
        found = replace(self, steady=steady)
        vars(found).update({name: getattr(self, name) for name in _BY_EDGES})
        return found

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON: some numbers, and the cells as one text."""
        numbers, cells = self.parts()
        return {"version": VERSION, **numbers, "cells": base64.b64encode(zlib.compress(cells, 1)).decode()}

    @classmethod
    def from_json(cls, value: object) -> Fingerprint:
        """Read what `to_json` wrote. Raises ValueError, with one sentence, for anything else."""
        if not isinstance(value, dict) or set(value) != {"version", "cells", *NUMBERS}:
            raise ValueError("a fingerprint is an object of version, cells, " + ", ".join(NUMBERS))
        if value["version"] != VERSION or isinstance(value["version"], bool):
            raise ValueError(
                f"a fingerprint of version {str(value['version'])[:20]} is not understood: take the view again"
            )
        return cls.from_parts(value, _unpacked(value["cells"]))

    def parts(self) -> tuple[dict[str, float], bytes]:
        """Return its numbers, and all cells: what crosses from the decoder's process, where packing is in vain."""
        cells = b"".join(getattr(self, name).tobytes() for name in _PLANES)
        return {name: getattr(self, name) for name in NUMBERS}, cells

    @classmethod
    def from_parts(cls, numbers: Mapping[str, object], cells: bytes) -> Fingerprint:
        """Read what `parts` gave. Raises ValueError, with one sentence, for anything else; KeyError without a number."""
        found: dict[str, Any] = {name: _number(name, numbers[name]) for name in NUMBERS}
        if not 0.1 <= found["aspect"] <= 10:
            raise ValueError("a fingerprint's aspect is a picture's width over its height, 0.1 to 10")
        planes: dict[str, Any] = _planes(cells)
        return cls(**found, **planes)


def fingerprint(picture: Picture) -> Fingerprint:
    """Take the fingerprint of one picture of any size."""
    found = structure_of(picture.luma)
    height, width = picture.luma.shape
    sums = np.cumsum(cv2.calcHist([picture.luma[::4, ::4]], [0], None, [256], [0, 256]), dtype=np.int64)
    middle, coarse = found.middle, found.coarse
    strength, fine, coarse_strength = _each(_strength_code, (middle.strength, found.fine, coarse.strength))
    angle, coarse_angle = _each(_angle_code, (middle.cosine, coarse.cosine), (middle.sine, coarse.sine))
    return Fingerprint(
        chroma=round(chroma_of(picture), 2),
        luma=float(np.searchsorted(sums, 0.5 * sums[-1])),
        lit=float(np.searchsorted(sums, (1 - _LIT_SHARE) * sums[-1])),
        aspect=round(min(10.0, max(0.1, width / height)), 4),
        noise=round(found.middle.noise, 6),
        fine_noise=round(found.fine_noise, 6),
        coarse_noise=round(found.coarse.noise, 6),
        strength=strength,
        angle=angle,
        fine=fine,
        steady=np.full((ROWS, COLUMNS), STEADIEST, np.uint8),
        shade=np.asarray(cv2.LUT(found.luma, _SHADES), np.uint8),
        coarse_strength=coarse_strength,
        coarse_angle=coarse_angle,
    )


def _each(code: Callable[..., Codes], *fields: Sequence[Field]) -> list[Codes]:
    """Return the codes of some fields, each in its own shape: coded all at once."""
    codes, found, start = code(*(np.concatenate(some, axis=None) for some in fields)), [], 0
    for field in fields[0]:
        found.append(codes[start : start + field.size].reshape(field.shape))
        start += field.size
    return found


_SHADES: Final[Codes] = np.full(256, LIT, np.uint8)
"""Of each level of luma."""
_SHADES[:_DARK_UNDER] = DARK
_SHADES[_CLIPPED_OVER + 1 :] = CLIPPED


def merge(views: Sequence[Fingerprint]) -> Fingerprint:
    """Return one view from several looks of one light: what stays counts, what only some of them show is voted out.

    Raises ValueError for no looks at all.
    """
    if not views:
        raise ValueError("a view is merged from at least one look")
    if len(views) == 1:
        return views[0]
    middle = [view.edges for view in views]
    coarse = [view.coarse_edges for view in views]
    strength, cosine, sine = _medians(middle)
    coarse_strength, coarse_cosine, coarse_sine = _medians(coarse)
    agreement = np.mean([_alike(edges, strength, cosine, sine) for edges in middle], axis=0)
    return Fingerprint(
        **{name: round(float(np.median([getattr(view, name) for view in views])), 6) for name in NUMBERS},
        strength=_strength_code(strength),
        angle=_angle_code(cosine, sine),
        fine=_strength_code(np.median([view.fine_strength for view in views], axis=0)),
        steady=np.asarray(np.rint(STEADIEST * agreement), np.uint8),
        shade=np.asarray(np.median([view.shade for view in views], axis=0), np.uint8),
        coarse_strength=_strength_code(coarse_strength),
        coarse_angle=_angle_code(coarse_cosine, coarse_sine),
    )


def _medians(edges: Sequence[Edges]) -> tuple[Field, Field, Field]:
    strength, cosine, sine = (
        np.median([getattr(item, name) for item in edges], axis=0).astype(np.float32)
        for name in ("strength", "cosine", "sine")
    )
    return strength, cosine, sine


def _alike(edges: Edges, strength: Field, cosine: Field, sine: Field) -> Field:
    """Return how far each cell of one look is what the merged view shows there, 0..1."""
    larger = np.maximum(np.maximum(edges.strength, strength), _FAINTEST)
    ratio = np.minimum(edges.strength, strength) / larger
    turned = np.hypot(edges.cosine - cosine, edges.sine - sine)
    alike: Field = np.clip(1.5 * ratio, 0, 1) * np.clip(1.5 - turned, 0, 1)
    return alike


def _strength_code(strength: npt.NDArray[Any]) -> Codes:
    steps = np.maximum(strength, 1e-9)
    steps /= _FAINTEST
    np.log2(steps, out=steps)
    steps *= _STEPS
    np.rint(steps, out=steps)
    steps += 1
    np.maximum(steps, 0, out=steps)
    np.minimum(steps, _STRONGEST, out=steps)
    return np.asarray(steps, np.uint8)


_STRENGTHS: Final[Field] = np.concatenate(
    [[0.0], _FAINTEST * 2.0 ** (np.minimum(np.arange(255), _STRONGEST - 1) / _STEPS)],
).astype(np.float32)
"""Of each code; none is above the strongest's."""


def _strength(code: Codes) -> Field:
    return np.asarray(cv2.LUT(code, _STRENGTHS), np.float32)


def _angle_code(cosine: Field, sine: Field) -> Codes:
    turn = np.arctan2(sine, cosine)
    turn *= _TURNS / (2 * math.pi)
    np.rint(turn, out=turn)
    coherence = np.hypot(cosine, sine)
    np.minimum(coherence, 1, out=coherence)
    coherence *= _COHERENCES
    np.rint(coherence, out=coherence)
    turn *= _COHERENCES + 1
    turn += coherence
    return np.asarray(turn.astype(np.int32), np.uint8)  # a whole turn more or less is a byte's 256


_COSINES, _SINES = (
    (
        (np.arange(256) % (_COHERENCES + 1))
        / _COHERENCES
        * part(np.arange(256) // (_COHERENCES + 1) * 2 * np.pi / _TURNS)
    ).astype(np.float32)
    for part in (np.cos, np.sin)
)


def _direction(code: Codes) -> tuple[Field, Field]:
    return np.asarray(cv2.LUT(code, _COSINES), np.float32), np.asarray(cv2.LUT(code, _SINES), np.float32)


_COHERENT: Final[Field] = np.hypot(_COSINES, _SINES)


def coherence(code: Codes) -> Field:
    """Return how far the edges of each cell run one way, 0..1, from the codes of its direction."""
    return np.asarray(cv2.LUT(code, _COHERENT), np.float32)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 256:
        raise ValueError(f"a fingerprint's {name} is a number from 0 to 256")
    return float(value)


def _unpacked(text: object) -> bytes:
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
        raise ValueError(f"a fingerprint's cells are a text of at most {_LONGEST_TEXT} characters")
    try:
        reader = zlib.decompressobj()
        cells = reader.decompress(base64.b64decode(text, validate=True), CELL_BYTES + 1)
    except (ValueError, binascii.Error, zlib.error) as error:
        raise ValueError("a fingerprint's cells can't be unpacked") from error
    if not reader.eof or reader.unused_data:
        raise ValueError(_ANOTHER_LENGTH)
    return cells


def _planes(cells: bytes) -> dict[str, Codes]:
    if len(cells) != CELL_BYTES:
        raise ValueError(_ANOTHER_LENGTH)
    found, start = {}, 0
    for name, (rows, columns) in _PLANES.items():
        found[name] = np.frombuffer(cells, np.uint8, rows * columns, start).reshape(rows, columns)
        start += rows * columns
    if (np.frombuffer(cells, np.uint8) > _MOST).any():
        name = next(name for name, limit in _LIMITS.items() if int(found[name].max()) > limit)
        raise ValueError(f"a fingerprint's {name} has cells above {_LIMITS[name]}")
    return found
