"""Ninety days of one-minute segments from readings to verdicts, and the same after one new day where the old ones are kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.retention.run import NOON, OTHERS, inventory_of, segments_of
from monitor.evaluation.judge import judge
from monitor.model.inventory import Inventory
from monitor.model.kept import KeptIndexes, Name
from monitor.model.ledger import fold
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.recordings import Index
from monitor.model.regulation import Regulation
from monitor.model.span import DAY, Millis
from monitor.model.verdict import Outcome, Verdict
from support.packs import pack

MOST_SPANS = 2_000
"""So many a reading lists at most."""

Told = tuple[Name, str]
"""A reading's name and its JSON, as it is stored."""


@dataclass(frozen=True)
class Measured:
    """Seconds of CPU."""

    whole: float
    """All readings, from JSON to verdicts."""
    new_day: float
    """One more day, from JSON to verdicts."""
    judged: float
    """Of both: facts to verdicts."""
    kept: int
    """Bytes kept for it."""

    @property
    def share(self) -> float:
        """Return what a new day costs of the whole."""
        return self.new_day / self.whole


def told_of(camera: int, days: int) -> list[Told]:
    """Return a camera's readings in order of time, as its recorder would have told them: the last one is the newest day's."""
    pairs = segments_of(camera, days)
    edges = [int(pairs[0, 0]), *range(NOON - (days - 1) * DAY, NOON + 1, DAY)]
    windows = []
    for low, high in pairwise(edges):
        listed = pairs[(pairs[:, 0] >= low) & (pairs[:, 0] < high)].tolist()
        cuts = [low, *(pair[0] for pair in listed[MOST_SPANS::MOST_SPANS]), high]
        windows += [(cut, listed[n * MOST_SPANS : (n + 1) * MOST_SPANS]) for n, cut in enumerate(pairwise(cuts))]
    first = NOON - len(windows) + 1
    return [_reading(camera, first + n, window, spans) for n, (window, spans) in enumerate(windows)]


def _reading(camera: int, at: Millis, window: tuple[Millis, Millis], spans: list[list[Millis]]) -> Told:
    item = Observation(
        subject=Subject(kind="camera", id=f"c{camera}"), kind=Kind.RECORDINGS, start=at, end=at, state="read",
        expires=at + DAY, facts={"window": list(window), "spans": spans, "locked": []},
    )  # fmt: skip
    return (at, item.digest), item.model_dump_json()


def measure_new_day(cameras: int, days: int = 90) -> Measured:
    """Run both sides once. Raises AssertionError when their verdicts aren't the same."""
    inventory = inventory_of(cameras)
    regulation: Regulation = pack(**dict.fromkeys(OTHERS), retention={"required_days": days})
    kept, whole_kept = KeptIndexes(), KeptIndexes()
    whole = new_day = 0.0
    before: dict[str, Index] = {}
    after: dict[str, Index] = {}
    for number in range(cameras):  # one after the other: the JSON of all of them would be a quarter of a gigabyte
        told = told_of(number, days)
        _through(kept, number, told[:-1])
        begun = time.process_time()
        before[f"c{number}"] = _through(whole_kept, number, told)
        whole += time.process_time() - begun
        begun = time.process_time()
        after[f"c{number}"] = _through(kept, number, told)
        new_day += time.process_time() - begun
    anew, took_whole = _verdicts(inventory, regulation, before)
    by_the_kept, took_new = _verdicts(inventory, regulation, after)
    assert anew == by_the_kept
    assert [item.outcome for item in anew] == [Outcome.MET] * cameras
    return Measured(whole + took_whole, new_day + took_new, took_new, kept.weight)


def _through(kept: KeptIndexes, camera: int, told: Sequence[Told]) -> Index:
    """Read what isn't kept, from its JSON."""
    key, texts = ("wj-0001", f"c{camera}"), dict(told)
    known, left = kept.known(key, list(texts))
    items = [Observation.model_validate_json(texts[name]) for name in left]
    items.sort(key=Observation.sort_key)
    later = Index.of(items)
    index = later if known is None else known.then(later)
    kept.keep(key, list(texts), index)
    return index


def _verdicts(
    inventory: Inventory, regulation: Regulation, indexes: dict[str, Index]
) -> tuple[tuple[Verdict, ...], float]:
    begun = time.process_time()
    facts = fold([], NOON, inventory=inventory, indexes=indexes)
    assert facts is not None
    found = judge(facts, regulation)
    return found, time.process_time() - begun
