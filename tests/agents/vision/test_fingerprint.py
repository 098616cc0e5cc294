"""A view's fingerprint: what it survives, how it is written, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.vision.fingerprint import Fingerprint, fingerprint, merge
from agents.vision.match import overlap
from agents.vision.structure import COLUMNS, ROWS, brought_to
from support.views import drawn_room, grey, looked_at, person

ROOM = drawn_room(7)
VIEW = fingerprint(looked_at(ROOM))


def same(one: Fingerprint, other: Fingerprint) -> bool:
    return one.to_json() == other.to_json()


def test_it_is_read_back_as_it_was_written() -> None:
    text = json.dumps(VIEW.to_json())
    again = Fingerprint.from_json(json.loads(text))
    assert same(again, VIEW)
    assert again.light == VIEW.light == "day"


@pytest.mark.parametrize("seed", range(4))
def test_it_stays_small_and_coarse(seed: int) -> None:
    """Noise is what packs worst."""
    busy = np.random.default_rng(seed).integers(16, 235, (576, 704)).astype(np.uint8)
    for view in (fingerprint(looked_at(drawn_room(seed))), fingerprint(grey(busy))):
        assert len(json.dumps(view.to_json())) <= 8192
        assert view.strength.shape == (ROWS, COLUMNS)
        assert max(ROWS, COLUMNS) <= 64


@pytest.mark.parametrize("size", [(96, 80), (352, 288), (704, 576), (1280, 720), (288, 352)])
def test_the_size_of_the_picture_hardly_matters(size: tuple[int, int]) -> None:
    large = looked_at(drawn_room(7, 1408, 1152))
    other = looked_at(drawn_room(7, 1408, 1152), size=size)
    assert overlap(fingerprint(other), fingerprint(large)) > 0.85


def test_people_who_walk_are_voted_out_of_a_merged_view() -> None:
    looks = [fingerprint(looked_at(person(ROOM, place, 0.9))) for place in (0.2, 0.5, 0.8)]
    merged = merge(looks)
    assert overlap(VIEW, merged) > max(overlap(VIEW, one) for one in looks)
    assert overlap(VIEW, merged) > 0.95


def test_one_look_is_its_own_merged_view_and_none_is_an_error() -> None:
    assert merge([VIEW]) is VIEW
    with pytest.raises(ValueError, match="at least one look"):
        merge([])


GOOD = VIEW.to_json()


def readable(value: object) -> Fingerprint | None:
    """Read; None for what is refused in a sentence. Anything else that is raised fails the test."""
    try:
        return Fingerprint.from_json(value)
    except ValueError as error:
        if "fingerprint" not in str(error):
            raise
        return None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(JSON)
def test_what_is_no_fingerprint_is_refused_in_a_sentence(value: Any) -> None:
    with pytest.raises(ValueError, match="fingerprint"):
        Fingerprint.from_json(value)


@given(name=st.sampled_from(sorted(GOOD)), value=JSON)
def test_a_fingerprint_with_one_wrong_part_is_refused_or_read(name: str, value: Any) -> None:
    read = readable({**GOOD, name: value})
    assert read is None or same(Fingerprint.from_json(read.to_json()), read)


@settings(max_examples=60)
@given(data=st.data())
def test_damaged_cells_never_do_more_than_raise_value_error(data: st.DataObject) -> None:
    text = list(GOOD["cells"])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    readable({**GOOD, "cells": "".join(text)})


def test_cells_that_unpack_without_end_are_refused() -> None:
    import base64
    import zlib

    bomb = base64.b64encode(zlib.compress(bytes(1 << 22), 9)).decode()
    assert len(bomb) < 12_000
    with pytest.raises(ValueError, match="unpack to"):
        Fingerprint.from_json({**GOOD, "cells": bomb})


@pytest.mark.parametrize(("width", "height"), [(704, 576), (704, 288), (640, 288), (720, 576), (1408, 1152)])
def test_fewer_columns_are_means_as_opencv_makes_them(width: int, height: int) -> None:
    plane = np.random.default_rng(width).integers(16, 236, (height, width), dtype=np.uint8)
    halves = plane
    while halves.shape[0] >= 576 and halves.shape[1] >= 768:
        halves = np.asarray(
            cv2.resize(halves, (halves.shape[1] // 2, halves.shape[0] // 2), interpolation=cv2.INTER_AREA)
        )
    whole = cv2.resize(halves, (384, 288), interpolation=cv2.INTER_AREA)
    assert np.abs(brought_to(plane, 384, 288).astype(int) - whole).max() <= 1
