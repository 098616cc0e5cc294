"""From the outbox to the collector: oldest first, what is new in between, again and again until it has them."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

import structlog
from pydantic import ValidationError

from agents.collector import Busy, Collector, CollectorError, NotAccepted, Refused
from agents.database import DatabaseError
from agents.outbox import Entry, Outbox
from monitor.model.clock import Clock
from monitor.model.envelope import MEDIA_TYPE, Envelope, frame, is_nonce
from monitor.model.jws import SignatureError
from monitor.model.report import Receipt, Receipts

PATH = "/api/v1/reports"
BATCH_REPORTS = 16
BATCH_BYTES = 2 * 1024 * 1024
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 300.0
NOT_ACCEPTED_WAIT_SECONDS = 900.0
"""A key that is not accepted is tried seldom: only a person can help."""
LEFT_WAIT_SECONDS = 60.0
"""So often a batch is sent again of what the collector left for later, as long as it takes none of it."""
IDLE_SECONDS = 15.0
"""So often an empty outbox is looked into: an `attest` in another process may have put something in."""

_SEALED_OTHERWISE = frozenset({"nonce", "unlinked", "replaced_key", "revoked_key", "algorithm"})
"""Reasons that are no fault of what a report says: it can be said again under the present key and nonce."""

log = structlog.get_logger()


class Standing(StrEnum):
    """How the agent stands with its collector."""

    NOT_ENROLLED = "not_enrolled"
    OK = "ok"
    FAILING = "failing"
    NOT_ACCEPTED = "not_accepted"


@dataclass
class SenderStatus:
    """What the metrics and the log tell of sending."""

    standing: Standing = Standing.NOT_ENROLLED
    reason: str = ""
    """One sentence when the standing is not ok."""
    stored: int = 0
    already_had: int = 0
    rejected: int = 0
    failures: int = 0
    clock_offset_seconds: float | None = None
    """The collector's clock minus the agent's, as of the last answer."""


class Sender:
    """Sends what is in the outbox. The collector may be absent for weeks: reports stay, in order."""

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        collector: Callable[[], Collector | None],
        *,
        seeded: random.Random,
        again: Callable[[bytes], bool] = lambda _sealed: False,
        counted: Callable[[bool], None] = lambda _counts: None,
    ) -> None:
        """Ask `collector` before each turn, in a thread, so that an enrolment counts at once; None: not enrolled, send nothing.

        `seeded` gives the jitter, which keeps a district's agents apart after the collector was away. `again` reports anew
        what a report says that was sealed with an earlier key or nonce, and tells whether it did: in a thread. `counted` is told
        of each report that the collector took whether it counts for anything there.
        """
        self._counted = counted
        self._again = again
        self._outbox = outbox
        self._clock = clock
        self._collector = collector
        self._seeded = seeded
        self._failed = 0
        self._batch = BATCH_REPORTS
        self._backlog: int | None = None
        """Up to this id reports are backlog; None: all that wait now are."""
        self._sent_new = False
        self._left_upto = 0
        """Reports up to this id that are still there were left for later by the collector, which can't tell their time yet."""
        self._left_due = 0.0
        """When the next of them are sent again, by the monotonic clock."""
        self._left_sent = 0
        """Up to this id they have been, in this round."""
        self._sends_left = False
        self._doubt: str | None = None
        """Why what was taken last counts for nothing at the collector; None: it counts."""
        self.status = SenderStatus()

    async def turn(self) -> float | None:
        """Send one batch; return the seconds to wait before the next turn: 0 when there is more, None when empty."""
        try:
            collector = await asyncio.to_thread(self._collector)
            if collector is None:
                self.status.standing, self.status.reason = Standing.NOT_ENROLLED, ""
                return None
            entries = await asyncio.to_thread(self._choose)
            if not entries:
                return None
            ready = await self._readable(entries)
            if ready:
                await self._send(collector, ready)
        except (CollectorError, DatabaseError) as error:
            return self._wait_after(error)
        self._failed = 0
        self._batch = BATCH_REPORTS
        if self._sent_new:
            self._backlog = (ready or entries)[-1].id
        self.status.standing, self.status.reason = Standing.OK, ""
        return 0.0

    def _choose(self) -> list[Entry]:
        """Take the oldest; but what was written since the last turn goes first, every second turn at most.

        So a week's backlog doesn't keep waiting what the site looks like now, and isn't kept waiting by it.
        """
        if self._backlog is None:
            self._backlog = self._outbox.newest()
        new = [] if self._sent_new else self._outbox.take(self._batch, BATCH_BYTES, after=self._backlog)
        self._sent_new = bool(new)
        return new or self._choose_oldest()

    def _choose_oldest(self) -> list[Entry]:
        """Take the oldest that were not left for later; now and then, the oldest of those that were.

        So nothing waits behind a report that may have to wait for days, and that one is sent again like the others.
        """
        self._sends_left = self._left_upto > 0 and self._clock.monotonic() >= self._left_due
        if not self._sends_left:
            return self._outbox.take(self._batch, BATCH_BYTES, after=self._left_upto)
        entries = self._outbox.take(self._batch, BATCH_BYTES, after=self._left_sent)
        if not entries or entries[0].id > self._left_upto:  # all of them have had their turn
            entries = self._outbox.take(self._batch, BATCH_BYTES)
        if not entries or entries[0].id > self._left_upto:  # and the collector has them
            self._left_upto, self._left_sent, self._sends_left = 0, 0, False
        return entries

    def _note_left(self, entries: Sequence[Entry], left: int) -> None:
        """Note how many of a batch the collector left for later."""
        if self._sends_left:
            self._left_sent = entries[-1].id
        if not left or self._sent_new:  # what is new is backlog from now on, and comes once more with it
            return
        if not self._left_upto:
            log.warning("the collector can't tell the time of reports yet: they are sent again later", reports=left)
        if not self._left_upto or (self._sends_left and left == len(entries)):
            self._left_due = self._clock.monotonic() + LEFT_WAIT_SECONDS
        self._left_upto = max(self._left_upto, entries[-1].id)

    async def drain(self) -> None:
        """Send until the outbox is empty or a turn fails."""
        while await self.turn() == 0.0:
            pass

    async def run(self, wake: asyncio.Event) -> None:
        """Send for ever: at once when `wake` is set, and now and then for what another process put in."""
        while True:
            wake.clear()
            wait = await self.turn()
            if wait is None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_SECONDS):
                        await wake.wait()
            elif wait > 0:
                await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until the agent is enrolled anew."""
        before = await self._present()
        while seconds > 0 and await self._present() is before:
            await self._clock.sleep(min(seconds, IDLE_SECONDS))
            seconds -= IDLE_SECONDS

    async def _present(self) -> Collector | None:
        """Return the collector of the present enrolment; None without one, or when it can't be read."""
        try:
            return await asyncio.to_thread(self._collector)
        except CollectorError:
            return None

    async def _send(self, collector: Collector, entries: Sequence[Entry]) -> None:
        body = gzip.compress(frame(entry.payload for entry in entries), compresslevel=6, mtime=0)
        try:
            answer = await collector.post(PATH, body, MEDIA_TYPE, "gzip")
        except Refused as error:
            await self._split_or_reject(entries, error)
            return
        except NotAccepted as error:
            if not _signed_by_another(entries, collector):
                await self._put_spoilt_aside(entries, collector, error)
                return
            for entry in entries:
                await self._reject(
                    entry, "signed with an earlier key, which the collector accepts no more", "revoked_key"
                )
            return
        receipts = _receipts(answer.body)
        self.status.clock_offset_seconds = (receipts.server_time - self._clock.now()).total_seconds()
        if receipts.nonce is not None and is_nonce(receipts.nonce):
            collector.use_nonce(receipts.nonce)
        by_digest = {receipt.digest: receipt for receipt in receipts.receipts}
        pairs = [(entry, by_digest.get(Envelope.read(entry.payload).digest)) for entry in entries]
        left = receipts.waiting(len(entries))
        await self._settle(collector, pairs, receipts.nonce, left)
        self._note_left(entries, left)

    async def _readable(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return those of one key, the first one's; put aside what is no envelope (an earlier version wrote it)."""
        same: list[Entry] = []
        for entry in entries:
            if _key_of(entry) is None:
                await self._reject(entry, "written before reports were signed")
            elif not same or _key_of(entry) == _key_of(same[0]):
                same.append(entry)
            else:
                break
        return same

    async def _settle(
        self, collector: Collector, pairs: Sequence[tuple[Entry, Receipt | None]], nonce: str | None, left: int
    ) -> None:
        """Take what the collector has out of the queue, and what it refuses aside; the rest stays. Keep the nonce.

        Raises CollectorError where more was not answered than the collector left for later.
        """
        stored = [entry for entry, receipt in pairs if receipt is not None and receipt.status == "stored"]
        had = [entry for entry, receipt in pairs if receipt is not None and receipt.status == "already have it"]
        await asyncio.to_thread(self._outbox.delivered, [*stored, *had], nonce)
        self.status.stored += len(stored)
        self.status.already_had += len(had)
        self._tell_doubt([receipt for _, receipt in pairs if receipt is not None and receipt.status != "rejected"])
        for entry, receipt in pairs:
            if receipt is not None and receipt.status == "rejected":
                if receipt.reason == "replaced_key" and not _signed_by_another([entry], collector):
                    # A restored backup has the key of before: what is signed with it waits for a person, not for nothing.
                    raise NotAccepted(f"the collector {collector.url} knows a newer key of this agent: enrol it again")
                await self._reject(entry, receipt.error or "no reason given", receipt.reason)
        if sum(receipt is None for _, receipt in pairs) > left:
            raise CollectorError("the collector did not answer for every report")

    def _tell_doubt(self, taken: Sequence[Receipt]) -> None:
        """Say once why what the collector took counts for nothing there: only somebody at the site can set its clock."""
        for receipt in taken:
            if receipt.error is not None and self._doubt is None:
                log.warning("reports are kept by the collector and count for nothing", reason=receipt.error)
            self._doubt = receipt.error
            self._counted(receipt.error is None)

    async def _put_spoilt_aside(self, entries: Sequence[Entry], collector: Collector, error: NotAccepted) -> None:
        """Put aside what names the agent's own key and wasn't signed with it as it stands. Raises `error` where there is none.

        Memory that failed between the signing and the disk leaves such a report, and the collector, which answers nobody whose
        first report isn't proved, would never take the next. Nobody signed what it says, so it isn't said again either.
        """
        spoilt = [entry for entry in entries if not _is_signed(entry, collector)]
        if not spoilt:
            raise error
        for entry in spoilt:
            await self._reject(entry, "its signature does not verify: it was damaged before it was stored")

    async def _split_or_reject(self, entries: Sequence[Entry], error: Refused) -> None:
        """The request as a whole was refused: go on with one report at a time.

        Only one that is too large by itself is put aside. Anything else is said of the request's form, not of a
        report, and comes from a collector of another age: the reports wait until it is of ours.
        """
        if len(entries) == 1 and error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            await self._reject(entries[0], str(error))
            return
        self._batch = 1
        raise error

    async def _reject(self, entry: Entry, reason: str, word: str | None = None) -> None:
        again = word in _SEALED_OTHERWISE and await asyncio.to_thread(self._again, entry.payload)
        log.warning(
            "report rejected by the collector", boot=entry.boot, sequence=entry.sequence, reason=reason, again=again
        )
        await asyncio.to_thread(self._outbox.reject, entry, reason)
        self.status.rejected += 1

    def _wait_after(self, error: CollectorError | DatabaseError) -> float:
        """Note a failure and return how long to wait: longer each time, never all agents at the same moment."""
        self._backlog, self._sent_new = None, False
        self.status.failures += 1
        self.status.reason = str(error)
        accepted = not isinstance(error, NotAccepted)
        self.status.standing = Standing.FAILING if accepted else Standing.NOT_ACCEPTED
        log.warning("reports not sent", reason=str(error))
        if not accepted:
            return NOT_ACCEPTED_WAIT_SECONDS * self._seeded.uniform(1.0, 1.2)
        if isinstance(error, Refused) and self._batch == 1 and self._failed == 0:
            self._failed += 1
            return 0.0
        wait = min(FIRST_WAIT_SECONDS * 2.0 ** min(self._failed, 16), LONGEST_WAIT_SECONDS)
        self._failed += 1
        asked = error.wait_seconds if isinstance(error, Busy) else None
        return (asked or 0.0) + wait * self._seeded.uniform(0.5, 1.0)


def _key_of(entry: Entry) -> str | None:
    try:
        return Envelope.read(entry.payload).protected.kid
    except SignatureError:
        return None


def _signed_by_another(entries: Sequence[Entry], collector: Collector) -> bool:
    """Tell whether the key of these reports is not the one of the enrolment."""
    return collector.identity is not None and _key_of(entries[0]) != collector.identity.key.public.id


def _is_signed(entry: Entry, collector: Collector) -> bool:
    """Tell whether a report verifies under the key of the enrolment."""
    if collector.identity is None:
        return False
    try:
        Envelope.read(entry.payload).verify(collector.identity.key.public)
    except SignatureError:
        return False
    return True


def _receipts(body: bytes) -> Receipts:
    try:
        return Receipts.model_validate_json(body)
    except ValidationError:
        raise CollectorError(
            "the collector's answer to the reports can't be read: is this the collector's address?"
        ) from None
