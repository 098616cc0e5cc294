"""Findings beside what was planted: equal, each once, begun and ended in time; every difference is one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from agents.demo.institution import Json
from monitor.model.counted import counted

STREAM_SECONDS = 10.0
OTHER_SECONDS = 60.0
STREAM_REQUIREMENTS = frozenset({"uptime", "view"})

Key = tuple[str, str, str, str, str]


def key_of(item: Json) -> Key:
    """Return what a finding is about: institution, requirement, kind and id of its subject, state."""
    subject = item["subject"]
    return item["institution"], item["requirement"], subject["kind"], subject["id"], item["state"]


def text_of(key: Key) -> str:
    """Return a key for people."""
    institution, requirement, kind, name, state = key
    return f"{institution} {requirement} {state} {kind}/{name}"


def differences(findings: Sequence[Json], planted: Sequence[Json]) -> list[str]:
    """Return how the findings differ from what was planted; nothing when they are equal."""
    found, wanted = Counter(map(key_of, findings)), Counter(map(key_of, planted))
    said = [f"not found: {text_of(key)}" for key in sorted((wanted - found).keys() - found.keys())]
    said += [f"found and not planted: {text_of(key)}" for key in sorted(found.keys() - wanted.keys())]
    said += [
        f"found {counted(found[key], 'time')}: {text_of(key)}"
        for key in sorted(wanted.keys())
        if found[key] > wanted[key]
    ]
    by_key = {key_of(item): item for item in findings}
    for item in planted:
        finding = by_key.get(key_of(item))
        if finding is not None:
            said += _times(finding, item)
    return said


def _times(finding: Json, item: Json) -> list[str]:
    key = key_of(item)
    allowed = STREAM_SECONDS if item["requirement"] in STREAM_REQUIREMENTS else OTHER_SECONDS
    said = []
    for name, word in (("began_at", "begins"), ("ended_at", "ends")):
        told, true = finding.get(name), item.get(name)
        if true is None and told is not None:
            said.append(f"ended though nothing was healed: {text_of(key)}")
        elif true is not None and told is None:
            said.append(f"not ended though it was healed: {text_of(key)}")
        elif true is not None and told is not None:
            off = (datetime.fromisoformat(told) - datetime.fromisoformat(true)).total_seconds()
            if abs(off) > allowed:
                said.append(f"{word} {off:+.1f} s off, {allowed:g} s are allowed: {text_of(key)}")
    return said
