"""That F3 leaves out no state of a disk but those that are another's byte for byte, or that SQLite can't tell apart."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import chain, combinations

import pytest

from benchmarks.torture import power_reader
from benchmarks.torture.power_disk import (
    Change,
    Length,
    Moment,
    Name,
    Write,
    choices,
    is_few,
    one_for_each_reading,
    open_changes,
    states,
)
from benchmarks.torture.power_reader import FRAME_BYTES, FRAME_HEADER_BYTES, LOG_HEADER_BYTES, PAGE_BYTES, read_log

DATABASE, LOG, COUNT = 1, 2, 3
NAMES = {"outbox.sqlite": DATABASE, "outbox.sqlite-wal": LOG, "outbox.sqlite-commits": COUNT}


def states_of(moment: Moment, chosen: Iterable[tuple[Change, ...]]) -> set[frozenset[tuple[str, bytes]]]:
    return {frozenset(moment.files(item).items()) for item in chosen}


def change(seeded: random.Random) -> Change:
    kind = seeded.randrange(6)
    if kind == 0:
        return Length(seeded.choice([1, 2]), seeded.randrange(1400))
    if kind == 1:
        return Name(seeded.choice("abc"), seeded.choice([1, 2, None]))
    data = bytes(seeded.choices(b"xyz", k=seeded.choice([1, 3, 600])))
    return Write(seeded.choice([1, 2]), seeded.choice([0, 0, 2, 511, 512]), data)


def test_every_choice_that_makes_other_bytes_is_tried() -> None:
    fewer = 0
    for seed in range(120):
        seeded = random.Random(seed)
        pending = tuple(change(seeded) for _ in range(6))
        moment = Moment({1: b"w" * 700}, {"a": 1}, pending, ())
        pieces = open_changes(moment, 512)
        subsets = chain.from_iterable(combinations(pieces, size) for size in range(len(pieces) + 1))
        assert states_of(moment, choices(moment, 512)) == states_of(moment, subsets)
        fewer += states(moment, 512) < 2 ** len(pieces)
    assert fewer > 10, "writes of one place are one choice"


def count(number: int) -> Write:
    return Write(COUNT, 0, b"%020d\n" % number)


def parts_of(log: bytes, first: int) -> Iterator[tuple[int, int]]:
    """Where each part that is written at once begins, from a frame on, and how long it is."""
    for at in range(LOG_HEADER_BYTES + first * FRAME_BYTES, len(log), FRAME_BYTES):
        yield at, FRAME_HEADER_BYTES
        yield at + FRAME_HEADER_BYTES, PAGE_BYTES


def test_of_a_transaction_in_the_log_every_number_of_whole_frames_is_tried_with_all_else(
    written: tuple[bytes, bytes],
) -> None:
    database, log = written
    known = LOG_HEADER_BYTES + 2 * FRAME_BYTES
    end = LOG_HEADER_BYTES + read_log(log).frames * FRAME_BYTES
    calls = [Write(LOG, at, log[at : at + size]) for at, size in parts_of(log[:end], 2)]
    moment = Moment({DATABASE: database, LOG: log[:known]}, NAMES, (count(1), count(2), count(3), *calls), ())
    assert not is_few(moment, 512)
    tried = states_of(moment, choices(moment, 512))
    whole_frames = len(calls) // 2
    assert len(tried) == 4 * (whole_frames + 1)
    for number in (None, 1, 2, 3):
        for whole in range(whole_frames + 1):
            there: list[Change] = [*([] if number is None else [count(number)]), *calls[: 2 * whole]]
            assert frozenset(moment.files(there).items()) in tried


def test_of_pages_on_their_way_out_of_the_log_all_and_none_are_tried_with_all_else(
    written: tuple[bytes, bytes],
) -> None:
    database, log = written
    pages = read_log(log).pages
    out = [Write(DATABASE, (number - 1) * PAGE_BYTES, data) for number, data in sorted(pages.items())]
    length = Length(DATABASE, 40 * PAGE_BYTES)
    moment = Moment({DATABASE: database, LOG: log}, NAMES, (count(1), count(2), *out, length), ())
    assert not is_few(moment, 512)
    tried = states_of(moment, choices(moment, 512))
    for number in (None, 1, 2):
        for there in ([], out):
            for longer in ([], [length]):
                all_of_it: list[Change] = [*([] if number is None else [count(number)]), *there, *longer]
                assert frozenset(moment.files(all_of_it).items()) in tried
    whole_writes = 1 << 30
    assert is_few(moment, whole_writes)
    every, few = (
        {power_reader.reading(files["outbox.sqlite"], log) for files in map(moment.files, chosen)}
        for chosen in (choices(moment, whole_writes), one_for_each_reading(moment, whole_writes))
    )
    same = every == few
    assert same, "no other choice of pages is read otherwise"


def test_a_page_that_the_log_does_not_have_is_read_as_it_lies_there(written: tuple[bytes, bytes]) -> None:
    """Nobody writes one before it is synced in the log; where somebody does, each of its sectors is a choice."""
    database, log = written
    pages = read_log(log).pages
    other = next(number for number in range(1, len(database) // PAGE_BYTES + 1) if number not in pages)
    out = [Write(DATABASE, (number - 1) * PAGE_BYTES, b"?" * PAGE_BYTES) for number in (other, *pages)]
    moment = Moment({DATABASE: database, LOG: log}, NAMES, tuple(out), ())
    read = {power_reader.reading(files["outbox.sqlite"], log) for files in map(moment.files, choices(moment, 512))}
    with_header = 2 if 1 in pages else 1
    assert len(read) == with_header * 2**8


def test_what_is_not_a_log_and_pages_is_not_passed_over() -> None:
    many: tuple[Change, ...] = tuple(Write(DATABASE, 8 * index, b"x") for index in range(15))
    cases: list[tuple[dict[str, int], tuple[Change, ...], str]] = [
        ({"a": DATABASE}, many, "not one database's"),
        (NAMES, tuple(Write(COUNT, 8 * index, b"x") for index in range(15)), "beside the log"),
        (NAMES, (*many, Length(LOG, 9)), "length is open"),
        (NAMES, many, "doesn't have"),
    ]
    for names, pending, said in cases:
        moment = Moment({DATABASE: bytes(200)}, names, pending, ())
        with pytest.raises(ValueError, match=said):
            list(choices(moment, 512))


def test_a_database_s_states_are_those_of_its_own_files() -> None:
    pending = (Name("journal.sqlite-wal", 5), Write(5, 0, b"x"), count(1), Name("outbox.sqlite-wal", None))
    moment = Moment({DATABASE: b"a", LOG: b"b", 4: b"c"}, {**NAMES, "journal.sqlite": 4}, pending, ("done",))
    outbox, journal = moment.of("outbox.sqlite"), moment.of("journal.sqlite")
    assert outbox == Moment({DATABASE: b"a", LOG: b"b"}, NAMES, pending[2:], ("done",))
    assert journal == Moment({4: b"c"}, {"journal.sqlite": 4}, pending[:2], ("done",))
