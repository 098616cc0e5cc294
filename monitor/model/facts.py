"""What facts may be: numbers and words, or lists of a known shape; nothing that has room for a picture."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

LONGEST_TEXT: Final = 1000
"""The longest text in facts, in characters; a fingerprint's cells (`CELLS`) are the one exception."""
ANYTHING: Final = 2000
"""So many characters of JSON may be anything: a picture in which a face can be told has more."""
MOST_PLAIN: Final = 4096
"""So many characters of JSON facts have that are no list of a known shape, `MOST_NUMBERS` numbers and `MOST_LETTERS` of text."""
MOST_NUMBERS: Final = 256
MOST_LETTERS: Final = 2000
MOST_FACTS: Final = 262_144
"""So many characters of JSON facts have in all, lists of a known shape among them."""
MOST_FACTS_OF: Final[Mapping[str, int]] = {
    "recordings": 4 * 1024 * 1024,  # [start, end] pairs of ninety days in short segments
    "inventory": 1024 * 1024,
}

MOST_ENTRIES: Final = 512
"""Of a list of devices' own parts: channels, disks, inputs."""
ENTRY_LETTERS: Final = 264
"""Of an entry's texts, together: an id and a name."""
LISTED_LETTERS: Final = 32_768
"""Of the texts of such a list, together."""
MOST_NAMES: Final = 64
"""Of different keys, and of texts in a row."""
WORD_LETTERS: Final = 64
"""Of a name without a space: longer ones are no names."""
WORDS_LETTERS: Final = 8192
"""Of a list of words, together."""
MOST_DAYS: Final = 400
NAME_LETTERS: Final = 200
INVENTORY_LETTERS: Final = 65_536
EARLIEST: Final = 10**12
LATEST: Final = 10**13
"""Between these (2001 and 2286) lies what footage is dated, in UTC milliseconds."""
MOST_UNDATED: Final = 64
"""So many stretches may be dated otherwise, by a recorder's clock that was lost, where they aren't in order."""
WEEK_MINUTES: Final = 7 * 24 * 60
MOST_CHANGED: Final = 1024
"""Thresholds that a site may have set: each with its value and its default."""
LARGEST_THRESHOLD: Final = 100_000
MOST_RANGES: Final = 1000

CELLS: Final = (
    (48 * 36, 96),
    (48 * 36, 255),
    (48 * 36, 96),
    (48 * 36, 15),
    (48 * 36, 2),
    (24 * 18, 96),
    (24 * 18, 255),
)
"""Of a fingerprint's planes in their order, how many cells each has (48 x 36 or 24 x 18), and the largest code in one."""
_CELLS_BYTES: Final = sum(count for count, _ in CELLS)
_CELLS_LETTERS: Final = 12_000

_CHANGE: Final = frozenset({"camera", "light", "name", "value", "default"})
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
"""Every text of a JSON, one after the other from its beginning."""
_NO_WORD = re.compile(rf"\S{{{WORD_LETTERS + 1}}}")
_DIGEST = re.compile(r"[a-z0-9-]{2,16}:[0-9a-f]{64,128}")
_SKETCHED = re.compile(r"[.a-hA-H]{1,64}")

Shape = Callable[[Any], bool]
Path = tuple[str | int, ...]
"""Where something stands in facts: ("cameras", 0, "name")."""


def trouble(kind: str, facts: Mapping[str, Any]) -> str | None:
    """Return why an observation of a kind can't have these facts; None where it can. Raises ValueError for NaN and infinity."""
    text = json.dumps(facts, allow_nan=False, ensure_ascii=False)
    most = MOST_FACTS_OF.get(kind, MOST_FACTS)
    if len(text) > most:
        return f"{kind} may have facts of {most} characters, not {len(text)}"
    if kind != "baseline" and any(len(found[1]) > LONGEST_TEXT for found in _TEXT.finditer(text)):
        return f"a text of more than {LONGEST_TEXT} characters is no fact"
    if len(text) <= ANYTHING:
        return None
    if kind == "inventory":
        wrong = next(inventory_troubles(facts), None)
        return None if wrong is None else "a declaration is of names and few numbers, and this is none"
    shapes = SHAPES.get(kind, {})
    for key, fits in shapes.items():
        if key in facts and not fits(facts[key]):
            return f"{kind} has {key} of another shape than such a list has"
    return _plain_trouble(kind, {key: value for key, value in facts.items() if key not in shapes})


def _plain_trouble(kind: str, facts: Mapping[str, Any]) -> str | None:
    length = len(json.dumps(facts, ensure_ascii=False))
    if length <= ANYTHING:
        return None
    if length > MOST_PLAIN:
        return f"{kind} may have facts of {MOST_PLAIN} characters beside its lists, not {length}"
    numbers, letters = _counted(facts)
    if numbers > MOST_NUMBERS or letters > MOST_LETTERS:
        return (
            f"{kind} may have {MOST_NUMBERS} numbers and {MOST_LETTERS} letters as facts, not {numbers} and {letters}"
        )
    return None


def _leaves(value: Any) -> Iterator[Any]:
    """Give all that is no list and no object, however deep: what nests without end can't have been read as JSON."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.keys()
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
        else:
            yield item


def _counted(value: Any) -> tuple[int, int]:
    """Return how many numbers and how many letters there are in a value."""
    numbers = letters = 0
    for item in _leaves(value):
        if isinstance(item, str):
            letters += len(item)
        else:
            numbers += type(item) in {int, float}
    return numbers, letters


def _is_count(value: Any) -> bool:
    return type(value) is int and bool(value >= 0)


def _are_stretches(value: Any) -> bool:
    """Stretches of time, [start, end): one after the other, or dates of footage but for a few; no pixels are either."""
    if not isinstance(value, list):
        return False
    undated = 0
    for pair in value:
        if not _is_pair(pair):
            return False
        undated += not EARLIEST <= pair[0] <= pair[1] <= LATEST
    return undated <= MOST_UNDATED or all(one[1] <= other[0] for one, other in pairwise(value))


def _are_minutes(value: Any) -> bool:
    """Stretches of a week, one after the other."""
    return (
        isinstance(value, list)
        and all(map(_is_pair, value))
        and all(one[1] <= other[0] for one, other in pairwise(value))
        and (not value or value[-1][1] <= WEEK_MINUTES)
    )


def _is_pair(pair: Any) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    start, end = pair
    return type(start) is int and type(end) is int and 0 <= start <= end


def _are_days(value: Any) -> bool:
    """One count of bytes a day, null where it isn't known."""
    return isinstance(value, list) and len(value) <= MOST_DAYS and all(one is None or _is_count(one) for one in value)


def _are_entries(value: Any) -> bool:
    """A device's own parts: each has an id, a name perhaps, and a number or two."""
    return _are_small(value, MOST_ENTRIES, MOST_NUMBERS, LISTED_LETTERS)


def _are_small(value: Any, most: int, most_numbers: int, most_letters: int) -> bool:
    if not isinstance(value, list) or len(value) > most:
        return False
    counted = total = 0
    names: set[str] = set()
    for entry in value:
        if not isinstance(entry, dict) or len(entry) > 8 or any(len(key) > 40 for key in entry):
            return False
        if any(isinstance(item, list | dict) or not _is_named(item) for item in entry.values()):
            return False
        names |= entry.keys()
        numbers, letters = _counted(list(entry.values()))
        counted += numbers
        total += letters
        if numbers > 2 or letters > ENTRY_LETTERS:
            return False
    return counted <= most_numbers and total <= most_letters and len(names) <= MOST_NAMES


def _is_named(value: Any) -> bool:
    """No text, or one that people or devices give as a name."""
    return not isinstance(value, str) or (len(value) <= NAME_LETTERS and _NO_WORD.search(value) is None)


def _are_names(value: Any) -> bool:
    """Ids of what was declared, or words of a device's."""
    return (
        isinstance(value, list)
        and len(value) <= MOST_ENTRIES
        and all(isinstance(item, str) and len(item) <= WORD_LETTERS for item in value)
        and sum(map(len, value)) <= WORDS_LETTERS
    )


def _are_ranges(value: Any) -> bool:
    """Reports that are missing: their numbers, and their digests."""
    return isinstance(value, list) and len(value) <= MOST_RANGES and all(map(_is_range, value))


def _is_range(value: Any) -> bool:
    if not isinstance(value, dict) or not {"boot", "first", "last"} <= value.keys():
        return False
    digests = value.get("digests", [])
    return (
        isinstance(digests, list)
        and all(isinstance(item, str) and _DIGEST.fullmatch(item) for item in digests)
        and _is_count(value["first"])
        and _is_count(value["last"])
        and _are_entries([{key: item for key, item in value.items() if key != "digests"}])
    )


def _is_sketch(value: Any) -> bool:
    rows = value.get("rows") if isinstance(value, dict) and len(value) == 1 else None
    return (
        isinstance(rows, list)
        and len(rows) <= 64
        and all(isinstance(row, str) and _SKETCHED.fullmatch(row) for row in rows)
    )


def _is_fingerprint(value: Any) -> bool:
    """Some numbers, and the cells of a view, each with a code of its own plane."""
    if not isinstance(value, dict):
        return False
    rest = {key: item for key, item in value.items() if key != "cells"}
    return len(json.dumps(rest, ensure_ascii=False)) <= ANYTHING and _are_cells(value.get("cells"))


def _are_cells(text: Any) -> bool:
    if not isinstance(text, str) or len(text) > _CELLS_LETTERS:
        return False
    try:
        reader = zlib.decompressobj()
        cells = reader.decompress(base64.b64decode(text, validate=True), _CELLS_BYTES + 1)
    except (ValueError, zlib.error):
        return False
    if len(cells) != _CELLS_BYTES or not reader.eof or reader.unused_data:
        return False
    start = 0
    for count, largest in CELLS:
        if max(cells[start : start + count]) > largest:
            return False
        start += count
    return True


def _are_changes(value: Any) -> bool:
    """Thresholds that were set: whose, and two numbers as those of the picture checks are."""
    return _are_small(value, MOST_CHANGED, 2 * MOST_CHANGED, INVENTORY_LETTERS) and all(
        entry.keys() <= _CHANGE
        and all(abs(item) <= LARGEST_THRESHOLD for item in entry.values() if type(item) in {int, float})
        for entry in value
    )


def inventory_troubles(facts: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Give where a declaration of more than `ANYTHING` characters holds what can't travel, and why: a sentence without its subject.

    The places are those of the declaration; of what is about all of it the place is empty.
    """
    rest = {key: value for key, value in facts.items() if key != "thresholds"}
    if not _are_changes(facts.get("thresholds", [])):
        yield ("thresholds",), f"are not {MOST_CHANGED} changes at most, of two numbers up to {LARGEST_THRESHOLD} each"
    numbers, letters = _counted(rest)
    if numbers > MOST_NUMBERS:
        yield (), f"has {numbers} numbers, and {MOST_NUMBERS} may be told to the collector"
    if letters > INVENTORY_LETTERS:
        told = f"has {letters} letters in its names and their keys"
        yield (), f"{told}, and {INVENTORY_LETTERS} may be told to the collector: shorten names"
    names: set[str] = set()
    waiting: list[tuple[Path, dict[str, Any] | list[Any]]] = [((), rest)]
    while waiting and len(names) <= MOST_NAMES:
        place, item = waiting.pop()
        names |= item.keys() if isinstance(item, dict) else set()
        inner: list[tuple[str | int, Any]] = [*(item.items() if isinstance(item, dict) else enumerate(item))]
        waiting += [((*place, key), one) for key, one in inner if isinstance(one, dict | list)]
        yield from _entry_troubles(place, inner)
    if len(names) > MOST_NAMES:
        yield (), f"has {len(names)} different keys, and {MOST_NAMES} may be told to the collector"


def _entry_troubles(place: Path, entries: Sequence[tuple[str | int, Any]]) -> Iterator[tuple[Path, str]]:
    """Give the same of what stands at one place, of lists and objects their keys alone."""
    plain = [key for key, one in entries if not isinstance(one, dict | list)]
    if len(plain) > MOST_NAMES:
        yield place, f"has {len(plain)} entries, and {MOST_NAMES} may be told to the collector"
    for key, one in entries:
        if not (_is_named(key) and _is_named(one)):
            limits = f"{NAME_LETTERS} letters at most, no more than {WORD_LETTERS} of them without a space"
            yield (*place, key), f"is told to the collector as a name: {limits}"


SHAPES: Final[Mapping[str, Mapping[str, Shape]]] = {
    "recordings": {"spans": _are_stretches, "locked": _are_stretches},
    "written": {"bytes": _are_days},
    "channels": {"channels": _are_entries},
    "disks": {"disks": _are_entries, "gone": _are_entries, "swapped": _are_entries},
    "alarm_inputs": {"inputs": _are_entries, "disarmed": _are_entries},
    "fault_notices": {"armed": _are_names},
    "recording_mode": {"holes": _are_minutes},
    "twin": {"cameras": _are_names},
    "dropped": {"ranges": _are_ranges},
    "baseline": {"sketch": _is_sketch, "fingerprint": _is_fingerprint},
}
"""By kind of observation, the lists that may be long, and what each has to be like."""
