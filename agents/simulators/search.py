"""A recorder's search desk: windows, pages and identifiers, with the traps that real firmware sets."""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree as ET

from agents.simulators.footage import Segment
from agents.simulators.recorder import Channel, RecorderState

_REMEMBERED_SEARCHES: Final = 16
_DEFAULT_RESULTS: Final = 40
_FARTHEST_ZONE_SECONDS: Final = 15 * 3600
_DAY_SECONDS: Final = 86_400


class BadParameters(Exception):
    """The device refuses what was asked."""


class DeviceError(Exception):
    """The device gave up on a busy wide window."""


@dataclass(frozen=True)
class Match:
    """One segment of a search's result, with the wall clock span under which it is listed."""

    track_id: int
    segment: Segment
    wall_span: tuple[int, int]


@dataclass(frozen=True)
class Description:
    """A CMSearchDescription. Times are local wall clock digits, counted as if UTC."""

    search_id: str
    track_ids: tuple[int, ...]
    start: int
    end: int
    max_results: int
    position: int


@dataclass(frozen=True)
class Page:
    """What one request gets of a search."""

    matches: list[Match]
    more: bool
    total: int


def parse_xml(body: bytes) -> dict[str, list[str]]:
    """Return all texts of a request by element name, whatever the namespace. Raises BadParameters."""
    try:
        root = ET.fromstring(body)  # noqa: S314  (a simulator on loopback; expat bounds entity expansion)
    except ET.ParseError as error:
        raise BadParameters(str(error)) from error
    texts: dict[str, list[str]] = {}
    for element in root.iter():
        texts.setdefault(element.tag.rpartition("}")[2], []).append((element.text or "").strip())
    return texts


def parse_description(body: bytes) -> Description:
    """Read a CMSearchDescription. Raises BadParameters.

    The position is read from `searchResultPostion`, as the firmware spells it: the right spelling is not known to it.
    """
    texts = parse_xml(body)
    try:
        return Description(
            search_id=texts["searchID"][0],
            track_ids=tuple(int(text) for text in texts["trackID"]),
            start=_wall_digits(texts["startTime"][0]),
            end=_wall_digits(texts["endTime"][0]),
            max_results=int(texts.get("maxResults", [str(_DEFAULT_RESULTS)])[0]),
            position=int(texts.get("searchResultPostion", ["0"])[0]),
        )
    except (KeyError, ValueError) as error:
        raise BadParameters(str(error)) from error


def _wall_digits(text: str) -> int:
    # Whatever zone the text claims, the device reads its digits as its own wall clock.
    return int(datetime.fromisoformat(text[:19]).replace(tzinfo=UTC).timestamp())


@dataclass
class SearchDesk:
    """Runs searches one after another, and counts what a polite client would not do."""

    state: RecorderState
    searches: int = 0
    concurrent_searches: int = 0
    refused_pages: int = 0
    failed_wide_windows: int = 0
    restarted_pages: int = 0
    _running: int = 0
    _results: OrderedDict[str, list[Match]] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        """Seed the chance by which wide windows fail."""
        self._chance = random.Random(self.state.seed)

    def begin(self) -> None:
        """A search request has come in."""
        self.searches += 1
        self.concurrent_searches += self._running > 0
        self._running += 1

    def finish(self) -> None:
        """The search request has been answered."""
        self._running -= 1

    def page(self, wanted: Description) -> Page:
        """Answer one request. Raises BadParameters and DeviceError."""
        quirks = self.state.quirks
        if not 0 < wanted.max_results <= quirks.max_results or wanted.position < 0 or wanted.end < wanted.start:
            self.refused_pages += 1
            raise BadParameters("maxResults, searchResultPostion or timeSpan")
        self._maybe_fail(wanted)
        position = wanted.position
        if position and wanted.search_id not in self._results:
            self.restarted_pages += 1
            position = 0  # a page of a search that the device doesn't know begins a new one
        if not position:
            self._remember(wanted.search_id, self._find(wanted))
        found = self._results[wanted.search_id]
        end = position + wanted.max_results
        return Page(found[position:end], end < len(found), len(found))

    def _maybe_fail(self, wanted: Description) -> None:
        quirks = self.state.quirks
        if wanted.end - wanted.start <= quirks.wide_window_days * 86_400 + 1 or quirks.wide_window == "works":
            return
        if quirks.wide_window == "fails" or self._chance.random() < 0.5:
            self.failed_wide_windows += 1
            raise DeviceError

    def _remember(self, search_id: str, found: list[Match]) -> None:
        self._results[search_id] = found
        self._results.move_to_end(search_id)
        while len(self._results) > _REMEMBERED_SEARCHES:
            self._results.popitem(last=False)

    def _find(self, wanted: Description) -> list[Match]:
        matches = [
            Match(channel.track_id, segment, span)
            for channel in self.state.channels
            if channel.track_id in wanted.track_ids
            for segment, span in listed(self.state, channel, wanted.start, wanted.end)
        ]
        matches.sort(key=lambda match: (match.wall_span, match.track_id))
        return matches[: self.state.quirks.match_cap]

    def stats(self) -> dict[str, int]:
        """Return the counters."""
        return {
            "searches": self.searches,
            "concurrent_searches": self.concurrent_searches,
            "refused_pages": self.refused_pages,
            "failed_wide_windows": self.failed_wide_windows,
            "restarted_pages": self.restarted_pages,
        }


def listed(state: RecorderState, channel: Channel, start: int, end: int) -> list[tuple[Segment, tuple[int, int]]]:
    """Return a channel's segments that touch [start, end] of wall clock digits, each with its own digits."""
    near = channel.footage.segments(state.now(), start - _FARTHEST_ZONE_SECONDS, end + _FARTHEST_ZONE_SECONDS)
    spans = ((segment, state.wall_span(segment)) for segment in near)
    return [(segment, span) for segment, span in spans if span[0] <= end and span[1] >= start]


def days_recorded(state: RecorderState, track_id: int, year: int, month: int, days: int) -> list[bool]:
    """Return for each of the `days` of a month whether the track holds anything of it."""
    first = int(datetime(year, month, 1, tzinfo=UTC).timestamp())
    held = [False] * days
    for channel in state.channels:
        if channel.track_id != track_id:
            continue
        for _, (start, end) in listed(state, channel, first, first + days * _DAY_SECONDS):
            for day in range(max(0, (start - first) // _DAY_SECONDS), min(days, -((first - end) // _DAY_SECONDS))):
                held[day] = True
    return held
