"""Findings folded from looks: what opens a case, what closes it, and what never does."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.finding import (
    Change,
    Known,
    Look,
    Run,
    episodes_of_runs,
    extend,
    reconcile,
    shares,
    undetermined_since,
)
from monitor.model.observation import Subject
from monitor.model.span import HOUR
from monitor.model.verdict import Cause, Episode, Outcome

MET, BREACHED, UNDETERMINED = Outcome.MET, Outcome.BREACHED, Outcome.UNDETERMINED
CAUSE = Cause("uptime", Subject(kind="recorder", id="nvr"))
SILENCE = Cause("agent_silence", Subject(kind="agent", id="box"))

kinds = st.sampled_from(
    [(MET, "ok", None), (BREACHED, "short", None), (BREACHED, "gap", None), (UNDETERMINED, "unknown", None),
     (BREACHED, "short", CAUSE), (UNDETERMINED, "unknown", SILENCE)]
)  # fmt: skip


@st.composite
def looks(draw: st.DrawFn) -> list[Look]:
    """Looks at different instants: one evaluation of the same evidence says one thing."""
    at = draw(st.lists(st.integers(0, 40), unique=True, max_size=12))
    found = [(hour, *draw(kinds)) for hour in sorted(at)]
    return [Look(hour * HOUR, outcome, state, None, cause) for hour, outcome, state, cause in found]


def runs_of(seen: list[Look]) -> tuple[Run, ...]:
    runs: tuple[Run, ...] = ()
    for look in seen:
        runs = extend(runs, look)
    return runs


def naive_episodes(seen: list[Look], confirm_after: int) -> list[tuple[str, int, int | None]]:
    """The rule read word by word: two looks that far apart with nothing else said between them."""
    counting = sorted((x for x in seen if x.outcome is not UNDETERMINED and x.because_of is None), key=lambda x: x.at)
    found: list[tuple[str, int, int | None]] = []
    for i, second in enumerate(counting):
        first = i
        while first > 0 and counting[first - 1].state == second.state:
            first -= 1
        began = counting[first].at
        if second.at - began < confirm_after:
            continue
        is_open = bool(found) and found[-1][2] is None
        if is_open and found[-1][0] != second.state:
            found[-1] = (found[-1][0], found[-1][1], began)
            is_open = False
        if second.outcome is BREACHED and not is_open:
            found.append((second.state, began, None))
    return found


@given(looks(), st.integers(0, 9))
def test_episodes_are_what_the_rule_says(seen: list[Look], hours: int) -> None:
    episodes = episodes_of_runs(runs_of(seen), hours * HOUR)
    assert [(item.state, item.began, item.ended) for item in episodes] == naive_episodes(seen, hours * HOUR)


@given(looks(), st.randoms(use_true_random=False))
def test_looks_may_come_twice(seen: list[Look], random: Any) -> None:
    again = list(seen)
    for look in seen:
        again.insert(random.randrange(again.index(look), len(again)) + 1, look)
    assert runs_of(again) == runs_of(seen)


@given(looks(), st.randoms(use_true_random=False))
def test_looks_may_come_in_any_order_while_no_later_look_hid_them(seen: list[Look], random: Any) -> None:
    """Only a look that contradicts a run already folded over its instant is dropped: the rest is order-free.

    What is told of an instant at which it was still unknown is another matter: see below.
    """
    mixed = list(seen)
    random.shuffle(mixed)
    runs: tuple[Run, ...] = ()
    kept: list[Look] = []
    for look in mixed:
        if runs and runs[-1].outcome is UNDETERMINED and look.outcome is not UNDETERMINED and look.at <= runs[-1].last:
            continue
        if not any(run.first < look.at < run.last and not run.agrees(_run(look)) for run in runs):
            kept.append(look)
        runs = extend(runs, look)
    assert runs == runs_of(sorted(kept, key=lambda item: item.at))


def _run(look: Look) -> Run:
    return Run(look.at, look.at, look.outcome, look.state, look.began, look.because_of)


@given(looks(), st.integers(0, 9))
def test_undetermined_looks_and_consequences_open_and_close_nothing(seen: list[Look], hours: int) -> None:
    counting = [item for item in seen if item.outcome is not UNDETERMINED and item.because_of is None]
    assert episodes_of_runs(runs_of(seen), hours * HOUR) == episodes_of_runs(runs_of(counting), hours * HOUR)
    silent = [item for item in seen if item.outcome is UNDETERMINED or item.because_of is not None]
    assert episodes_of_runs(runs_of(silent), 0) == ()


def test_two_scans_six_hours_apart_open_and_close_a_case() -> None:
    seen = [
        Look(h * HOUR, o, s) for h, o, s in [(0, BREACHED, "short"), (3, BREACHED, "short"), (6, BREACHED, "short")]
    ]
    assert episodes_of_runs(runs_of(seen[:2]), 6 * HOUR) == ()
    assert episodes_of_runs(runs_of(seen), 6 * HOUR) == (Episode("short", 0, None),)
    one_met = [*seen, Look(9 * HOUR, MET, "ok")]
    assert episodes_of_runs(runs_of(one_met), 6 * HOUR) == (Episode("short", 0, None),)
    closed = [*one_met, Look(15 * HOUR, MET, "ok")]
    assert episodes_of_runs(runs_of(closed), 6 * HOUR) == (Episode("short", 0, 9 * HOUR),)


def test_what_was_already_so_began_when_the_evidence_says() -> None:
    seen = [Look(10 * HOUR, BREACHED, "gap", 2 * HOUR), Look(20 * HOUR, BREACHED, "gap", 2 * HOUR)]
    assert episodes_of_runs(runs_of(seen), 6 * HOUR) == (Episode("gap", 2 * HOUR, None),)


stretches: st.SearchStrategy[list[int]] = st.lists(st.integers(0, 60), min_size=2, max_size=12, unique=True).map(sorted)


@st.composite
def episodes(draw: st.DrawFn) -> list[Episode]:
    """Episodes of one subject: apart, the last one perhaps still open."""
    edges = draw(stretches)
    found = [
        Episode(draw(st.sampled_from(["down", "site_power"])), a * HOUR, b * HOUR)
        for a, b in zip(edges[::2], edges[1::2], strict=False)
    ]
    still: bool = draw(st.booleans())
    if found and still:
        found[-1] = Episode(found[-1].state, found[-1].began, None)
    return found


def applied(known: list[Known], changes: tuple[Change, ...]) -> list[Known]:
    """What the store holds after the changes."""
    held = {item.id: item for item in known}
    for change in changes:
        name = change.known.id if change.known else f"f{len(held)}"
        held[name] = Known(name, change.episode.state, change.episode.began, change.episode.ended)
    return list(held.values())


@settings(max_examples=200)
@given(episodes(), episodes(), st.randoms(use_true_random=False))
def test_matching_is_idempotent_and_order_free(before: list[Episode], after: list[Episode], random: Any) -> None:
    known = applied([], reconcile([], before))
    assert reconcile(known, before) == ()
    changes = reconcile(known, after)
    shuffled, mixed = list(after), list(known)
    random.shuffle(shuffled)
    random.shuffle(mixed)
    assert sorted(map(repr, reconcile(mixed, shuffled))) == sorted(map(repr, changes))
    assert reconcile(applied(known, changes), after) == ()
    assert len({change.known.id for change in changes if change.known}) == len([c for c in changes if c.known])


def test_a_case_is_never_closed_by_absent_evidence() -> None:
    known = [Known("f1", "down", 10 * HOUR, None)]
    assert reconcile(known, []) == ()
    assert reconcile(known, [Episode("down", 9 * HOUR, None)]) == (Change(known[0], Episode("down", 9 * HOUR, None)),)


def test_two_cases_that_turn_out_to_be_one_are_one() -> None:
    """The earlier one has the time of both; the other one stays, with its history, and is open no more."""
    one, two = Known("f1", "down", 10 * HOUR, 11 * HOUR), Known("f2", "down", 12 * HOUR, None)
    whole = Episode("down", 9 * HOUR, None)
    changes = reconcile([two, one], [whole])
    assert changes == (Change(one, whole), Change(two, Episode("down", 12 * HOUR, 12 * HOUR)))
    after = applied([one, two], changes)
    assert reconcile(after, [whole]) == ()
    apart = [Episode("down", 9 * HOUR, 11 * HOUR), Episode("down", 12 * HOUR, None)]
    assert {change.known and change.known.id for change in reconcile(after, apart)} == {"f1", "f2"}, "and back again"


@given(episodes(), episodes())
def test_no_time_is_told_by_two_cases(before: list[Episode], after: list[Episode]) -> None:
    known = applied([], reconcile([], before))
    held = applied(known, reconcile(known, after))
    for one, other in combinations([item for item in held if item.state == "down"], 2):
        ends = [10**15 if item.ended is None else item.ended for item in (one, other)]
        told = [episode for episode in after if episode.state == "down" and shares(one, episode)]
        assert not told or max(one.began, other.began) >= min(ends), (one, other)


def test_evidence_that_came_late_ends_the_unknown() -> None:
    """Asked at 2, told to the centre after its evaluation of 3: since then it is known, though nothing newer is asked."""
    waited = [Look(HOUR, UNDETERMINED, "unknown"), Look(3 * HOUR, UNDETERMINED, "unknown")]
    known = runs_of([*waited, Look(2 * HOUR, MET, "ok")])
    assert known == (
        Run(HOUR, 3 * HOUR, UNDETERMINED, "unknown"),
        Run(3 * HOUR + 1, 3 * HOUR + 1, MET, "ok"),
    )
    assert extend(known, Look(2 * HOUR, MET, "ok")) == known
    assert undetermined_since(known) is None
    assert undetermined_since(extend(known, Look(5 * HOUR, UNDETERMINED, "unknown"))) == 5 * HOUR


def test_one_look_told_again_after_an_unknown_confirms_nothing() -> None:
    once = [Look(0, BREACHED, "short"), Look(HOUR, UNDETERMINED, "unknown"), Look(0, BREACHED, "short")]
    assert episodes_of_runs(runs_of(once), HOUR) == ()


@given(looks(), st.integers(0, 40), st.integers(0, 8))
def test_whatever_is_told_anew_ends_the_unknown(seen: list[Look], hour: int, since: int) -> None:
    runs = runs_of([*seen, Look(41 * HOUR, UNDETERMINED, "unknown")])
    told = Look(hour * HOUR + 1, MET, "ok")
    if any(run.first <= told.at <= run.last for run in runs if run.outcome is not UNDETERMINED):
        return
    assert undetermined_since(extend(runs, told)) is None
    later = Look((42 + since) * HOUR, UNDETERMINED, "unknown")
    assert undetermined_since(extend(extend(runs, told), later)) == later.at


def test_since_when_unknown() -> None:
    seen = [Look(0, MET, "ok"), Look(HOUR, UNDETERMINED, "unknown"), Look(3 * HOUR, UNDETERMINED, "unknown")]
    assert undetermined_since(runs_of(seen)) == HOUR
    assert undetermined_since(runs_of([*seen, Look(4 * HOUR, MET, "ok")])) is None
    assert undetermined_since(runs_of([*seen, Look(4 * HOUR, UNDETERMINED, "unknown", None, SILENCE)])) is None
    assert undetermined_since(()) is None
