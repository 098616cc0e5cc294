"""That F3 leaves out no state of a disk but those that are another's byte for byte, or that SQLite can't tell apart."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import chain, combinations

from benchmarks.torture.power_disk import (
    FRAME_HEADER_BYTES,
    LOG_HEADER_BYTES,
    PAGE_BYTES,
    Change,
    Length,
    Moment,
    Name,
    Write,
    choices,
    open_changes,
    slots,
    states,
)

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
        assert states_of(moment, choices(moment, 512, seeded)) == states_of(moment, subsets)
        fewer += states(moment, 512) < 2 ** len(pieces)
    assert fewer > 10, "writes of one place are one choice"


def count(number: int) -> Write:
    return Write(COUNT, 0, b"%020d\n" % number)


def frames(seeded: random.Random, first: int, last: int) -> list[Write]:
    found = []
    for number in range(first, last):
        at = LOG_HEADER_BYTES + number * (FRAME_HEADER_BYTES + PAGE_BYTES)
        found += [
            Write(LOG, at, seeded.randbytes(FRAME_HEADER_BYTES)),
            Write(LOG, at + FRAME_HEADER_BYTES, seeded.randbytes(PAGE_BYTES)),
        ]
    return found


def test_of_a_transaction_in_the_log_every_number_of_whole_frames_is_tried_with_all_else() -> None:
    seeded = random.Random(1)
    written = frames(seeded, 2, 6)
    moment = Moment({}, NAMES, (count(1), count(2), count(3), *written), ())
    assert len(slots(moment, 512)) == 1 + len(open_changes(Moment({}, NAMES, tuple(written), ()), 512))
    tried = states_of(moment, choices(moment, 512, seeded))
    assert len(tried) > 4 * 5
    for number in (None, 1, 2, 3):
        for whole in range(5):
            there: list[Change] = [*([] if number is None else [count(number)]), *written[: 2 * whole]]
            assert frozenset(moment.files(there).items()) in tried


def test_of_pages_on_their_way_out_of_the_log_all_and_none_are_tried_with_all_else() -> None:
    seeded = random.Random(1)
    pages = [Write(DATABASE, number * PAGE_BYTES, seeded.randbytes(PAGE_BYTES)) for number in range(3)]
    moment = Moment({}, NAMES, (count(1), count(2), *pages, Length(DATABASE, 5 * PAGE_BYTES)), ())
    tried = states_of(moment, choices(moment, 512, seeded))
    for number in (None, 1, 2):
        for there in ([], pages):
            for length in ([], [Length(DATABASE, 5 * PAGE_BYTES)]):
                all_of_it: list[Change] = [*([] if number is None else [count(number)]), *there, *length]
                assert frozenset(moment.files(all_of_it).items()) in tried


def test_a_database_s_states_are_those_of_its_own_files() -> None:
    pending = (Name("journal.sqlite-wal", 5), Write(5, 0, b"x"), count(1), Name("outbox.sqlite-wal", None))
    moment = Moment({DATABASE: b"a", LOG: b"b", 4: b"c"}, {**NAMES, "journal.sqlite": 4}, pending, ("done",))
    outbox, journal = moment.of("outbox.sqlite"), moment.of("journal.sqlite")
    assert outbox == Moment({DATABASE: b"a", LOG: b"b"}, NAMES, pending[2:], ("done",))
    assert journal == Moment({4: b"c"}, {"journal.sqlite": 4}, pending[:2], ("done",))
