"""F13: random changes of a signed request: none is taken in, changes the store or makes the server fail; each is counted by its reason."""

from __future__ import annotations

import gzip
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fastapi.testclient import TestClient

from monitor.api.routes import build_api
from monitor.model.envelope import MEDIA_TYPE, Envelope
from monitor.store.engine import open_engine
from monitor.store.schema import migrate
from support.centre import NOW, make_centre, span
from support.forger import Forger, everything, refusals
from support.mutation import requests

UNCHECKED = ("institution", "agent", "disputed_report")
"""What may change: a mark that something came in, and what is kept apart as evidence."""
ANSWERS = {200, 401, 413, 415, 422}
SPEED_TURNS = 3000


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong with `runs` mutations."""
    with tempfile.TemporaryDirectory() as folder:
        return list(_mutate(f"sqlite:///{Path(folder)}/centre.db", runs, seed))


def _mutate(url: str, count: int, seed: int) -> Iterator[str]:
    engine = open_engine(url)
    migrate(engine)
    centre = make_centre(engine)
    centre.add()
    centre.add("wj-0002")
    centre.see(span("camera/gate", "up", NOW - 60_000, NOW))
    forger = Forger(centre)
    _speed(forger, min(count, SPEED_TURNS))
    with TestClient(build_api(centre.context), raise_server_exceptions=False) as client:
        before = everything(engine, *UNCHECKED)
        for number, body in enumerate(requests(forger.good, random.Random(seed), count)):
            packed = number % 2 == 0
            headers = {"Content-Type": MEDIA_TYPE} | ({"Content-Encoding": "gzip"} if packed else {})
            answer = client.post("/api/v1/reports", content=gzip.compress(body, 1) if packed else body, headers=headers)
            if answer.status_code not in ANSWERS or '"stored"' in answer.text:
                yield f"mutation {number}: {answer.status_code} {answer.text[:200]}"
        if everything(engine, *UNCHECKED) != before:
            yield "the store has changed"
        counted = refusals(client)
    engine.dispose()
    if sum(counted.values()) < count:
        yield f"{count} were refused, and {sum(counted.values()):.0f} are counted"
    reasons = ", ".join(f"{reason} {times:.0f}" for reason, times in sorted(counted.items()))
    print(f"F13: {count} mutations; counted by reason: {reasons}")


def _speed(forger: Forger, turns: int) -> None:
    """Print what reading and verifying an envelope costs, beside the bare signature check over as many bytes."""
    key, data = forger.own.key.public, forger.good
    bare, signature = forger.own.raw.public_key(), forger.own.raw.sign(data)
    works: dict[str, Callable[[], None]] = {
        "read and verified": lambda: Envelope.read(data).verify(key),
        "the bare signature check": lambda: bare.verify(signature, data),
    }
    told = []
    for name, work in works.items():
        start = time.process_time()
        for _ in range(turns):
            work()
        told.append(f"{name} {(time.process_time() - start) / turns * 1e6:.0f} us of CPU")
    print(f"F13: an envelope of {len(data)} bytes: {', '.join(told)}")
