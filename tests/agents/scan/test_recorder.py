"""One recorder asked: what it says becomes observations, what it doesn't say becomes unknown with its reason."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders.base import (
    Channel,
    Disk,
    Exchange,
    Footage,
    Identity,
    NotOffered,
    OffersNothing,
    Progress,
    RecorderError,
)
from agents.scan.recorder import SPANS_AN_OBSERVATION, Channelled, RecorderScan, chunks, reading
from monitor.model.clock import ManualClock
from monitor.model.inventory import Institution, Inventory
from monitor.model.ledger import fold
from monitor.model.observation import Kind, Observation, StreamCause, Subject
from monitor.model.recordings import LISTED_LATE, read_recordings
from monitor.model.span import DAY, HOUR, MINUTE, Millis, Spans, from_millis

NOW = 1_795_000_000_000


@dataclass
class Told(OffersNothing):
    """A recorder that answers as it is told, and remembers what it was asked."""

    spans: Spans = field(default_factory=lambda: Spans.of([(NOW - 100 * DAY, NOW)]))
    oldest: Millis | None = NOW - 100 * DAY
    offset: float = 0.0
    online: bool | None = True
    fails: dict[str, RecorderError] = field(default_factory=dict)
    asked: list[tuple[str, Millis, Millis]] = field(default_factory=list)
    listings: int = 0
    hold: asyncio.Event | None = None
    hold_channels: asyncio.Event | None = None
    exchanges: deque[Exchange] = field(default_factory=deque)

    def _fail(self, what: str) -> None:
        if what in self.fails:
            raise self.fails[what]

    async def identity(self) -> Identity:
        self._fail("identity")
        return Identity("DS-7616", "V4", "SERIAL-1")

    async def channels(self) -> tuple[Channel, ...]:
        self.listings += 1
        if self.hold_channels is not None:
            await self.hold_channels.wait()
        self._fail("channels")
        return (Channel("1", "大门", self.online),)

    async def disks(self) -> tuple[Disk, ...]:
        self._fail("disks")
        return (Disk("1", "ok", 10**12, "ok"),)

    async def clock_offset(self) -> float:
        self._fail("clock")
        return self.offset

    async def footage(self, channel: str, start: Millis, end: Millis, progress: Progress | None = None) -> Footage:
        self.asked.append((channel, start, end))
        if self.hold is not None:
            await self.hold.wait()
        self._fail("footage")
        if progress is not None:
            progress(1.0)
        return Footage(self.spans.clip(start, end), Spans.empty(), (start, end))

    async def earliest(self, channel: str) -> Millis | None:
        self._fail("earliest")
        return self.oldest

    def stream_url(self, channel: str, main: bool) -> str | None:
        return None

    async def close(self) -> None:
        pass


def scan_of(told: Told, *cameras: str) -> tuple[RecorderScan, list[Observation], ManualClock]:
    seen: list[Observation] = []
    clock = ManualClock(from_millis(NOW))
    channelled = [Channelled(name, str(number)) for number, name in enumerate(cameras or ("gate",), 1)]
    return RecorderScan("nvr", told, channelled, clock, seen.append), seen, clock


async def test_a_look_tells_what_the_recorder_says_of_itself() -> None:
    scan, seen, _ = scan_of(Told(offset=12.3456))
    await scan.look()
    facts = {item.kind: item.facts for item in seen}
    assert set(facts) == {Kind.IDENTITY, Kind.CLOCK, Kind.CHANNELS, Kind.DISKS}
    assert facts[Kind.CLOCK] == {"offset_seconds": 12.346}
    assert facts[Kind.CHANNELS] == {"channels": [{"id": "1", "name": "大门", "online": True}]}
    assert facts[Kind.DISKS] == {"disks": [{"id": "1", "state": "ok", "capacity_bytes": 10**12, "kind": "disk"}]}
    assert "SERIAL-1" not in str(seen), "a serial number stays on site"
    assert {item.expires for item in seen} == {NOW + 6 * HOUR}


async def test_a_question_that_fails_is_unknown_by_its_cause_and_the_others_are_asked_all_the_same() -> None:
    told = Told(fails={
        "identity": NotOffered("no such answer"),
        "channels": RecorderError("timeout", "no answer within 20 s"),
    })  # fmt: skip
    scan, seen, _ = scan_of(told)
    await scan.look()
    assert {(item.kind, item.state, item.cause) for item in seen} == {
        (Kind.IDENTITY, "unknown", "not_offered"),
        (Kind.CLOCK, "read", None),
        (Kind.CHANNELS, "unknown", "timeout"),
        (Kind.DISKS, "read", None),
    }
    assert await scan.channel_online("1") is None


async def test_while_all_is_calm_a_small_recorder_is_asked_less_and_its_answers_hold_longer() -> None:
    told = Told()
    scan, seen, clock = scan_of(told)
    for _ in range(3):
        await scan.look(3 * HOUR, every=3600.0, calm=True)
        clock.advance(3600.0)
    assert [item.kind for item in seen] == [
        Kind.IDENTITY, Kind.CLOCK, Kind.CHANNELS, Kind.DISKS, Kind.CLOCK, Kind.DISKS
    ]  # fmt: skip
    assert [(item.expires - item.start) / HOUR for item in seen] == [36, 6, 36, 6, 6, 6]
    seen.clear()
    await scan.look(3 * HOUR, every=3600.0, calm=False)
    assert len(seen) == 4


async def test_a_small_recorder_that_falls_silent_is_unknown_and_asked_everything_at_the_next_look() -> None:
    told = Told()
    scan, seen, clock = scan_of(told)
    await scan.look(every=3600.0, calm=True)
    seen.clear()
    clock.advance(7200.0)
    told.fails["clock"] = RecorderError("timeout", "no answer within 20 s")
    assert await scan.look(every=3600.0, calm=True) is told.fails["clock"]
    assert {(item.kind, item.state) for item in seen} == {
        (kind, "unknown") for kind in (Kind.IDENTITY, Kind.CLOCK, Kind.CHANNELS, Kind.DISKS)
    }
    told.fails.clear()
    seen.clear()
    clock.advance(3600.0)
    assert await scan.look(every=3600.0, calm=True) is None
    assert {(item.kind, item.state) for item in seen} == {
        (kind, "read") for kind in (Kind.IDENTITY, Kind.CLOCK, Kind.CHANNELS, Kind.DISKS)
    }


@pytest.mark.parametrize("cause", ["timeout", "no_connection", "refused"])
async def test_a_recorder_that_doesn_t_answer_at_all_is_asked_one_question_only(cause: str) -> None:
    told = Told(fails={"identity": RecorderError(StreamCause(cause), "nobody answers")})
    scan, seen, _ = scan_of(told, "gate", "room1")
    silent = await scan.look()
    assert silent is told.fails["identity"]
    assert told.listings == 0
    assert [(item.kind, item.state, item.cause) for item in seen] == [
        (kind, "unknown", cause) for kind in (Kind.IDENTITY, Kind.CLOCK, Kind.CHANNELS, Kind.DISKS)
    ]
    assert await scan.channel_online("1") is None
    seen.clear()
    scan.unread(silent, HOUR)
    assert [(str(item.subject), item.kind, item.state, item.cause) for item in seen] == [
        (f"camera/{name}", Kind.RECORDINGS, "unknown", cause) for name in ("gate", "room1")
    ]
    assert told.asked == []
    told.fails.clear()
    assert await scan.look() is None, "the next look asks everything anew"


async def test_a_window_that_can_t_be_read_is_unknown_for_that_camera_alone() -> None:
    told = Told()
    scan, seen, _ = scan_of(told, "gate", "room1")
    told.fails["footage"] = RecorderError("recorder", "page 2 could not be read")
    assert await scan.read(scan.cameras[0], (NOW - DAY, NOW)) is None
    assert [(item.subject.id, item.state, item.cause) for item in seen] == [("gate", "unknown", "recorder")]
    del told.fails["footage"]
    assert await scan.read(scan.cameras[1], (NOW - DAY, NOW)) is not None
    assert [(item.subject.id, item.state) for item in seen[1:]] == [("room1", "read")]


async def test_no_footage_at_all_is_a_reading_and_not_unknown() -> None:
    scan, seen, _ = scan_of(Told(spans=Spans.empty(), oldest=None))
    assert await scan.read(scan.cameras[0], (NOW - 90 * DAY, NOW)) is not None
    read = read_recordings(seen, [], NOW)
    assert read is not None
    assert (read.footage.total(), read.scanned.total()) == (0, 90 * DAY - LISTED_LATE)


async def test_whether_a_channel_is_on_line_is_asked_once_for_all_and_again_when_it_is_old() -> None:
    told = Told()
    scan, _, clock = scan_of(told)
    answers = await asyncio.gather(*(scan.channel_online("1") for _ in range(16)))
    assert (set(answers), told.listings) == ({True}, 1)
    told.online = False
    assert await scan.channel_online("1") is True
    clock.advance(11.0)
    assert await scan.channel_online("1") is False
    assert await scan.channel_online("99") is None
    assert await scan.channel_online(None) is None
    assert told.listings == 2


async def test_a_recorder_that_thinks_for_long_is_not_waited_for_but_its_answer_counts() -> None:
    told = Told(hold_channels=asyncio.Event())
    scan, seen, _ = scan_of(told)
    assert await scan.channel_online("1", patience_seconds=0.01) is None
    assert await scan.channel_online("1", patience_seconds=0.01) is None
    assert told.hold_channels is not None
    told.hold_channels.set()
    assert await scan.channel_online("1") is True
    assert (told.listings, [item.kind for item in seen]) == (1, [Kind.CHANNELS])


async def test_an_open_question_is_given_up_at_the_end() -> None:
    told = Told(hold_channels=asyncio.Event())
    scan, _, _ = scan_of(told)
    await scan.channel_online("1", patience_seconds=0.01)
    await scan.close()
    assert len(asyncio.all_tasks()) == 1


async def test_one_index_at_a_time_and_a_look_beside_it() -> None:
    told = Told(hold=asyncio.Event())
    scan, seen, _ = scan_of(told)
    window = (NOW - DAY, NOW)
    scanning = [asyncio.create_task(scan.read(scan.cameras[0], window)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert len(told.asked) == 1, "one search at a time"
    await scan.look()
    assert len(seen) == 4
    assert told.hold is not None
    told.hold.set()
    assert None not in await asyncio.gather(*scanning)


SPANS = st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 300)), max_size=40).map(
    lambda items: Spans.of([(start, start + length) for start, length in items])
)


@given(SPANS, SPANS, st.integers(1, 4))
def test_an_index_cut_into_reports_comes_to_the_same_facts(spans: Spans, locked: Spans, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.scan.recorder.SPANS_AN_OBSERVATION", most)
        parts = chunks(Footage(spans, locked, (0, 6000)))
    assert [part.window[0] for part in parts] == [0, *(part.window[1] for part in parts[:-1])]
    assert parts[-1].window[1] == 6000
    assert all(len(part.spans) <= most + 1 and len(part.locked) <= most + 1 for part in parts)
    subject = Subject(kind="camera", id="gate")
    seen = [
        Observation(
            subject=subject, kind=Kind.RECORDINGS, start=NOW, end=NOW, state="read", expires=NOW + DAY,
            facts=reading(part),
        )
        for part in parts
    ]  # fmt: skip
    read = read_recordings(seen[::-1], [], NOW)
    assert read is not None
    assert (read.footage, read.locked) == (spans, locked)
    assert read.scanned == Spans.window(0, 6000)


def test_ninety_days_of_minutes_are_cut_into_parts_that_fit() -> None:
    starts = NOW - 90 * DAY + np.arange(90 * 24 * 60) * MINUTE
    spans = Spans.of(np.column_stack((starts, starts + MINUTE - 1)))
    parts = chunks(Footage(spans, Spans.empty(), (NOW - 90 * DAY, NOW)))
    assert len(spans) == 129_600
    assert max(len(part.spans) for part in parts) <= SPANS_AN_OBSERVATION
    assert all(one.window[1] == other.window[0] for one, other in pairwise(parts))


async def test_what_a_scan_says_can_be_folded() -> None:
    told = Told()
    scan, seen, _ = scan_of(told)
    await scan.look()
    await scan.read(scan.cameras[0], (NOW - 100 * DAY, NOW))
    facts = fold(seen, NOW, inventory=Inventory(institution=Institution(id="wj-0001"), zones=(), cameras=()))
    assert facts is not None
    reading = facts.recordings["gate"]
    assert reading.footage.total() == 100 * DAY, "what is listed counts at once"
    assert reading.scanned.end == NOW - LISTED_LATE, "what isn't listed yet is no hole"
