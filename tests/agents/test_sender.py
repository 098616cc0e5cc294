"""Reports reach the collector once, in order, whatever it and the line between do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import JsonValue
from structlog.testing import capture_logs

from agents.collector import Collector, collector_url
from agents.identity import Identity
from agents.outbox import Entry, Outbox
from agents.reporter import REPORT_BYTES, Reporter
from agents.sender import IDLE_SECONDS, LEFT_WAIT_SECONDS, NOT_ACCEPTED_WAIT_SECONDS, Sender, Standing
from monitor.model.clock import ManualClock
from monitor.model.envelope import Envelope, Header
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.report import MAX_REPORT_BYTES, Report
from monitor.model.span import MINUTE
from monitor.model.suite import PrivateKey, digest_of_bytes
from support.enrolled import NONCE, identity
from support.loopback_collector import PROBLEM, LoopbackCollector, Reply

BOOT = "b" * 32
CLOCK = ManualClock(datetime(2026, 11, 23, 3, 59, 30, tzinfo=UTC), monotonic=5.0)


def seen(number: int, **facts: JsonValue) -> Observation:
    return Observation(
        subject=Subject(kind="recorder", id="nvr"), kind=Kind.DISKS, start=number, end=number, state="read", expires=number, facts=facts
    )  # fmt: skip


def stream(minute: int, state: str) -> Observation:
    return Observation(
        subject=Subject(kind="camera", id="gate"), kind=Kind.STREAM, start=minute * MINUTE, end=(minute + 1) * MINUTE, state=state, expires=(minute + 2) * MINUTE
    )  # fmt: skip


SELF = identity()


def reporter_of(outbox: Outbox, boot: str = BOOT, who: Identity = SELF) -> Reporter:
    return Reporter(outbox, CLOCK, who, boot)


def payload_of(entry: Entry) -> bytes:
    return entry.payload.partition(b"\n")[2]


class Bench:
    """An outbox, a sender and a collector."""

    def __init__(self, folder: Path, collector: LoopbackCollector, seconds: float = 5.0) -> None:
        self.folder = folder
        self.outbox = Outbox(folder / "outbox.sqlite")
        self.reporter = reporter_of(self.outbox)
        self.collector = collector
        collector.know(SELF.key.public.jwk)
        self.link = Collector(collector_url(collector.url), SELF, seconds=seconds)
        self.sender = Sender(self.outbox, CLOCK, lambda: self.link, seeded=random.Random(1))

    def fill(self, count: int) -> None:
        for number in range(count):
            self.reporter.report([seen(number)])

    def arrived(self) -> list[int]:
        return [key[3] for key in self.collector.reports]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with LoopbackCollector.running() as collector:
        bench = Bench(tmp_path, collector)
        yield bench
        await bench.link.close()


# The reporter.


def test_a_report_says_who_when_and_what(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite")
    assert reporter_of(outbox).report([seen(1), seen(2)]) == [1]
    report = Report.from_bytes(payload_of(outbox.take(1, 10**6)[0]))
    assert report.key == ("a", "box", BOOT, 1)
    assert (report.written_at, report.monotonic_seconds) == (CLOCK.now(), 5.0)
    assert report.observations == (seen(1), seen(2))


def test_much_is_split_and_nothing_is_an_empty_report(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite")
    many = [seen(number, texts=["文" * 490] * 4) for number in range(300)]
    numbers = reporter_of(outbox).report(many)
    assert numbers == list(range(1, len(numbers) + 1))
    payloads = [payload_of(entry) for entry in outbox.take(100, 10**9)]
    assert max(map(len, payloads)) < REPORT_BYTES * 1.1
    assert [item for payload in payloads for item in Report.from_bytes(payload).observations] == many
    assert reporter_of(outbox, "c" * 32).report([]) == [1]


def test_what_fits_no_report_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite")
    reporter = reporter_of(outbox)
    index: list[JsonValue] = [0] * MAX_REPORT_BYTES
    large = seen(1).model_copy(update={"kind": Kind.RECORDINGS, "facts": {"spans": index}})
    reporter.report([large, seen(2)])
    assert reporter.oversized == 1
    assert Report.from_bytes(payload_of(outbox.take(1, 10**9)[0])).observations == (seen(2),)


# Sending.


async def test_everything_arrives_once_and_in_order(bench: Bench) -> None:
    bench.fill(40)
    await bench.sender.drain()
    assert bench.arrived() == list(range(1, 41))
    assert (bench.collector.copies, bench.outbox.status().waiting, bench.sender.status.standing) == (0, 0, Standing.OK)
    assert bench.sender.status.clock_offset_seconds == 30.0
    assert await bench.sender.turn() is None


async def test_a_backlog_goes_oldest_first_and_keeps_no_new_report_waiting(bench: Bench) -> None:
    """A new report every turn: each arrives within two, and so does a batch of what is old."""
    bench.fill(100)
    backlog = list(range(1, 101))
    for turn in range(1, 12):
        assert await bench.sender.turn() == 0.0
        bench.fill(1)
        new = [number for number in bench.arrived() if number > 100]
        assert new == list(range(101, 101 + len(new)))
        assert len(new) >= turn // 2
        old = [number for number in bench.arrived() if number <= 100]
        assert old == backlog[: len(old)]
        assert len(old) >= min(100, 16 * ((turn + 1) // 2))
    await bench.sender.drain()
    assert (sorted(bench.arrived()), bench.collector.copies) == (list(range(1, 112)), 0)


async def test_after_a_failure_all_that_waits_is_backlog(bench: Bench) -> None:
    bench.fill(20)
    assert await bench.sender.turn() == 0.0
    bench.fill(20)
    bench.collector.faults = [Reply(503)]
    assert await bench.sender.turn() != 0.0
    await bench.sender.drain()
    assert bench.arrived() == list(range(1, 41))


async def test_what_had_to_go_is_told_by_number_and_digest(bench: Bench) -> None:
    bench.outbox.close()
    bench.outbox = Outbox(bench.folder / "outbox.sqlite", max_bytes=6000)
    bench.sender = Sender(bench.outbox, CLOCK, lambda: bench.link, seeded=random.Random(1))
    bench.reporter = reporter_of(bench.outbox)
    bench.fill(12)
    await bench.sender.drain()
    bench.fill(1)
    await bench.sender.drain()
    (told,) = [
        item for item in bench.collector.reports[("a", "box", BOOT, 13)]["observations"] if item["kind"] == "dropped"
    ]
    (gone,) = told["facts"]["ranges"]
    assert (told["subject"], told["state"]) == ({"kind": "agent", "id": "box"}, "dropped")
    first, second, *_ = bench.arrived()
    assert first == 1, "it said something new"
    assert (gone["boot"], gone["first"], gone["last"], gone["why"]) == (BOOT, 2, second - 1, "full")
    # The last of them is what the one behind the hole follows: the chain can be checked across it.
    assert bench.collector.headers[1]["after"]["digest"] == gone["digests"][-1]
    assert len(gone["digests"]) == second - 2


async def test_reports_that_say_something_new_outlive_those_that_repeat(bench: Bench) -> None:
    """A full outbox: the change of state in the middle of a long night is still there, most of the night isn't."""
    bench.outbox.close()
    bench.outbox = Outbox(bench.folder / "outbox.sqlite", max_bytes=9000)
    bench.sender = Sender(bench.outbox, CLOCK, lambda: bench.link, seeded=random.Random(1))
    reporter = reporter_of(bench.outbox)
    for minute in range(40):
        reporter.report([stream(minute, "down" if minute in {7, 8} else "up")])
    await bench.sender.drain()
    kept = bench.arrived()
    assert {1, 8, 10} <= set(kept), "the beginning, the change, and the change back"
    assert 9 not in kept
    assert kept[-1] == 40
    assert len(kept) < 12


async def test_unenrolled_nothing_is_sent(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite")
    reporter_of(outbox).report([])
    sender = Sender(outbox, CLOCK, lambda: None, seeded=random.Random(1))
    assert await sender.turn() is None
    assert (sender.status.standing, outbox.status().waiting) == (Standing.NOT_ENROLLED, 1)


FAULTS = {
    "a reset": Reply(raw=b""),
    "half an answer": Reply(raw=b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"receipts"'),
    "no HTTP": Reply(raw=b"RTSP/1.0 200 OK\r\n\r\n"),
    "a proxy's page": Reply(200, b"<html>"),
    "a proxy's error": Reply(400, b"<html>"),
    "wrong JSON": Reply(200, {"receipts": "none"}),
    "no receipts": Reply(200, {"receipts": [], "server_time": "2026-11-23T04:00:00Z"}),
    "another digest": Reply(
        200, {"receipts": [{"status": "stored", "digest": "x"}], "server_time": "2026-11-23T04:00:00Z"}
    ),
    "an error": Reply(500, {"title": "oh"}, PROBLEM),
    "a redirect": Reply(307, None, {"Location": "http://198.51.100.1/"}),
    "an endless answer": Reply(200, b" " * (9 * 1024 * 1024)),
    "stored and then a reset": Reply(raw=b"", after_storing=True),
    "stored and then an error": Reply(502, b"", after_storing=True),
    "another form wanted": Reply(422, {"title": "no"}, PROBLEM),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_after_a_fault_the_reports_are_sent_again_and_none_is_lost_or_double(bench: Bench, fault: Reply) -> None:
    bench.fill(3)
    bench.collector.faults = [fault]
    wait = await bench.sender.turn()
    assert wait is not None
    assert wait <= 1.0
    assert (bench.outbox.status().waiting, bench.outbox.status().rejected) == (3, 0)
    failed = bench.sender.status
    assert (failed.standing, failed.failures) == (Standing.FAILING, 1)
    assert failed.reason
    await bench.sender.drain()
    assert bench.arrived() == [1, 2, 3]
    assert (bench.outbox.status().waiting, bench.sender.status.standing) == (0, Standing.OK)


async def test_a_collector_that_hangs_or_drips_is_given_up(bench: Bench) -> None:
    bench.fill(1)
    bench.collector.faults = [Reply(hang=True), Reply(drip=True)]
    bench.link = Collector(bench.collector.url, SELF, seconds=0.3)
    for _ in range(2):
        assert await bench.sender.turn() is not None
        assert bench.sender.status.reason == f"the collector {bench.collector.url} did not answer within 0.3 s"
    await bench.link.close()


async def test_waits_grow_to_five_minutes_and_are_never_the_same(bench: Bench) -> None:
    bench.fill(1)
    bench.collector.faults = [Reply(500)] * 12
    waits = [await bench.sender.turn() or 0.0 for _ in range(12)]
    for index, wait in enumerate(waits):
        longest = min(2.0**index, 300.0)
        assert longest / 2 <= wait <= longest
    assert len(set(waits)) == 12


@pytest.mark.parametrize(
    ("status", "headers", "least", "most"),
    [
        (503, {"Retry-After": "120"}, 120, 121),
        (429, {"Retry-After": "120"}, 120, 121),
        (503, {"Retry-After": "99999999"}, 3600, 3601),
        (503, {"Retry-After": "Mon, 23 Nov 2026 04:02:00 GMT", "Date": "Mon, 23 Nov 2026 04:00:00 GMT"}, 120, 121),
        (503, {"Retry-After": "soon"}, 0.5, 1),
        (503, {}, 0.5, 1),
    ],
)
async def test_retry_after_is_honoured(
    bench: Bench, status: int, headers: dict[str, str], least: float, most: float
) -> None:
    bench.fill(1)
    bench.collector.faults = [Reply(status, None, headers)]
    wait = await bench.sender.turn()
    assert wait is not None
    assert least <= wait <= most


async def test_a_key_that_is_not_accepted_is_told_and_tried_seldom(bench: Bench) -> None:
    bench.fill(1)
    bench.collector.keys.clear()
    wait = await bench.sender.turn()
    assert wait is not None
    assert wait >= NOT_ACCEPTED_WAIT_SECONDS
    assert bench.sender.status.standing == Standing.NOT_ACCEPTED
    assert bench.sender.status.reason.endswith(
        "it does not accept this agent; enrol it again with `cradlewatch agent enroll`"
    )
    assert bench.outbox.status().waiting == 1


@pytest.mark.parametrize("before", [0, 2])
async def test_a_report_that_was_damaged_before_it_was_stored_is_put_aside_and_told(bench: Bench, before: int) -> None:
    """The collector answers nobody whose first report isn't proved: all that comes after it waited for a quarter of an hour each time."""
    bench.sender = Sender(bench.outbox, CLOCK, lambda: bench.link, seeded=random.Random(1), again=bench.reporter.again)
    bench.fill(before)
    seal = Envelope.seal

    def failing(payload: bytes, key: PrivateKey, header: Header) -> bytes:
        return seal(payload, key, header).replace(b'"state":"read"', b'"state":"resd"')

    with pytest.MonkeyPatch.context() as memory:
        memory.setattr(Envelope, "seal", failing)
        bench.fill(1)
    bench.fill(2)
    for _ in range(4):
        await bench.sender.turn()
    assert bench.sender.status.standing is Standing.OK
    assert (len(bench.arrived()), bench.outbox.status().waiting, bench.outbox.status().rejected) == (before + 2, 0, 1)
    said = "a bad signature" if before else "its signature does not verify: it was damaged before it was stored"
    assert bench.outbox.rejected() == [(BOOT, before + 1, said)]
    bench.fill(1)
    await bench.sender.drain()
    reports = [Report.model_validate(report) for report in bench.collector.reports.values()]
    told = [item.facts["ranges"] for report in reports for item in report.observations if item.kind is Kind.DROPPED]
    assert [(one["boot"], one["first"], one["last"]) for items in told for one in items] == [  # type: ignore[union-attr, index, call-overload]
        (BOOT, before + 1, before + 1)
    ]
    states = {item.state for report in reports for item in report.observations if item.kind is Kind.DISKS}
    assert states == {"read"}, "what nobody signed is not said again"


async def test_what_an_earlier_key_signed_goes_alone_and_blocks_nothing(bench: Bench) -> None:
    """After a rotation the collector may take it; after a revocation it never will."""
    earlier = identity()
    old = reporter_of(bench.outbox, "c" * 32, earlier)
    old.report([seen(1)])
    bench.fill(2)
    bench.collector.know(earlier.key.public.jwk)
    assert await bench.sender.turn() == 0.0
    assert bench.outbox.status().waiting == 2
    await bench.sender.drain()
    assert len(bench.arrived()) == 3
    revoked = identity()
    reporter_of(bench.outbox, "d" * 32, revoked).report([seen(1)])
    bench.fill(1)
    await bench.sender.drain()
    assert bench.outbox.rejected() == [("d" * 32, 1, "signed with an earlier key, which the collector accepts no more")]
    assert (len(bench.arrived()), bench.outbox.status().waiting) == (4, 0)


async def test_what_was_sealed_with_an_earlier_key_is_reported_anew(bench: Bench) -> None:
    """Its key was revoked and the agent enrolled again: what waited is said under the new key, once, and nobody misses it."""
    bench.sender = Sender(bench.outbox, CLOCK, lambda: bench.link, seeded=random.Random(1), again=bench.reporter.again)
    earlier = reporter_of(bench.outbox, "d" * 32, identity())
    for number in (7, 8):
        earlier.report([seen(number)])
    bench.fill(1)
    await bench.sender.drain()
    told = [item for report in bench.collector.reports.values() for item in Report.model_validate(report).observations]
    assert sorted(item.start for item in told if item.kind is not Kind.DROPPED) == [0, 7, 8]
    assert (bench.outbox.status().waiting, bench.outbox.status().rejected) == (0, 2)
    bench.fill(1)
    await bench.sender.drain()
    told = [item for report in bench.collector.reports.values() for item in Report.model_validate(report).observations]
    ranges = [item.facts["ranges"] for item in told if item.kind is Kind.DROPPED]
    known = [(one["boot"], n) for items in ranges for one in items for n in range(one["first"], one["last"] + 1)]  # type: ignore[union-attr, index, call-overload, arg-type, operator]
    assert known == [("d" * 32, 1), ("d" * 32, 2)]


async def test_what_is_refused_under_the_present_key_and_nonce_is_not_said_again(bench: Bench) -> None:
    bench.sender = Sender(bench.outbox, CLOCK, lambda: bench.link, seeded=random.Random(1), again=bench.reporter.again)
    bench.collector.reject, bench.collector.word = lambda report: "no such nonce", "nonce"
    bench.fill(3)
    await bench.sender.drain()
    assert bench.outbox.status().rejected == 6, "once more with the nonce that came with the refusal, and no more"
    assert bench.outbox.status().waiting == 0


async def test_a_restored_backup_whose_key_was_replaced_keeps_what_it_has_until_it_is_enrolled_again(
    bench: Bench,
) -> None:
    bench.collector.reject, bench.collector.word = lambda report: "replaced", "replaced_key"
    bench.fill(3)
    assert (await bench.sender.turn() or 0.0) > 600
    assert bench.sender.status.standing is Standing.NOT_ACCEPTED
    assert "enrol it again" in bench.sender.status.reason
    assert (bench.outbox.status().waiting, bench.outbox.status().rejected) == (3, 0)


async def test_a_new_enrolment_ends_the_wait_of_a_key_that_is_not_accepted(bench: Bench) -> None:
    """A person enrols the agent again and looks whether it reports: not in a quarter of an hour, now."""
    bench.collector.keys.clear()
    bench.fill(1)
    earlier, fresh = bench.link, Collector(bench.collector.url, SELF, seconds=5.0)
    pauses: list[float] = []

    class Slept(ManualClock):
        async def sleep(self, seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                bench.collector.know(SELF.key.public.jwk)
                bench.link = fresh
            await super().sleep(seconds)

    bench.sender = Sender(bench.outbox, Slept(CLOCK.now()), lambda: bench.link, seeded=random.Random(1))
    running = asyncio.create_task(bench.sender.run(asyncio.Event()))
    await asyncio.wait_for(bench.collector.stored.wait(), 10)
    running.cancel()
    await asyncio.wait([running])
    await earlier.close()
    assert pauses == [15.0, 15.0, 15.0]


async def test_what_an_earlier_version_left_unsigned_is_put_aside(bench: Bench) -> None:
    bench.outbox.put("e" * 32, lambda slot: b'{"schema":"cradlewatch.report/1"}')
    bench.fill(1)
    await bench.sender.drain()
    assert bench.outbox.rejected() == [("e" * 32, 1, "written before reports were signed")]
    assert len(bench.arrived()) == 1


async def test_each_report_follows_the_one_before_and_carries_the_newest_nonce(bench: Bench) -> None:
    bench.fill(2)
    beside = reporter_of(bench.outbox, "f" * 32)
    beside.report([seen(7)])
    bench.fill(1)
    await bench.sender.drain()
    bench.fill(1)
    await bench.sender.drain()
    headers, digests = bench.collector.headers, bench.collector.digests
    assert [(item["boot"][0], item["sequence"]) for item in headers] == [
        ("b", 1),
        ("b", 2),
        ("f", 1),
        ("b", 3),
        ("b", 4),
    ]
    assert headers[0]["after"] is None
    for before, digest, item in zip(headers, digests, headers[1:], strict=False):
        assert item["after"] == {"boot": before["boot"], "sequence": before["sequence"], "digest": digest}
    assert [item["nonce"] for item in headers] == [NONCE] * 4 + [f"nonce-{1:020d}"]
    assert headers[4]["written_at"] == 1_795_406_370_000


async def test_a_rejected_report_is_put_aside_and_the_others_go_on(bench: Bench) -> None:
    bench.fill(5)
    bench.collector.reject = lambda report: "differs" if report["sequence"] == 2 else None
    await bench.sender.drain()
    assert bench.arrived() == [1, 3, 4, 5]
    assert bench.outbox.rejected() == [(BOOT, 2, "differs")]
    assert bench.sender.status.rejected == 1


async def test_that_reports_count_for_nothing_is_said_once(bench: Bench) -> None:
    """Nobody at the site would know that its clock is wrong: the reports themselves are taken."""
    bench.collector.doubt = lambda report: "set the agent's clock" if report["sequence"] in {2, 3, 4, 6} else None
    counted: list[bool] = []
    bench.sender._counted = counted.append
    with capture_logs() as said:
        for _ in range(7):
            bench.fill(1)
            await bench.sender.drain()
    assert [item["reason"] for item in said if "count for nothing" in item["event"]] == ["set the agent's clock"] * 2
    assert (bench.arrived(), bench.sender.status.rejected) == ([1, 2, 3, 4, 5, 6, 7], 0)
    assert counted == [True, False, False, False, True, False, True], "who reads the index anew hears of each"


def left_for_later(bench: Bench, *numbers: int) -> None:
    """Let the collector leave these reports for later."""
    bench.collector.leave = lambda report: report["sequence"] in numbers


async def test_what_the_collector_leaves_for_later_is_kept_and_keeps_nothing_waiting(bench: Bench) -> None:
    """Forty at the head of the queue whose time it can't tell: more than two batches."""
    left_for_later(bench, *range(1, 41))
    bench.fill(60)
    with capture_logs() as logs:
        await bench.sender.drain()
    assert bench.arrived() == list(range(41, 61))
    assert [item["event"] for item in logs] == [
        "the collector can't tell the time of reports yet: they are sent again later"
    ]
    assert (bench.sender.status.standing, bench.sender.status.failures) == (Standing.OK, 0)
    bench.fill(1)
    await bench.sender.drain()
    assert bench.arrived() == list(range(41, 62)), "what is new goes at once"
    left_for_later(bench)
    CLOCK.advance(LEFT_WAIT_SECONDS)
    await bench.sender.drain()
    assert sorted(bench.arrived()) == list(range(1, 62))
    assert (bench.outbox.status().waiting, bench.outbox.status().rejected) == (0, 0)


async def test_what_is_left_for_days_is_sent_again_a_batch_a_minute_all_of_it_in_turn(bench: Bench) -> None:
    left_for_later(bench, *range(1, 41))
    bench.fill(40)
    await bench.sender.drain()
    posts = len(bench.collector.requests)
    for _ in range(100):
        assert await bench.sender.turn() is None
    assert len(bench.collector.requests) == posts
    left_for_later(bench, *range(1, 31))
    for _ in range(4):
        CLOCK.advance(LEFT_WAIT_SECONDS)
        await bench.sender.drain()
    assert len(bench.collector.requests) - posts == 6, "two batches were taken in part, and the next came at once"
    assert sorted(bench.arrived()) == list(range(31, 41)), "those behind the ones that wait on"
    assert bench.outbox.status().waiting == 30


async def test_what_was_left_is_sent_again_however_much_is_new(bench: Bench) -> None:
    """A turn a minute, and a new report before each: neither keeps the other waiting."""
    left_for_later(bench, 1)
    for _ in range(20):
        bench.fill(1)
        CLOCK.advance(LEFT_WAIT_SECONDS)
        await bench.sender.turn()
    assert bench.collector.arrivals.count(1) > 5
    left_for_later(bench)
    await bench.sender.drain()
    CLOCK.advance(LEFT_WAIT_SECONDS)
    await bench.sender.drain()
    assert sorted(bench.arrived()) == list(range(1, 21))


async def test_what_follows_a_bad_signature_or_is_not_answered_for_no_reason_is_a_failure(bench: Bench) -> None:
    bench.fill(3)
    first = bench.outbox.take(1, 10**6)[0]
    receipt = {"status": "rejected", "digest": digest_of_bytes(first.payload), "error": "no", "reason": "signature"}
    bench.collector.faults = [Reply(200, {"receipts": [receipt], "server_time": "2026-11-23T04:00:00Z"})]
    assert (await bench.sender.turn() or 0) > 0
    assert bench.sender.status.reason == "the collector did not answer for every report"
    assert await bench.sender.turn() == 0.0
    assert bench.arrived() == [2, 3]


async def test_a_report_that_is_too_large_for_the_collector_is_found_and_put_aside(bench: Bench) -> None:
    bench.reporter.report([seen(1)])
    noise = random.Random(3).randbytes(8000).hex()  # not to be compressed away
    bench.reporter.report(
        [seen(2, texts=[noise[at : at + 900], noise[at + 900 : at + 1800]]) for at in range(0, 14_400, 1800)]
    )
    bench.reporter.report([seen(3)])
    bench.collector.largest_body = 5000
    for _ in range(6):
        await bench.sender.turn()
    assert bench.arrived() == [1, 3]
    assert [sequence for _, sequence, _ in bench.outbox.rejected()] == [2]


async def test_a_collector_that_is_away_for_a_while_gets_it_all_when_it_is_back(tmp_path: Path) -> None:
    async with LoopbackCollector.running() as collector:
        bench = Bench(tmp_path, collector)
        away = Collector("http://127.0.0.1:1", SELF)
        here, bench.link = bench.link, away
        bench.fill(20)
        assert await bench.sender.turn() is not None
        assert "can't be reached" in bench.sender.status.reason
        bench.link = here
        await bench.sender.drain()
        assert bench.arrived() == list(range(1, 21))
        await asyncio.gather(here.close(), away.close())


async def test_the_service_sends_at_once_when_woken(bench: Bench) -> None:
    wake = asyncio.Event()
    service = asyncio.create_task(bench.sender.run(wake))
    try:
        async with asyncio.timeout(IDLE_SECONDS / 2):
            for number in range(1, 4):
                bench.reporter.report([seen(number)])
                bench.collector.stored.clear()
                wake.set()
                await bench.collector.stored.wait()
                assert len(bench.arrived()) == number
    finally:
        service.cancel()
        await asyncio.gather(service, return_exceptions=True)


async def test_an_address_of_another_scheme_or_with_a_password_is_refused() -> None:
    for text, said in [
        ("http://collector.example", "must begin with https:// (http:// only on this machine)"),
        ("http://192.0.2.1", "must begin with https:// (http:// only on this machine)"),
        ("https://u:hunter2@c.example", "holds a user name or password: remove it"),
        ("collector.example", "is no URL: write it like https://collector.example"),
        ("https://c:99999", "is no URL: write it like https://collector.example"),
        ("https://[::1", "is no URL: write it like https://collector.example"),
    ]:
        with pytest.raises(ValueError) as caught:
            collector_url(text)
        assert str(caught.value) == f"the collector's address {said}"
    assert collector_url("https://c.example/base/ ") == "https://c.example/base"
    assert collector_url("http://localhost:8000") == "http://localhost:8000"
