"""Tells observations that say something new from those that repeat what was said before."""

from __future__ import annotations

import json
from collections.abc import Iterable

from monitor.model.observation import SPAN_KINDS, Kind, Observation
from monitor.model.span import DAY

DAILY = frozenset(
    {
        Kind.WRITTEN, Kind.MAIN_STREAM, Kind.PROOF, Kind.FOOTAGE_LOST, Kind.INVENTORY, Kind.BASELINE, Kind.ATTESTATION,
        Kind.DROPPED, Kind.STORAGE,
    }
)  # fmt: skip
"""Said once a day or less: each one counts."""
READINGS = frozenset({Kind.CLOCK, Kind.RECORDINGS})
"""Their figures differ at each reading: the first of a day counts, and one whose state is another."""

_Key = tuple[str, str, Kind]


class News:
    """What was said last of each subject and kind, by one process: after a start all is new."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._last: dict[_Key, str] = {}

    def has(self, observations: Iterable[Observation]) -> bool:
        """Tell whether any of these says something new."""
        last = dict(self._last)
        for item in observations:
            if item.kind in DAILY:
                return True
            key, word = _key(item), _word(item)
            if last.get(key) != word:
                return True
            last[key] = word
        return False

    def said(self, observations: Iterable[Observation]) -> None:
        """Note that these were said."""
        for item in observations:
            self._last[_key(item)] = _word(item)


def _key(item: Observation) -> _Key:
    return item.subject.kind, item.subject.id, item.kind


def _word(item: Observation) -> str:
    """Return what counts of an observation; of a span, which is summed up each day, the state alone."""
    said: list[object] = [item.state, item.cause]
    if item.kind in SPAN_KINDS:
        return json.dumps([*said, item.basis])
    facts = None if item.kind in READINGS else item.facts
    return json.dumps([*said, item.end // DAY, facts], sort_keys=True)
