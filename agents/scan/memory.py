"""What was seen before, added to what is seen now: a device exchanged, a disk gone, an alarm disarmed, footage lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pydantic import JsonValue

from agents.scan.losses import DayLedger
from monitor.model.counted import counted
from monitor.model.observation import Kind, Observation, Source
from monitor.model.span import DAY, HOUR, Millis, isoformat

Sink = Callable[[Observation], None]
Kept = dict[str, Any]

SETTLED: Millis = DAY
"""A disk that was listed for less is none of the recorder's own: somebody plugged in a stick to copy footage."""

REMEMBERED: Millis = 90 * DAY
"""So long a disk that is gone is told of."""

MOST_GONE = 64
"""So many parts that a device lists no more are told of."""

_LISTED_NO_LONGER = (
    "day that was listed before is no longer listed",
    "days that were listed before are no longer listed",
)


class Keep(Protocol):
    """Where the memory lies: a small value under a key, durably."""

    def get(self, key: str) -> JsonValue:
        """Return the value, None without one."""
        ...

    def put(self, key: str, value: JsonValue) -> None:
        """Keep a value."""
        ...


class ForNow:
    """Remembers what `kept` knows and what happens meanwhile, and writes nothing down: for a look beside the service."""

    def __init__(self, kept: Keep | None = None) -> None:
        """Read from `kept`, where there is one."""
        self._kept = kept
        self._new: dict[str, JsonValue] = {}

    def get(self, key: str) -> JsonValue:
        """Return the value, None without one."""
        if key in self._new or self._kept is None:
            return self._new.get(key)
        return self._kept.get(key)

    def put(self, key: str, value: JsonValue) -> None:
        """Keep a value for as long as this object lives."""
        self._new[key] = value


class Memory:
    """A sink before the sink: each observation goes on with what is remembered, and what was lost follows it."""

    def __init__(self, keep: Keep, sink: Sink) -> None:
        """Remember in `keep`, tell `sink`."""
        self._keep = keep
        self._sink = sink
        self._ledgers: dict[str, DayLedger] = {}

    def __call__(self, item: Observation) -> None:
        """Pass an observation on."""
        if item.state == "unknown" or item.source is not Source.RECORDER:
            self._sink(item)
        elif item.kind is Kind.RECORDINGS:
            self._sink(item)
            self._footage(item)
        elif item.kind in _RECALL:
            key = f"{item.kind}/{item.subject}"
            kept = self._keep.get(key)
            before: Kept = kept if isinstance(kept, dict) else {}
            after, more = _RECALL[item.kind](before, item.facts, item.start)
            if after != before:
                self._keep.put(key, after)
            self._sink(item.model_copy(update={"facts": {**item.facts, **more}}))
        else:
            self._sink(item)

    def _footage(self, item: Observation) -> None:
        camera = item.subject.id
        key = f"footage/{camera}"
        ledger = self._ledgers.get(camera)
        if ledger is None:
            ledger = self._ledgers[camera] = DayLedger.read(self._keep.get(key))
        loss, changed = ledger.take(item.facts, item.start)
        if changed:
            self._keep.put(key, ledger.written())
        if loss is not None:
            self._sink(
                Observation(
                    subject=item.subject, kind=Kind.FOOTAGE_LOST, start=item.start, end=item.start, state="lost",
                    source=Source.RECORDER, expires=item.start + 400 * DAY, facts=loss.facts(),
                    detail=counted(loss.days, *_LISTED_NO_LONGER),
                )
            )  # fmt: skip


def recall_identity(before: Kept, facts: Mapping[str, JsonValue], at: Millis) -> tuple[Kept, Kept]:
    """Return the memory and what it adds: the device seen first is pinned; another one in its place is exchanged.

    The same serial number, or the same MAC address, is the same device: a recorder may tell one of them at one time and
    the other at another. `site.yaml`'s own word (`declared`) wins over the pin.
    """
    seen = {name: value for name in ("serial_digest", "mac_digest") if isinstance(value := facts.get(name), str)}
    pin, declared = before.get("pin"), facts.get("declared")
    if not isinstance(pin, dict) and declared is not False:
        after: Kept = {"pin": seen, "first_at": at} if seen else {}
        return after, _exchanged(at if seen else None, None)
    pin, after = pin if isinstance(pin, dict) else {}, {**before}
    common = seen.keys() & pin.keys()
    if declared is True or (declared is None and any(seen[name] == pin[name] for name in common)):
        after = {"pin": {**pin, **seen} if declared is None else seen, "first_at": before.get("first_at")}
    elif (declared is False or common) and before.get("other") != seen:
        after |= {"other": seen, "exchanged_at": at}
    return after, _exchanged(after.get("first_at"), after.get("exchanged_at"))


def _exchanged(first: object, exchanged: object) -> Kept:
    return {
        "first_seen_at": isoformat(first) if isinstance(first, int) else None,
        "exchanged_at": isoformat(exchanged) if isinstance(exchanged, int) else None,
    }


def recall_disks(before: Kept, facts: Mapping[str, JsonValue], at: Millis) -> tuple[Kept, Kept]:
    """Return the memory and what it adds: disks that were there for a day and aren't listed any more, and others in their place."""
    said = _by_id(facts.get("disks"), "capacity_bytes")
    now = {name: size if type(size) is int else None for name, size in said.items()}
    kept = before.get("disks")
    after: Kept = dict(kept) if isinstance(kept, dict) else {}
    first_look = not after
    for name, size in now.items():
        known = after.get(name)
        if known is None:
            after[name] = {"size": size, "first_at": at, "last_at": at, "since_at": None if first_look else at}
        elif size is not None and known.get("size") not in {None, size}:
            after[name] = {**known, "size": size, "last_at": at, "since_at": at}
        elif at - known["last_at"] >= HOUR or known.get("size") is None:
            after[name] = {**known, "size": size, "last_at": at}
    after = {name: item for name, item in after.items() if name in now or _was_settled(item, at)}
    gone: list[JsonValue] = [
        {"id": name, "capacity_bytes": item["size"], "last_seen_at": isoformat(item["last_at"])}
        for name, item in sorted(after.items())
        if name not in now
    ]
    swapped: list[JsonValue] = [
        {"id": name, "since_at": isoformat(item["since_at"])}
        for name, item in sorted(after.items())
        if name in now and item["since_at"] is not None and at - item["since_at"] <= REMEMBERED
    ]
    return {"disks": after}, {"gone": gone[:MOST_GONE], "swapped": swapped[:MOST_GONE]}


def _by_id(listed: JsonValue, name: str) -> dict[str, JsonValue]:
    """Return what a list of objects says under `name`, by their ids."""
    items = listed if isinstance(listed, list) else []
    return {str(item["id"]): item.get(name) for item in items if isinstance(item, dict) and "id" in item}


def _was_settled(item: Mapping[str, Any], at: Millis) -> bool:
    first, last = int(item["first_at"]), int(item["last_at"])
    return last - first >= SETTLED and at - last <= REMEMBERED


def recall_inputs(before: Kept, facts: Mapping[str, JsonValue], at: Millis) -> tuple[Kept, Kept]:
    """Return the memory and what it adds: inputs that were armed once and are not armed any more."""
    now = _by_id(facts.get("inputs"), "armed")
    after: Kept = {name: since for name, since in before.items() if name in now}
    for name, armed in now.items():
        if armed is True:
            after[name] = None
        elif armed is False and name in after and after[name] is None:
            after[name] = at
    disarmed: list[JsonValue] = [
        {"id": name, "since_at": isoformat(since)} for name, since in sorted(after.items()) if isinstance(since, int)
    ]
    return after, {"disarmed": disarmed[:MOST_GONE]}


_RECALL: dict[Kind, Callable[[Kept, Mapping[str, JsonValue], Millis], tuple[Kept, Kept]]] = {
    Kind.IDENTITY: recall_identity,
    Kind.DISKS: recall_disks,
    Kind.ALARM_INPUTS: recall_inputs,
}
