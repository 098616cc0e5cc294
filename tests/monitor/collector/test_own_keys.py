"""The collector's signing key is replaced: each process signs with the new one at once, and nothing of before is lost."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from sqlalchemy import Engine, text

from monitor.collector import own_keys
from monitor.collector.context import Context
from monitor.collector.own_keys import RotationError, handovers, rotate_signing_key
from monitor.collector.verify import verify_institution
from monitor.model.handover import follow
from monitor.store.engine import reading
from support.centre import NOW, make_centre, span


def test_a_replaced_key_signs_the_next_one_and_is_gone(engine: Engine) -> None:
    centre = make_centre(engine)
    other = Context(engine, centre.clock)  # as another process has it, which has read the keys before
    centre.add()
    centre.see(span("camera/gate", "up", NOW, NOW + 1))
    first, nonce_key = other.signing(), other.keys().nonce
    old, second = rotate_signing_key(engine, NOW)
    _, third = rotate_signing_key(engine, NOW + 1)
    assert (old.id, other.signing().public.id) == (first.public.id, third.id)
    with reading(engine) as session:
        steps = handovers(session)
        kept = "".join(session.execute(text("SELECT value FROM collector_key")).scalars())
    assert [follow(key, steps).id for key in (first.public, second, third)] == [third.id] * 3
    assert first.pem().decode() not in kept
    assert other.keys().nonce == Context(engine, centre.clock).keys().nonce == nonce_key
    centre.see(span("camera/gate", "up", NOW + 1, NOW + 2))  # by a nonce that was given before
    assert verify_institution(centre.context, "wj-0001").problems == []


def test_of_two_at_once_one_follows_the_other(engine: Engine) -> None:
    first = make_centre(engine).context.signing().public
    together = Barrier(2)

    def rotate() -> None:
        together.wait()
        rotate_signing_key(engine, NOW)

    threads = [Thread(target=rotate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with reading(engine) as session:
        steps = handovers(session)
    assert len(steps) == 2
    assert follow(first, steps).id == make_centre(engine).context.signing().public.id


def test_there_is_an_end_to_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_keys, "MOST", 1)
    rotate_signing_key(engine, NOW)
    with pytest.raises(RotationError, match="1 times"):
        rotate_signing_key(engine, NOW)
