"""What is held in memory while the disk refuses: bounded, in order, and what had to go is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.database import DatabaseError
from agents.held import Held, Queue, melted
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import MINUTE, Basis, Spans

GATE, ROOM = Subject(kind="camera", id="gate"), Subject(kind="camera", id="room")


def stream(start: int, length: int = 1, state: str = "up", subject: Subject = GATE) -> Observation:
    return Observation(
        subject=subject, kind=Kind.STREAM, start=start, end=start + length, state=state, basis=Basis.WATCHED,
        expires=start + length + MINUTE,
    )  # fmt: skip


def reading(at: int) -> Observation:
    nvr = Subject(kind="recorder", id="nvr")
    return Observation(subject=nvr, kind=Kind.DISKS, start=at, end=at, state="read", expires=at)


def test_weeks_of_the_same_take_no_room() -> None:
    queue = Queue(most=50)
    for at in range(10_000):
        queue.append(stream(at, subject=GATE if at % 2 else ROOM))
        queue.append(stream(at, subject=ROOM if at % 2 else GATE))
    assert queue.lost == 0
    found = melted(queue.items())
    assert [(item.start, item.end, item.expires) for item in found] == [(0, 10_000, 10_000 + MINUTE)] * 2


def test_beyond_the_bound_the_oldest_go_and_are_counted() -> None:
    queue = Queue(most=50)
    for at in range(1000):
        queue.append(reading(at))
    assert len(queue) <= 50
    assert queue.items() == [reading(at) for at in range(1000 - len(queue), 1000)]
    assert queue.lost == 1000 - len(queue)


def test_one_may_be_stored_while_the_other_waits() -> None:
    held = Held()
    held.append(reading(1))
    held.append(reading(2))
    with held.journal.storing() as seen:
        assert [item.start for item in seen] == [1, 2]
        held.append(reading(3))
        assert [item.start for item in held.journal.items()] == [1, 2, 3]
    assert [item.start for item in held.journal.items()] == [3]
    assert [item.start for item in held.reports.items()] == [1, 2, 3]


def test_what_could_not_be_stored_is_held_before_what_came_meanwhile() -> None:
    queue = Queue(most=50)
    for at in range(50):
        queue.append(reading(at))

    def fail() -> None:
        with queue.storing():
            for at in range(50, 60):
                queue.append(reading(at))
            assert len(queue) == 60
            raise DatabaseError

    with pytest.raises(DatabaseError):
        fail()
    assert queue.items() == [reading(at) for at in range(20, 60)]
    assert queue.lost == 20


SPANS = st.lists(
    st.builds(
        stream, st.integers(0, 30), st.integers(0, 9), st.sampled_from(["up", "down"]), st.sampled_from([GATE, ROOM])
    )
)


@given(SPANS)
def test_melting_changes_nothing_of_what_held_when(items: list[Observation]) -> None:
    found = melted(items)
    for subject in (GATE, ROOM):
        for state in ("up", "down"):
            before, after = (
                Spans.of((item.start, item.end) for item in some if (item.subject, item.state) == (subject, state))
                for some in (items, found)
            )
            assert before == after
    assert len(found) <= len(items)
