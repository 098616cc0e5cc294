"""Facts leave the site, pictures don't: no type that can be reported has room for one."""

from __future__ import annotations

import base64
import typing
import zlib
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import cv2
import numpy as np
import pytest
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic.fields import FieldInfo

from agents.vision.fingerprint import Fingerprint, fingerprint
from monitor.model import envelope, report
from monitor.model.observation import LONGEST_TEXT, MOST_FACTS, MOST_FACTS_OF, Kind, Observation, Subject
from support.views import drawn_room, looked_at

SMALLEST_PICTURE = 2000
"""A JPEG of 64 x 48 in the poorest quality has some 700 bytes, about 1,000 letters; one in which a face can be told has more."""

NUMBERS = (int, float, bool, NoneType)


def bounds(annotation: Any, metadata: tuple[Any, ...], at: str) -> typing.Iterator[str]:
    """Say where a type has no bound: bytes, texts and lists without a longest length."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from bounds(arguments[0], (*metadata, *arguments[1:]), at)
    elif origin in {Union, UnionType}:
        for item in arguments:
            yield from bounds(item, metadata, at)
    elif origin is Literal or annotation in NUMBERS:
        return
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from walk(annotation, at)
    elif isinstance(annotation, type) and issubclass(annotation, str):
        if not (is_closed(annotation) or any(map(is_short, metadata))):
            yield f"{at}: a text without a longest length"
    elif origin in {list, tuple}:
        if not any(getattr(item, "max_length", None) is not None for item in metadata):
            yield f"{at}: a list without a longest length"
        yield from bounds(arguments[0], (), f"{at}[]")
    elif getattr(annotation, "__name__", "") == "AwareDatetime" or annotation is typing.get_type_hints(
        report.Report, include_extras=False
    ).get("written_at"):
        return
    else:
        yield f"{at}: {annotation} can hold anything"


def is_closed(annotation: type) -> bool:
    """Tell whether a kind of text has its values written down."""
    return bool(getattr(annotation, "__members__", None))


def is_short(constraint: Any) -> bool:
    """Tell whether a constraint bounds a text: by a length, or by a pattern that does."""
    longest = getattr(constraint, "max_length", None)
    pattern = getattr(constraint, "pattern", None)
    return (longest is not None and longest < SMALLEST_PICTURE) or (
        isinstance(pattern, str) and "+" not in pattern and "*" not in pattern
    )


def walk(model: type[BaseModel], at: str) -> typing.Iterator[str]:
    for name, info in model.model_fields.items():
        yield from of_field(info, f"{at}.{name}")


def of_field(info: FieldInfo, at: str) -> typing.Iterator[str]:
    yield from bounds(info.annotation, tuple(info.metadata), at)


def test_every_type_that_can_be_reported_is_bounded_but_facts() -> None:
    found = set(walk(report.Report, "report")) | set(walk(envelope.Protected, "header"))
    expected = {
        # The one place for anything: its size and each of its texts are bounded by a validator, tested below.
        "report.observations[].facts: dict[str, JsonValue] can hold anything",
        # Names of algorithms, checked against an allow-list before anything else is read, within a header of 2 KiB.
        "header.alg: a text without a longest length",
        "header.dig: a text without a longest length",
        "header.crit: a list without a longest length",
        "header.crit[]: a text without a longest length",
    }
    assert {text.replace("pydantic.types.", "").replace("~", "") for text in found} == expected


def test_the_walk_finds_what_has_no_bound() -> None:
    class Leaky(BaseModel):
        picture: bytes
        text: str
        rows: list[int]
        more: dict[str, Any]

    assert len(list(walk(Leaky, "x"))) == 4


def observation(kind: Kind, facts: dict[str, JsonValue]) -> Observation:
    return Observation(
        subject=Subject(kind="camera", id="gate"), kind=kind, start=1, end=1, state="read", expires=2, facts=facts
    )


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.BASELINE])
def test_no_fact_is_as_long_as_a_picture(kind: Kind) -> None:
    picture = base64.b64encode(bytes(range(256)) * 6).decode()
    assert len(picture) > SMALLEST_PICTURE > LONGEST_TEXT
    for facts in ({"a": picture}, {"a": [{"b": [picture]}]}, {picture: 1}, {"a": picture.replace("A", '"')}):
        with pytest.raises(ValidationError, match="is no fact"):
            observation(kind, typing.cast("dict[str, JsonValue]", facts))
    observation(kind, {"a": "文" * LONGEST_TEXT})
    numbers: list[JsonValue] = list(range(2000))
    observation(kind, {"first": "x", "many": numbers, "last": "y"})  # what lies between two texts is none


@pytest.mark.parametrize("kind", list(Kind))
def test_facts_are_bounded_as_a_whole(kind: Kind) -> None:
    pixels: list[JsonValue] = [7] * MOST_FACTS_OF.get(kind, MOST_FACTS)
    with pytest.raises(ValidationError, match="may have facts of"):
        observation(kind, {"a": pixels})


def test_a_picture_does_not_pass_for_a_fingerprint() -> None:
    """The one long text is packed cells of a known number, and their values are looked at: nothing else is read as one."""
    true = fingerprint(looked_at(drawn_room(3))).to_json()
    assert Fingerprint.from_json(true).to_json() == true
    assert len(true["cells"]) < 16_000
    ok, jpeg = cv2.imencode(".jpg", np.arange(320 * 240, dtype=np.uint8).reshape(240, 320))
    assert ok
    for cells in (jpeg.tobytes(), zlib.compress(jpeg.tobytes()), zlib.compress(bytes(320 * 240))):
        with pytest.raises(ValueError):
            Fingerprint.from_json({**true, "cells": base64.b64encode(cells).decode()})
