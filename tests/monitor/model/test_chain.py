"""The chain: what came, in any order, is known to be whole, to have holes, or to fork."""

from __future__ import annotations

import hashlib
import itertools
import random
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.chain import (
    MAX_BOOTS,
    MAX_SEGMENTS,
    MOST,
    Chain,
    ChainError,
    Gap,
    Link,
    Mark,
    Told,
    read_chain,
    write_chain,
)
from monitor.model.envelope import Place
from monitor.model.numbers import Numbers

BOOTS = ("a" * 32, "b" * 32, "c" * 32)


def place(boot: str, sequence: int, version: int = 0) -> Place:
    digest = hashlib.sha256(f"{boot}/{sequence}/{version}".encode()).hexdigest()
    return Place(boot=boot, sequence=sequence, digest=f"sha256:{digest}")


def link(after: Place | None, here: Place, at: int) -> Link:
    return Link(after, Mark(place=here, nonce_at=at, written_at=at))


def history(*lengths: int) -> list[Link]:
    """Return an agent's links: so many in each boot, one after the other."""
    places = [place(boot, n + 1) for boot, length in zip(BOOTS, lengths, strict=False) for n in range(length)]
    return [link(before, here, at) for at, (before, here) in enumerate(itertools.pairwise([None, *places]), 1) if here]


class Store:
    """What was taken in so far."""

    def __init__(self) -> None:
        self.chain = Chain()
        self.stored: dict[tuple[str, int], str] = {}

    def add(self, item: Link) -> None:
        here = item.mark.place
        self.chain = self.chain.add(item, lambda boot, sequence: self.stored.get((boot, sequence)))
        self.stored[here.boot, here.sequence] = here.digest

    def add_all(self, items: list[Link]) -> Chain:
        for item in items:
            self.add(item)
        return self.chain


def test_a_whole_chain_is_one_segment_over_all_boots() -> None:
    chain = Store().add_all(history(3, 2))
    assert [(item.count, item.after) for item in chain.segments] == [(5, None)]
    assert (chain.missing, chain.gaps, chain.forks, chain.beginnings) == (0, (), (), 1)


@settings(max_examples=60)
@given(st.permutations(history(5, 1, 4)))
def test_any_order_of_arrival_gives_the_whole_chain_as_long_as_nothing_claims_to_be_late(items: list[Link]) -> None:
    same = [Link(item.after, item.mark.model_copy(update={"nonce_at": 1})) for item in items]
    chain = Store().add_all(same)
    assert [item.count for item in chain.segments] == [10]
    assert (chain.missing, chain.forks) == (0, ())
    assert read_chain(write_chain(chain)) == chain


@given(st.sets(st.integers(0, 9), max_size=9))
def test_what_is_missing_is_counted(lost: set[int]) -> None:
    items = history(6, 4)
    chain = Store().add_all([item for number, item in enumerate(items) if number not in lost])
    known = [number for number in lost if number < max(set(range(10)) - lost)]
    if 6 in lost:  # only the first report of the second boot says how far the first one went
        first_boot = max([number for number in range(6) if number not in lost], default=-1)
        known = [number for number in known if number < first_boot or number >= 6]
    assert chain.missing == len(known)
    assert chain.forks == ()


@given(
    st.sets(st.integers(1, 8), max_size=8), st.sets(st.integers(1, 8), max_size=8), st.randoms(use_true_random=False)
)
def test_what_the_agent_says_it_gave_up_is_told_apart_from_what_is_missing_unexplained(
    lost: set[int], told: set[int], mixed: random.Random
) -> None:
    """Whatever it claims, only what is missing counts; in any order and with any copies."""
    items = history(6, 4)
    store = Store()
    chain = store.add_all([item for number, item in enumerate(items) if number not in lost])
    ranges = [
        Told(boot=items[n].mark.place.boot, first=items[n].mark.place.sequence, last=items[n].mark.place.sequence)
        for n in told
    ]
    mixed.shuffle(ranges)
    for item in [*ranges, *ranges[:2]]:
        chain = chain.tell([item])
    known = {number for number in lost if number < max(set(range(10)) - lost)}
    if 6 in lost:  # only the first report of the second boot says how far the first one went
        first_boot = max([number for number in range(6) if number not in lost], default=-1)
        known = {number for number in known if number < first_boot or number >= 6}
    assert chain.dropped == len(known & told)
    assert chain.missing >= chain.dropped
    assert sum(gap.dropped for gap in chain.gaps) == chain.dropped
    assert read_chain(write_chain(chain)) == chain


@given(st.sets(st.integers(0, 9), max_size=8), st.integers(0, 10))
def test_what_was_given_up_may_be_told_before_anything_of_its_boot_is_there(lost: set[int], when: int) -> None:
    """What is new goes before a backlog, and tells of all of it."""
    items = history(4, 2, 4)
    places = [items[number].mark.place for number in lost]
    told = [Told(boot=at.boot, first=at.sequence, last=at.sequence) for at in places]
    store = Store()
    for number, item in enumerate(items):
        if number == when:
            store.chain = store.chain.tell(told)
        if number not in lost:
            store.add(Link(item.after, item.mark.model_copy(update={"nonce_at": 1})))
    chain = store.chain.tell(told)
    assert chain.missing == chain.dropped
    assert sum(gap.count for gap in chain.gaps) == sum(gap.dropped for gap in chain.gaps) == chain.missing
    assert read_chain(write_chain(chain)) == chain


def test_boots_that_are_only_told_of_put_no_other_out() -> None:
    """An agent may say anything: what is known to be missing stays told apart."""
    store = Store()
    store.add_all([item for number, item in enumerate(history(6, 4)) if number != 2])
    known = store.chain
    for number in range(40):
        names = (f"{100 * number + n:032x}" for n in range(100))
        store.chain = store.chain.tell(Told(boot=name, first=1, last=9) for name in names)
    assert len(store.chain.boots) == MAX_BOOTS
    assert {name: store.chain.boots[name] for name in known.boots} == known.boots
    assert (store.chain.missing, store.chain.dropped) == (1, 0)


def test_what_was_given_up_stays_told_when_segments_are_told_apart_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 12
    monkeypatch.setattr("monitor.model.chain.MAX_SEGMENTS", most)
    items = history(4 * most)
    store = Store()
    for number, item in enumerate(items):
        if number % 2 == 0:
            store.add(item)
            store.chain = store.chain.tell([Told(boot=BOOTS[0], first=number, last=number)] if number else [])
    assert store.chain.missing == store.chain.dropped == 2 * most - 1
    assert len(store.chain.segments) <= most


def test_what_was_given_up_is_told_apart_however_late_the_agent_says_so() -> None:
    """A long backlog comes in quicker than what was given up of it is told."""
    items = history(4 * MAX_SEGMENTS)
    store = Store()
    chain = store.add_all(items[::2])
    assert (chain.missing, chain.dropped) == (2 * MAX_SEGMENTS - 1, 0)
    chain = chain.tell(Told(boot=BOOTS[0], first=n + 1, last=n + 1) for n in range(1, len(items), 2))
    assert (chain.missing, chain.dropped) == (2 * MAX_SEGMENTS - 1, 2 * MAX_SEGMENTS - 1)


def test_thousands_of_ranges_that_were_given_up_are_put_together_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One report may tell of tens of thousands: one after the other they would hold up all agents for minutes."""
    store = Store()
    store.add_all(history(2))
    told = [Told(boot=BOOTS[0], first=4 * n, last=4 * n + 1) for n in range(1, 1500)]
    made = Mock(wraps=Numbers.of)
    monkeypatch.setattr(Numbers, "of", made)
    chain = store.chain.tell(iter(told))
    assert made.call_count < 20
    monkeypatch.undo()
    assert chain.boots[BOOTS[0]].told == ",".join(f"{item.first}-{item.last}" for item in told)


@given(st.sets(st.integers(0, 59)), st.integers(0, 59), st.integers(1, 4))
def test_what_is_new_before_a_backlog_full_of_holes_is_neither_missing_nor_a_fork(
    lost: set[int], since: int, step: int
) -> None:
    """The backlog oldest first, and what is new in between: more segments than are told apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monitor.model.chain.MAX_SEGMENTS", 12)
        came = [item for number, item in enumerate(history(60)) if number not in lost]
        same = [Link(item.after, item.mark.model_copy(update={"nonce_at": 1})) for item in came]
        backlog, new = same[:since], same[since:]
        store = Store()
        while backlog or new:
            store.add_all([*backlog[: 5 * step], *new[:step]])
            backlog, new = backlog[5 * step :], new[step:]
    last = max((item.mark.place.sequence for item in came), default=0)
    assert (store.chain.missing, store.chain.fork_count) == (last - len(came), 0)
    assert read_chain(write_chain(store.chain)) == store.chain


def test_a_report_of_another_boot_in_between_makes_nothing_missing() -> None:
    """A person attests something beside the service: the next report of the service is lost."""
    here = [place(BOOTS[0], n) for n in range(1, 6)] + [place(BOOTS[1], 1)] + [place(BOOTS[0], n) for n in (6, 7)]
    items = [link(before, item, at) for at, (before, item) in enumerate(itertools.pairwise([None, *here]), 1) if item]
    chain = Store().add_all([*items[:6], items[7]])
    assert (chain.missing, [gap.count for gap in chain.gaps]) == (1, [1])


def test_an_agent_that_claims_to_follow_what_never_was_makes_no_count_too_large_to_keep() -> None:
    store = Store()
    for number in range(1, 2 * MAX_BOOTS):
        store.add(link(place(f"{number:032x}", 2**53), place(BOOTS[0], number), number))
    assert store.chain.missing == MOST
    assert len(store.chain.boots) == MAX_BOOTS
    assert read_chain(write_chain(store.chain)) == store.chain


def test_no_number_of_holes_makes_what_is_known_of_a_boot_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.model.chain.MAX_RANGES", 10)
    store = Store()
    items = history(100)
    chain = store.add_all(items[::2])
    chain = chain.tell(Told(boot=BOOTS[0], first=n + 1, last=n + 1) for n in range(1, 100, 4))
    (boot,) = chain.boots.values()
    assert (chain.missing, boot.seen.count(",") + boot.told.count(",") <= 10) == (49, True)
    assert boot.since > 1
    chain = chain.add(items[1], lambda boot, sequence: store.stored.get((boot, sequence)))
    assert chain.missing == 49, "of what is told apart no more the count stays"


def test_a_gap_says_between_when() -> None:
    items = history(6)
    chain = Store().add_all([*items[:2], *items[4:]])
    assert chain.gaps == (Gap(2, 2, 5),)


def test_what_fills_a_hole_closes_it_from_either_end() -> None:
    items = history(6)
    for order in ([2, 3], [3, 2]):
        store = Store()
        store.add_all([*items[:2], *items[4:]])
        chain = store.add_all([items[number] for number in order])
        assert [item.count for item in chain.segments] == [6]


def test_a_restored_backup_is_a_fork() -> None:
    store = Store()
    store.add_all(history(4))
    again = link(place(BOOTS[0], 2), place(BOOTS[1], 1), 9)
    chain = store.add_all([again, link(again.mark.place, place(BOOTS[1], 2), 9)])
    assert [(item.count, item.forked) for item in chain.segments] == [(4, False), (2, True)]
    assert (chain.missing, len(chain.forks)) == (0, 1)


@settings(max_examples=60)
@given(st.permutations([*history(4), *(link(place(BOOTS[0], n), place(BOOTS[n], 1), 1) for n in (1, 2))]))
def test_forks_are_seen_in_whatever_order_their_reports_come_in(items: list[Link]) -> None:
    """What two continue may be the last to come: an agent sends what is new before its backlog."""
    same = [Link(item.after, item.mark.model_copy(update={"nonce_at": 1})) for item in items]
    chain = Store().add_all(same)
    assert (len(chain.forks), chain.missing, chain.beginnings) == (2, 0, 1)
    assert sum(item.count for item in chain.segments) == 6


def test_two_that_continue_what_is_missing_are_a_fork_before_it_comes() -> None:
    store = Store()
    store.add_all(history(3))
    store.add(link(place(BOOTS[0], 4), place(BOOTS[1], 1), 9))
    assert len(store.chain.forks) == 0
    chain = store.add_all([link(place(BOOTS[0], 4), place(BOOTS[2], 1), 9)])
    assert (len(chain.forks), chain.missing) == (1, 1)


def test_whoever_follows_other_bytes_than_are_stored_forks() -> None:
    store = Store()
    store.add_all(history(4))
    store.add(link(place(BOOTS[0], 4, version=1), place(BOOTS[0], 5), 9))
    assert len(store.chain.forks) == 1


def test_a_state_that_was_lost_begins_the_chain_again() -> None:
    store = Store()
    store.add_all([*history(3), link(None, place(BOOTS[1], 1), 9)])
    assert (store.chain.beginnings, store.chain.missing, store.chain.forks) == (2, 0, ())


def refused(store: Store, item: Link) -> str:
    with pytest.raises(ChainError) as caught:
        store.add(item)
    return caught.value.reason


def test_what_cannot_have_been_written_there_and_then_is_refused() -> None:
    store = Store()
    store.add_all(history(4))
    tip = place(BOOTS[0], 4)
    assert refused(store, link(tip, place(BOOTS[0], 5), 3)) == "nonce"
    assert refused(store, link(tip, place(BOOTS[0], 4), 9)) == "order"
    assert refused(store, link(place(BOOTS[1], 7), place(BOOTS[1], 8), 2)) == "unlinked"
    before = store.chain
    store.add(link(place(BOOTS[0], 6), place(BOOTS[0], 7), 9))
    assert refused(store, link(place(BOOTS[1], 7), place(BOOTS[1], 8), 2)) == "unlinked"
    store.add(link(place(BOOTS[0], 5), place(BOOTS[0], 6), 6))
    assert store.chain.missing == 1
    assert before.missing == 0


def test_no_number_of_holes_makes_the_chain_grow_without_bound() -> None:
    store = Store()
    for number in range(1, 2 * MAX_SEGMENTS + 1):
        store.add(link(place(BOOTS[0], 2 * number), place(BOOTS[0], 2 * number + 1), number))
    assert len(store.chain.segments) == MAX_SEGMENTS
    assert store.chain.missing == 2 * MAX_SEGMENTS + 1


def test_many_boots_with_many_ranges_stay_small_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each report reads and writes the whole chain; what is told apart no more is counted all the same."""
    monkeypatch.setattr("monitor.model.chain.MAX_RANGES", 30)
    monkeypatch.setattr("monitor.model.chain.MAX_RANGES_IN_ALL", 50)
    store = Store()
    places = [place(boot, 2 * n + 1) for boot in BOOTS for n in range(25)]
    for at, here in enumerate(places, 1):
        store.add(link(place(here.boot, here.sequence - 1) if here.sequence > 1 else None, here, at))
    store.chain = store.chain.tell(
        Told(boot=boot, first=4 * n + 2, last=4 * n + 2) for boot in BOOTS for n in range(12)
    )
    chain = store.chain
    ranges = sum(boot.seen.count(",") + boot.told.count(",") + boot.skipped.count(",") for boot in chain.boots.values())
    assert ranges <= 50
    assert chain.missing == 3 * 24
    assert 0 < chain.dropped <= 3 * 12, (
        "what is told of numbers that are told apart no more is not known to be among the missing"
    )
    assert all(boot.upto == 49 for boot in chain.boots.values())
