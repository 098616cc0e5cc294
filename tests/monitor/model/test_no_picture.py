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
from monitor.model import facts as bound
from monitor.model.facts import LONGEST_TEXT, MOST_FACTS, MOST_FACTS_OF
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.view import DIRECTIONS, MOST_CELLS, NO_EDGE, Proposal
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
    numbers: list[JsonValue] = list(range(200))
    observation(kind, {"first": "x", "many": numbers, "last": "y"})  # what lies between two texts is none


@pytest.mark.parametrize("kind", list(Kind))
def test_facts_are_bounded_as_a_whole(kind: Kind) -> None:
    pixels: list[JsonValue] = [7] * MOST_FACTS_OF.get(kind, MOST_FACTS)
    with pytest.raises(ValidationError, match="may have facts of"):
        observation(kind, {"a": pixels})


GREY = np.random.default_rng(5).integers(0, 256, (100, 100), dtype=np.uint8)
SMALL = GREY[:48, :64]
"""So few pixels are a face already."""
JPEG = base64.b64encode(GREY[:90].tobytes()).decode()


def packed(picture: np.ndarray[Any, Any]) -> list[int]:
    """Return six pixels a number, as many as every reader of JSON understands exactly."""
    raw = picture.tobytes()
    return [int.from_bytes(raw[i : i + 6], "big") for i in range(0, len(raw), 6)]


def cut(text: str, letters: int) -> list[str]:
    return [text[i : i + letters] for i in range(0, len(text), letters)]


def smuggled() -> dict[str, Any]:
    """Return a picture in each form that JSON has for one."""
    numbers, six = GREY.ravel().tolist(), packed(GREY)
    return {
        "a row of pixels": numbers,
        "rows of pixels": GREY.tolist(),
        "pairs": [list(pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)],
        "small": SMALL.tolist(),
        "small, a pixel an object": [{"id": "1", "x": value} for value in SMALL.ravel().tolist()],
        "small, six pixels a number": packed(SMALL),
        "six pixels a number": six,
        "fractions": [value / 256 for value in numbers],
        "named numbers": {f"k{number}": value for number, value in enumerate(six)},
        "nested numbers": [[[value]] for value in six],
        "numbers in entries": [{"id": "1", "a": one, "b": two} for one, two in zip(six[:-1:2], six[1::2], strict=True)],
        "many texts": ["A" * 999] * 50,
        "texts": cut(JPEG, 999),
        "words": cut(JPEG, 40),
        "names": [{"id": str(number), "name": text} for number, text in enumerate(cut(JPEG, 200))],
        "keys": dict.fromkeys(cut(JPEG, 900), 1),
        "keys of entries": [{"id": "1", text: True} for text in cut(JPEG, 40)],
        "ranges": [{"boot": text} for text in cut(JPEG, 900)],
        "digests": [{"boot": "b", "first": 1, "last": 2, "digests": cut(JPEG, 71)}],
        "rows of a sketch": {"rows": cut(JPEG, 64)},
        "digits": [int(digits) for digits in cut("".join(f"{value:03d}" for value in numbers), 15)],
    }


SMUGGLED = smuggled()


@pytest.mark.parametrize("kind", list(Kind))
def test_no_kind_can_carry_a_picture_in_any_form_under_any_name(kind: Kind) -> None:
    for form, picture in SMUGGLED.items():
        for key in ("a", *bound.SHAPES.get(kind, {"thresholds": None, "cameras": None})):
            assert bound.trouble(kind, {"fine": 1, key: picture}) is not None, (form, key)
            assert bound.trouble(kind, {key: {"deeper": [picture]}}) is not None, (form, key)


def test_what_has_room_for_a_picture_is_no_observation() -> None:
    for kind in (Kind.STREAM, Kind.RECORDINGS):
        with pytest.raises(
            ValidationError, match="facts of 4096 characters" if kind is Kind.STREAM else "another shape"
        ):
            observation(kind, {"spans": SMUGGLED["small"]})


@pytest.mark.parametrize("kind", list(Kind))
def test_a_picture_in_many_keys_is_none_either(kind: Kind) -> None:
    for value in (packed(SMALL), cut(JPEG, 900)[:5]):
        with pytest.raises(ValidationError):
            observation(kind, {f"key{number}": item for number, item in enumerate(value)})


def test_what_agents_tell_has_room() -> None:
    """The largest of each list as an honest agent tells it, older ones too."""
    hour = 3_600_000
    spans = [[10**12 + at * hour, 10**12 + at * hour + 1000] for at in range(60_000)]
    digests = [f"sha256:{number:064x}" for number in range(1000)]
    cells = fingerprint(looked_at(drawn_room(3))).to_json()
    sketch = {"rows": [(NO_EDGE + DIRECTIONS + DIRECTIONS.upper() + NO_EDGE * 64)[:MOST_CELLS]] * MOST_CELLS}
    honest: dict[Kind, dict[str, Any]] = {
        Kind.RECORDINGS: {"window": [0, 60_000 * hour], "spans": spans, "locked": spans[:3000]},
        Kind.WRITTEN: {"first_day": "2025-01-01", "bytes": [86_400_000_000, None] * 200, "estimated_days": 3},
        Kind.CHANNELS: {"channels": [{"id": str(i), "name": f"一楼活动室 {i}", "online": True} for i in range(256)]},
        Kind.DISKS: {
            "disks": [{"id": str(i), "state": "ok", "capacity_bytes": 2**45, "kind": "disk"} for i in range(256)],
            "gone": [{"id": "x" * 64, "capacity_bytes": 2**45, "last_seen_at": "2026-11-23T04:00:00Z"}] * 64,
        },
        Kind.ALARM_INPUTS: {"inputs": [{"id": "x" * 64, "armed": True, "active": False}] * 256, "disarmed": []},
        Kind.FAULT_NOTICES: {"armed": ["x" * 40] * 128, "mail": False},
        Kind.RECORDING_MODE: {"mode": "mixed", "holes": [[i * 30, i * 30 + 15] for i in range(256)]},
        Kind.TWIN: {"cameras": ["x" * 64] * 64, "by": "view", "since_at": 1},
        Kind.DROPPED: {
            "ranges": [{"boot": "b" * 32, "first": 1, "last": 1000, "why": "full", "digests": digests}] * 3,
        },
        Kind.BASELINE: {
            "light": "day", "view": "view:" + "0" * 16, "by": "王" * 200, "looks": 3, "overlap": 0.9, "state": "ok",
            "sketch": sketch, "fingerprint": cells,
        },
        Kind.VIEW: {f"a_measure_of_some_{i}": 0.123456 + i for i in range(60)},
        Kind.STORAGE: {"failing": [f"file{i}.sqlite" for i in range(8)], "since_at": 1, "lost": 2**50, "damaged": 3},
        Kind.INVENTORY: {
            "institution": {"id": "a", "name": "示范 " * 60},
            "cameras": [{"id": f"camera-{i}", "name": "活动室" * 5, "zones": ["room1"], "recorder": "nvr"} for i in range(512)],
            "thresholds": [{"camera": "gate", "light": "day", "name": "x" * 40, "value": 0.5, "default": 0.4}] * 700,
        },
    }  # fmt: skip
    for kind, facts in honest.items():
        observation(kind, facts)
    undated: list[JsonValue] = [[at * 60_000, at * 60_000 + 1000] for at in range(2000)]
    observation(Kind.RECORDINGS, {"window": [0, hour], "spans": undated, "locked": []})
    assert Proposal.model_validate(honest[Kind.BASELINE]).sketch.rows[0] == sketch["rows"][0]
    assert sum(count for count, _ in bound.CELLS) == len(fingerprint(looked_at(drawn_room(3))).parts()[1])


def test_a_fingerprint_s_cells_are_held_to_their_planes_where_a_report_comes_in() -> None:
    true = fingerprint(looked_at(drawn_room(3))).to_json()
    cells = zlib.decompress(base64.b64decode(true["cells"]))
    grey = GREY.tobytes()
    for other in (grey[: len(cells)], cells + b"\0", grey, bytes([97]) + cells[1:]):
        text = base64.b64encode(zlib.compress(other)).decode()
        with pytest.raises(ValidationError):
            observation(Kind.BASELINE, {"fingerprint": {**true, "cells": text}, "more": "x" * 999})
    packed_twice = base64.b64encode(zlib.compress(cells) + grey[:3000]).decode()
    with pytest.raises(ValidationError):
        observation(Kind.BASELINE, {"fingerprint": {**true, "cells": packed_twice}})


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
