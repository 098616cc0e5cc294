"""Which of a site's cameras show one and the same: two declared cameras that are one would be counted as two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import JsonValue

from agents.vision.eye import Eye
from agents.vision.twins import same_stream, same_view
from agents.watch.track import Sink
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import HOUR, SECOND, Millis

CONFIRM = 3
"""So many comparisons in a row find it, and so many of the other outcome end it."""
TELL_EVERY: Millis = HOUR
HOLDS_FOR: Millis = 3 * HOUR

By = Literal["stream", "view"]


class Watched(Protocol):
    """What is asked of a watched camera."""

    @property
    def showing(self) -> Eye | None:
        """What the camera shows now; None unless its picture is good, and was looked at lately."""
        ...


@dataclass
class _Two:
    """Two cameras, compared so often with one outcome."""

    same: bool = False
    """As confirmed."""
    in_a_row: int = 0
    """Comparisons of another outcome than the confirmed one."""
    since: Millis = 0
    """When the first of these was, and so of what they confirmed."""
    by: By | None = None
    at: Millis = 0
    """When they were last compared."""

    def compared(self, by: By | None, now: Millis) -> None:
        """Take the outcome of one comparison, None where the two differ."""
        self.at = now
        if (by is not None) == self.same:
            self.in_a_row = 0
            self.by = by or self.by
            return
        began = self.since if self.in_a_row else now
        self.in_a_row += 1
        if not self.same:
            self.since, self.by = began, by
        if self.in_a_row >= CONFIRM:
            self.same, self.in_a_row = not self.same, 0


class Twins:
    """Compares one camera with all others at a time: a site's cameras have two thousand pairs."""

    def __init__(self, watches: Mapping[str, Watched], sink: Sink) -> None:
        """Know of none. The sink is told of cameras that show the same, hourly, and when they no longer do."""
        self._watches = watches
        self._sink = sink
        self._pairs: dict[frozenset[str], _Two] = {}
        """Those that were the same at least once; of no other anything need be remembered."""
        self._told: dict[str, tuple[frozenset[str], Millis]] = {}
        """Of which others a camera was said to be one, and when."""
        self._turns: Iterator[str] = iter(())

    def round(self, now: Millis) -> None:
        """Compare the camera whose turn it is with all others, and tell what came of it."""
        name = self._next()
        eye = None if name is None else self._watches[name].showing
        if name is not None and eye is not None:
            for other, watch in self._watches.items():
                beside = watch.showing if other != name else None
                if beside is not None:
                    self._compare(frozenset({name, other}), _found(eye, beside), now)
        unseen = [pair for pair, two in self._pairs.items() if now - two.at > HOLDS_FOR]
        for pair in unseen:
            del self._pairs[pair]
        for camera in self._watches:
            self._tell(camera, now, ended="unknown" if any(camera in pair for pair in unseen) else "own")

    def _next(self) -> str | None:
        name = next(self._turns, None)
        if name is None:
            self._turns = iter(self._watches)
            name = next(self._turns, None)
        return name

    def _compare(self, pair: frozenset[str], by: By | None, now: Millis) -> None:
        two = self._pairs.get(pair)
        if two is None:
            if by is None:
                return
            two = self._pairs[pair] = _Two()
        two.compared(by, now)
        if not two.same and by is None and not two.in_a_row:
            del self._pairs[pair]

    def _tell(self, camera: str, now: Millis, *, ended: str) -> None:
        mine = {next(iter(pair - {camera})): two for pair, two in self._pairs.items() if camera in pair and two.same}
        others, (before, at) = frozenset(mine), self._told.get(camera, (frozenset(), 0))
        if others == before and (not others or 0 <= now - at < TELL_EVERY):
            return
        self._told[camera] = others, now
        facts: dict[str, JsonValue] = {
            "cameras": list[JsonValue](sorted(others)),
            "by": "stream" if any(two.by == "stream" for two in mine.values()) else "view",
            "since_at": min((two.since for two in mine.values()), default=now) // SECOND * SECOND,
        }
        self._sink(
            Observation(
                subject=Subject(kind="camera", id=camera), kind=Kind.TWIN, start=now, end=now,
                state="same" if others else ended, expires=now + HOLDS_FOR, facts=facts if others else {},
            )
        )  # fmt: skip


def _found(one: Eye, other: Eye) -> By | None:
    """Compare what two cameras show."""
    if same_stream(one.loop, other.loop):
        return "stream"
    if one.view is not None and other.view is not None and same_view(one.view, other.view):
        return "view"
    return None
