"""What the service judges on site: the same as from all it has seen, beside the loop that watches, in the order of asking."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.database import DatabaseError
from agents.journal import Journal
from agents.judging import Asked, Judging
from monitor.evaluation.judge import judge
from monitor.model.ledger import first_seen
from monitor.model.observation import Kind, Observation
from monitor.model.span import DAY, HOUR, MINUTE, Millis
from monitor.model.verdict import Verdict
from support.packs import pack
from support.scene import GATE, INVENTORY, NOON, during, facts_of, healthy, index, without

REGULATION = pack()


def asked(as_of: Millis = NOON) -> Asked:
    return Asked(as_of, INVENTORY, (), {}, REGULATION)


def seen_of_ninety_days() -> list[Observation]:
    """A gate whose footage has a hole, and whose stream comes and goes."""
    flaps = [
        during(GATE, Kind.STREAM, at, at + HOUR, "down", "closed") for at in range(NOON - 40 * DAY, NOON, 2 * HOUR)
    ]
    held = [(NOON - 100 * DAY, NOON - 50 * DAY), (NOON - 49 * DAY, NOON - MINUTE)]
    return [*without(healthy(), Kind.RECORDINGS, GATE), *flaps, index(GATE, held)]


def retention_of(verdicts: tuple[Verdict, ...]) -> dict[str, dict[str, object]]:
    return {item.subject.id: dict(item.measured) for item in verdicts if item.requirement.kind == "retention"}


@contextmanager
def judging(folder: Path) -> Iterator[tuple[Judging, Journal]]:
    journal = Journal(folder / "journal.sqlite")
    journal.append(seen_of_ninety_days())
    made = Judging(journal)
    yield made, journal
    made.close()
    journal.close()


async def test_it_comes_to_what_everything_comes_to(tmp_path: Path) -> None:
    with judging(tmp_path) as (made, journal):
        await made.judge(asked())
        facts = first_seen(facts_of(journal.all(NOON)), journal.first_seen())
        assert made.facts is not None
        assert (made.facts.recordings, made.facts.offsets) == (facts.recordings, facts.offsets)
        assert made.facts.inventory_seen == facts.inventory_seen
        found = retention_of(made.verdicts)
        assert found == retention_of(judge(facts, REGULATION))
        assert len(found["gate"]["missing_days"]) == 2  # type: ignore[arg-type]
        assert {item.requirement.kind for item in made.verdicts} == {"retention"}
        assert not made.facts.streams, "nobody asked for it, and there may be half a million of them"


async def test_the_loop_turns_while_a_judgement_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with judging(tmp_path) as (made, journal):
        turned, waited, readings = threading.Event(), [], journal.readings

        def slow(camera: str, names: list[tuple[Millis, str]]) -> list[Observation]:
            waited.append(turned.wait(20))
            return readings(camera, names)

        monkeypatch.setattr(journal, "readings", slow)
        under_way = asyncio.create_task(made.judge(asked()))
        asyncio.get_running_loop().call_later(0.01, turned.set)
        await under_way
        assert waited == [True, True, True], "one for each camera"


async def test_what_was_asked_for_last_is_what_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with judging(tmp_path) as (made, journal):
        order, everything = [], journal.all

        def noted(as_of: Millis, *, indexes: bool, spans: bool) -> list[Observation]:
            order.append(as_of)
            return everything(as_of, indexes=indexes, spans=spans)

        monkeypatch.setattr(journal, "all", noted)
        await asyncio.gather(made.judge(asked()), made.judge(asked(NOON + HOUR)))
        assert made.facts is not None
        assert made.facts.as_of == order[-1] == NOON + HOUR
        assert len(order) == 2


async def test_a_service_that_ends_waits_for_no_judgement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with judging(tmp_path) as (made, journal):
        begun, closed, everything = threading.Event(), threading.Event(), journal.all

        def late(as_of: Millis, *, indexes: bool, spans: bool) -> list[Observation]:
            begun.set()
            assert closed.wait(20)
            return everything(as_of, indexes=indexes, spans=spans)

        monkeypatch.setattr(journal, "all", late)
        under_way, next_one = (asyncio.create_task(made.judge(asked())) for _ in range(2))
        await asyncio.to_thread(begun.wait, 20)
        made.close()
        journal.close()
        closed.set()
        with pytest.raises(DatabaseError, match="is closed"):
            await under_way
        with pytest.raises(asyncio.CancelledError):
            await next_one
        assert made.facts is None
