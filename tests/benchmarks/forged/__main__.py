"""`python -m benchmarks.forged`: random changes of a signed request, none of which may change the store; and what a check costs."""

from __future__ import annotations

import argparse
import gzip
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fastapi.testclient import TestClient

from monitor.api.routes import build_api
from monitor.model.envelope import MEDIA_TYPE, Envelope
from monitor.store.engine import open_engine
from monitor.store.schema import migrate
from support.centre import NOW, make_centre, span
from support.forger import Forger, everything, refusals
from support.mutation import requests

CHECKED = ("institution", "agent", "disputed_report")
"""What may change: a mark that something came in, and what is kept apart as evidence."""


def main() -> int:
    """Send the mutations, and exit 1 where one was taken in, changed the store, or made the server fail."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forged", description=__doc__)
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=20261128)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return _mutate(f"sqlite:///{Path(folder)}/centre.db", arguments.mutations, arguments.seed)


def _mutate(url: str, count: int, seed: int) -> int:
    engine = open_engine(url)
    migrate(engine)
    centre = make_centre(engine)
    centre.add()
    centre.add("wj-0002")
    centre.see(span("camera/gate", "up", NOW - 60_000, NOW))
    forger, wrong = Forger(centre), 0
    _speed(forger)
    with TestClient(build_api(centre.context), raise_server_exceptions=False) as client:
        before = everything(engine, *CHECKED)
        for number, body in enumerate(requests(forger.good, random.Random(seed), count)):
            packed = number % 2 == 0
            headers = {"Content-Type": MEDIA_TYPE} | ({"Content-Encoding": "gzip"} if packed else {})
            answer = client.post("/api/v1/reports", content=gzip.compress(body, 1) if packed else body, headers=headers)
            if answer.status_code not in {200, 401, 413, 415, 422} or '"stored"' in answer.text:
                wrong += 1
                print(f"mutation {number}: {answer.status_code} {answer.text[:200]}")
        same = everything(engine, *CHECKED) == before
        for reason, times in sorted(refusals(client).items()):
            print(f"{reason:<14} {times:>9.0f}")
    print(f"{count} mutations, seed {seed}: {wrong} taken or failed, the store is {'as before' if same else 'CHANGED'}")
    engine.dispose()
    return 0 if wrong == 0 and same else 1


def _speed(forger: Forger, turns: int = 3000) -> None:
    """Print what reading and verifying an envelope costs, beside the bare signature check over as many bytes."""
    key, data = forger.own.key.public, forger.good
    bare, signature = forger.own.raw.public_key(), forger.own.raw.sign(data)
    works: dict[str, Callable[[], None]] = {
        "envelope read and verified": lambda: Envelope.read(data).verify(key),
        "bare signature check": lambda: bare.verify(signature, data),
    }
    for name, work in works.items():
        start = time.process_time()
        for _ in range(turns):
            work()
        taken = (time.process_time() - start) / turns
        print(f"{name:<28} {taken * 1e6:7.0f} us of CPU, {1 / taken:6.0f} a second and core ({len(data)} bytes)")


if __name__ == "__main__":
    sys.exit(main())
