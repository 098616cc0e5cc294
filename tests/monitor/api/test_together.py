"""Requests that wait at the same time are stored together: how large the groups become."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from monitor.api.together import Bodies, Together
from monitor.model.report import Receipts

RECEIPTS = Receipts(server_time=datetime(2026, 11, 29, tzinfo=UTC), receipts=())


async def test_a_group_waits_for_as_many_as_the_last_one_had_and_nobody_waits_long() -> None:
    sizes: list[int] = []

    def take(groups: Sequence[Bodies]) -> list[Receipts | Exception]:
        sizes.append(len(groups))
        return [RECEIPTS] * len(groups)

    together = Together(take, 1)

    async def come(count: int) -> list[int]:
        sizes.clear()
        await asyncio.gather(*(together.give([b"a report"]) for _ in range(count)))
        return list(sizes)

    assert await come(1) == [1]
    assert await come(4) == [1, 3], "whoever comes alone again and again waits for nobody"
    assert await come(3) == [3], "those who were answered together come again together"
    assert await come(3) == [3]
    assert await come(2) == [2], "after a moment, though they are fewer"
    assert await come(1) == [1]


async def test_those_who_were_answered_and_those_who_came_meanwhile_are_one_group_the_next_time() -> None:
    sizes: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def take(groups: Sequence[Bodies]) -> list[Receipts | Exception]:
        sizes.append(len(groups))
        begun.set()
        assert go_on.wait(30)
        return [RECEIPTS] * len(groups)

    together = Together(take, 1)

    async def give() -> None:
        await together.give([b"a report"])

    async def again() -> None:
        await give()
        for _ in range(5):  # the answer's way there and the next request's way back
            await asyncio.sleep(0)
        await give()

    first = asyncio.create_task(again())
    await asyncio.to_thread(begun.wait, 30)
    second = asyncio.create_task(give())
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, second)
    assert sizes == [1, 2]
