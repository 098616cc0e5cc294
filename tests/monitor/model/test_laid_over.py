"""What was told of one subject, laid over each other: by each millisecond's best word, however many words there are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model import span as spans_module
from monitor.model.ledger import Timeline, timeline
from monitor.model.observation import Observation
from monitor.model.span import Basis, Int64Array, Spans
from support.centre import NOW, span

Seen = tuple[str, str | None, Basis | None]
BASES = (Basis.WATCHED, Basis.SAMPLED, Basis.RECORDER_SAYS, Basis.INDEX, Basis.ATTESTED, None)
WEIGHTS = {"looped": 0, "up": 1, "ok": 1}

told = st.builds(
    lambda state, cause, basis, start, length: span(
        "camera/gate", state, NOW + start, NOW + start + length, cause=cause, basis=basis
    ),
    st.sampled_from(["up", "ok", "down", "covered", "unknown", "looped"]),
    st.sampled_from([None, "refused", "clock_set"]),
    st.sampled_from(BASES),
    st.integers(0, 40),
    st.integers(0, 25),
)
twice = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=2)


def best_word(seen: Sequence[Observation], at: int, *, again: bool) -> Seen | None:
    """Say what holds at one millisecond, by the rules as they are written; None: nothing is known."""
    here = [item for item in seen if item.start <= at < item.end]
    by_agent = {item.state for item in here if item.basis not in {Basis.INDEX, Basis.ATTESTED}}
    good = by_agent & {"up", "ok"}
    if again and good and by_agent & {"down", "covered"} and "looped" not in by_agent:
        return "unknown", "clock_set", None

    def order(item: Observation) -> tuple[bool, int, int, str, str, str]:
        unknown, rank = item.state == "unknown", BASES.index(item.basis)
        return (
            unknown,
            0 if unknown else rank,
            WEIGHTS.get(item.state, 2),
            item.state,
            item.cause or "",
            item.basis or "",
        )

    best = min(here, key=order, default=None)
    return None if best is None else (best.state, best.cause, best.basis)


def shown(line: Timeline, at: int) -> Seen | None:
    """Return what a timeline shows at one millisecond."""
    here = [(item.state, item.cause, item.basis) for item in line.spans if item.start <= at < item.end]
    assert len(here) < 2, "states are disjoint"
    return here[0] if here else None


@settings(max_examples=150)
@given(seen=st.lists(told, max_size=12), again=twice, until=st.integers(0, 70))
def test_at_each_moment_the_best_word_holds(seen: list[Observation], again: list[tuple[int, int]], until: int) -> None:
    more = Spans.of([(NOW + start, NOW + start + length) for start, length in again])
    line = timeline([item for item in seen if item.start <= NOW + until], NOW + until, more)
    for at in range(NOW - 1, NOW + 70):
        known = best_word(seen, at, again=bool(more.clip(at, at + 1))) if at < NOW + until else None
        assert shown(line, at) == known
    neighbours = zip(line.spans, line.spans[1:], strict=False)
    assert all(one.end < two.start or one[2:] != two[2:] or "clock_set" in one[2:] for one, two in neighbours)


def test_causes_without_end_are_laid_over_each_other_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, a hundred thousand kept the centre from all other institutions for minutes, again and again."""
    made = 0
    normalised = spans_module._normalised

    def counting(pairs: Int64Array) -> Int64Array:
        nonlocal made
        made += 1
        return normalised(pairs)

    def sets(causes: int) -> int:
        nonlocal made
        made = 0
        seen = [span("camera/gate", "down", NOW + n, NOW + n + causes, cause=f"c{n:03}") for n in range(causes)]
        line = timeline([*seen, span("camera/gate", "up", NOW, NOW + 2)], NOW + 3 * causes)
        assert len(line.spans) == causes + 1
        return made

    monkeypatch.setattr(spans_module, "_normalised", counting)
    assert sets(400) == sets(4)
