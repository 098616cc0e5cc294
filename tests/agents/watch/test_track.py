"""States over time become spans without holes or overlaps, in whatever order they are told."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from agents.watch.track import Track
from monitor.model.ledger import timeline
from monitor.model.observation import Kind, Observation, StreamCause, Subject
from monitor.model.span import Basis

CAMERA = Subject(kind="camera", id="gate")


def tracked() -> tuple[Track, list[Observation]]:
    seen: list[Observation] = []
    return Track(CAMERA, Kind.STREAM, seen.append, 1000), seen


def spans(seen: list[Observation]) -> list[tuple[int, int, str, str | None]]:
    return [(item.start, item.end, item.state, item.cause) for item in seen]


def test_a_state_is_told_up_to_the_flush_and_goes_on_from_there() -> None:
    track, seen = tracked()
    track.set(100, "up")
    track.flush(150)
    track.flush(150)
    track.flush(120)
    track.set(200, "down", StreamCause.REFUSED, detail="it refuses")
    track.flush(300)
    assert spans(seen) == [(100, 150, "up", None), (150, 200, "up", None), (200, 300, "down", "refused")]
    assert [item.expires for item in seen] == [1150, 1200, 1300]
    assert seen[-1].detail == "it refuses"


def test_the_same_state_only_takes_newer_figures() -> None:
    track, seen = tracked()
    track.set(100, "up", facts=lambda: {"mean": 1})
    track.set(150, "up", facts=lambda: {"mean": 2})
    track.set(160, "up")
    track.flush(200)
    assert spans(seen) == [(100, 200, "up", None)]
    assert seen[0].facts == {"mean": 2}


def test_a_state_is_told_without_the_figures_that_can_not_be_made() -> None:
    """And so is what comes after it."""
    track, seen = tracked()

    def none_left() -> dict[str, JsonValue]:
        raise MemoryError

    track.set(100, "ok", facts=none_left)
    track.flush(200)
    track.set(250, "covered", facts=lambda: {"mean": 1})
    track.forget(300)
    assert spans(seen) == [(100, 200, "ok", None), (200, 250, "ok", None), (250, 300, "covered", None)]
    assert [item.facts for item in seen] == [{}, {}, {"mean": 1}]


def test_figures_are_made_when_they_are_handed_on() -> None:
    """Of one look in six, as reports are written once a minute."""
    track, _ = tracked()
    made: list[int] = []

    def figures(number: int) -> dict[str, JsonValue]:
        made.append(number)
        return {"mean": number}

    for number in range(6):
        track.set(100 + number, "up", facts=partial(figures, number))
    assert made == []
    track.flush(200)
    assert made == [5]


def test_another_cause_or_basis_is_another_span() -> None:
    track, seen = tracked()
    track.set(100, "down", StreamCause.REFUSED)
    track.set(110, "down", StreamCause.STALLED)
    track.set(120, "down", StreamCause.STALLED, basis=Basis.RECORDER_SAYS)
    track.flush(130)
    assert [(item.cause, item.basis) for item in seen] == [
        ("refused", Basis.WATCHED),
        ("stalled", Basis.WATCHED),
        ("stalled", Basis.RECORDER_SAYS),
    ]


def test_a_state_told_late_begins_in_the_past_but_not_before_what_was_handed_on() -> None:
    track, seen = tracked()
    track.set(100, "up")
    track.flush(150)
    track.set(180, "down", StreamCause.CLOSED)
    track.set(120, "up")
    track.flush(300)
    assert spans(seen) == [(100, 150, "up", None), (150, 180, "up", None), (180, 300, "up", None)]


def test_what_is_forgotten_leaves_a_hole_and_is_not_told_again() -> None:
    track, seen = tracked()
    track.set(100, "up")
    track.forget(150)
    track.flush(180)
    assert track.state is None
    track.set(120, "up")  # late news of what was told already
    track.flush(200)
    assert spans(seen) == [(100, 150, "up", None), (150, 200, "up", None)]


@dataclass(frozen=True)
class Word:
    """Something told to a track `after` the word before it, `late` by so much."""

    what: str
    after: int
    late: int


WORDS = st.lists(
    st.builds(
        Word, st.sampled_from(["up", "down", "unknown", "flush", "forget"]), st.integers(0, 50), st.integers(0, 80)
    ),
    max_size=30,
)


@given(WORDS)
def test_spans_never_overlap_and_holes_are_only_where_it_was_forgotten(words: list[Word]) -> None:
    track, seen = tracked()
    now, forgot = 1000, False
    forgotten: list[bool] = []
    for word in words:
        now += word.after
        told = len(seen)
        if word.what == "flush":
            track.flush(now - word.late)
        elif word.what == "forget":
            track.forget(now - word.late)
        else:
            track.set(now - word.late, word.what)
        forgotten += [forgot] * (len(seen) - told)
        if len(seen) > told:
            forgot = False
        forgot = forgot or word.what == "forget"
    told = len(seen)
    track.flush(now + 100)
    forgotten += [forgot] * (len(seen) - told)
    for number, (one, other) in enumerate(pairwise(seen), 1):
        assert one.end <= other.start, "an overlap"
        assert one.end == other.start or forgotten[number], "a hole that nobody made"
    line = timeline(seen, now + 100)
    assert sum(span.end - span.start for span in line.spans) == sum(item.end - item.start for item in seen)
    assert [(s.start, s.end) for s in line.spans] == sorted((s.start, s.end) for s in line.spans)
