"""What the decoder's child says of one look: read as it was written, and nothing else."""

from __future__ import annotations

import math
import struct
import zlib

import pytest

from agents.simulators.scenes import Scene
from agents.vision.fingerprint import CELL_BYTES, NUMBERS, fingerprint
from agents.vision.imprint import IMPRINT_BYTES
from agents.vision.measure import MEASURES, NAMES, measure
from agents.watch.answer import OtherFormError, read, written
from agents.watch.decoder_child import decode
from support.pictures import draws, encoded

KEYFRAMES = encoded(draws(Scene("gate", width=352, height=288, name="Camera 01"))["room"], 352, 288, looks=2)
PICTURES = [picture for picture in (decode("h264", keyframe) for keyframe in KEYFRAMES) if picture is not None]
HEAD = 12 + 8 * (MEASURES + 7)


def told(*, imprint: bool = True) -> bytes:
    """Return what is said of a first look, which has nothing to compare with."""
    measures, trace = measure(PICTURES[0], None)
    return written((352, 288), measures, fingerprint(PICTURES[0]), trace.imprint if imprint else None)


def test_a_look_is_read_as_it_was_written() -> None:
    _, before = measure(PICTURES[0], None)
    for trace in (None, before):
        measures, kept = measure(PICTURES[1], trace)
        assert kept.imprint is not None
        view = fingerprint(PICTURES[1])
        width, height, found, seen, noise = read(written((352, 288), measures, view, kept.imprint))
        assert (width, height, found, seen.to_json()) == (352, 288, measures, view.to_json())
        assert noise is not None
        assert noise.tobytes() == kept.imprint.tobytes()


def test_a_small_picture_has_no_imprint() -> None:
    assert read(told(imprint=False))[4] is None
    assert len(told()) - len(told(imprint=False)) == IMPRINT_BYTES


@pytest.mark.parametrize(
    "length", [0, 1, HEAD, HEAD + CELL_BYTES - 1, HEAD + CELL_BYTES + 1, HEAD + CELL_BYTES + IMPRINT_BYTES - 1]
)
def test_an_answer_that_is_cut_is_none(length: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        read(told()[:length])


def test_an_answer_by_a_child_with_as_many_other_numbers_is_none() -> None:
    """A child that is begun after the program was updated under its agent is the new version; who reads it is the old one."""
    names = " ".join((*NAMES[1:], NAMES[0], *NUMBERS))
    with pytest.raises(OtherFormError, match="restart the agent"):
        read(struct.pack("<I", zlib.crc32(names.encode())) + told()[4:])


def test_an_answer_that_is_too_long_is_none() -> None:
    with pytest.raises(ValueError, match="bytes"):
        read(told() + b"\0")


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("number", [0, MEASURES - 2, MEASURES, MEASURES + 6])
def test_what_is_no_number_is_none(number: int, odd: float) -> None:
    """The first measure, one that may be unknown, the first and the last number of the view."""
    spoilt = bytearray(told())
    struct.pack_into("<d", spoilt, 12 + 8 * number, odd)
    unknown = number == MEASURES - 2 and math.isnan(odd)
    if unknown:
        assert read(bytes(spoilt))[2].repeat.changed_ratio is None
        return
    with pytest.raises((ValueError, TypeError), match="number"):
        read(bytes(spoilt))


def test_cells_beyond_any_view_s_are_none() -> None:
    spoilt = bytearray(told())
    spoilt[HEAD] = 255
    with pytest.raises(ValueError, match="strength has cells above"):
        read(bytes(spoilt))
