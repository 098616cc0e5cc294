"""What the decoder's child says of one look: numbers in a fixed order, the cells of its view, the imprint of its noise; written by the child, read as a stranger's."""

from __future__ import annotations

import math
import struct
import zlib
from typing import Final

from agents.vision.fingerprint import CELL_BYTES, NUMBERS, Fingerprint
from agents.vision.imprint import Imprint, from_bytes
from agents.vision.measure import MEASURES, NAMES, Measures

_HEAD: Final = struct.Struct(f"<3I{MEASURES + len(NUMBERS)}d")
"""The form, width and height in pixels, the measures (NaN where nothing tells), the numbers of the view."""

_FORM: Final = zlib.crc32(" ".join((*NAMES, *NUMBERS)).encode())
"""Which numbers in which order: a child that is begun after the program was updated under its agent may have others, as many."""


class OtherFormError(ValueError):
    """The child is of another version than who asks it."""


def written(size: tuple[int, int], measures: Measures, view: Fingerprint, noise: Imprint | None) -> bytes:
    """Return what `read` reads; `size` is (width, height) in pixels."""
    told = [math.nan if value is None else value for value in measures.numbers()]
    numbers, cells = view.parts()
    return b"".join(
        (_HEAD.pack(_FORM, *size, *told, *numbers.values()), cells, b"" if noise is None else noise.tobytes())
    )


def read(data: bytes) -> tuple[int, int, Measures, Fingerprint, Imprint | None]:
    """Return width, height, measures, view and imprint. Raises ValueError or TypeError for what nobody has written, OtherFormError for what another version has."""
    start = _HEAD.size + CELL_BYTES
    if len(data) < start:
        raise ValueError(f"a look of {len(data)} bytes")
    form, width, height, *numbers = _HEAD.unpack_from(data)
    if form != _FORM:
        raise OtherFormError("the program was updated while the agent ran: restart the agent")
    measures = Measures.from_numbers([None if math.isnan(value) else value for value in numbers[:MEASURES]])
    view = Fingerprint.from_parts(dict(zip(NUMBERS, numbers[MEASURES:], strict=True)), data[_HEAD.size : start])
    return width, height, measures, view, from_bytes(data[start:]) if len(data) > start else None
