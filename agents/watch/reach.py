"""Who answers: tells a recorder that is unreachable from an agent whose own line is cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from agents.rtsp.address import AddressBook
from agents.rtsp.errors import StreamError
from monitor.model.clock import Clock
from monitor.model.observation import StreamCause

Answer = Literal["open", "refused", "silent", "nameless"]
"""How a port answers; nameless: its host's name has no address now, and nobody was asked."""
Endpoint = tuple[str, int]

GATEWAY_PORTS = (80, 443, 53)
"""Where a gateway is knocked at when no port is given: a refusal is an answer too."""

FRESH_SECONDS = 1.0
"""So long one answer serves all who ask."""


@dataclass(frozen=True)
class Reached:
    """A recorder's reach: up, down (unreachable though the site answers) or unknown (blind)."""

    state: Literal["up", "down", "unknown"]
    cause: str | None
    detail: str


class Knock(Protocol):
    """Knock at a TCP port."""

    async def __call__(self, host: str, port: int) -> Answer:
        """Return how it answers."""
        ...


class Greet(Protocol):
    """Say something at a TCP port that is open."""

    async def __call__(self, host: str, port: int) -> bool:
        """Return whether anything comes back."""
        ...


def tcp_knock(addresses: AddressBook, seconds: float = 2.0) -> Knock:
    """Return a knock by TCP handshake inside the site's declared networks."""

    async def knock(host: str, port: int) -> Answer:
        resolved = False
        try:
            async with asyncio.timeout(seconds):
                address = await addresses.resolve(host, port)
                resolved = True
                _, writer = await asyncio.open_connection(address, port)
        except ConnectionRefusedError:
            return "refused"
        except StreamError as error:
            return "nameless" if error.inconclusive else "silent"
        except TimeoutError:
            return "silent" if resolved else "nameless"
        except OSError:
            return "silent"
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return "open"

    return knock


GREETING = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"
"""Harmless and without a login. A stream server answers it, a web server calls it a bad request; both are alive."""


def tcp_greet(addresses: AddressBook, seconds: float = 5.0) -> Greet:
    """Return a greeting: whether anything comes back, be it that the connection is closed."""

    async def greet(host: str, port: int) -> bool:
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(await addresses.resolve(host, port), port)
                try:
                    writer.write(GREETING)
                    await reader.read(1)
                finally:
                    writer.close()
        except TimeoutError:
            return False
        except (OSError, StreamError):
            pass  # reset, or gone since: somebody did that
        return True

    return greet


class Reach:
    """Asks recorders, and when one is silent the gateway and the other recorders; one question serves all who ask."""

    def __init__(
        self,
        knock: Knock,
        clock: Clock,
        recorders: Mapping[str, Sequence[Endpoint]],
        gateway: Sequence[Endpoint],
        cameras: Sequence[Endpoint] = (),
        *,
        greet: Greet | None = None,
    ) -> None:
        """Know where each recorder's services are (none: it is no device), and where gateway and cameras may answer.

        `greet` tells a recorder that hangs from one that lives: a kernel completes handshakes for a program that has
        stopped.
        """
        self._greet = greet
        self._knock = knock
        self._clock = clock
        self._recorders = recorders
        self._gateway = gateway
        self._cameras = cameras
        self._asking: dict[str, asyncio.Task[Reached]] = {}
        self._last: dict[str, tuple[float, Reached]] = {}

    def is_device(self, recorder_id: str) -> bool:
        """Tell whether the recorder has an address that can be asked."""
        return bool(self._recorders[recorder_id])

    async def ask(self, recorder_id: str) -> Reached:
        """Return whether the recorder, which is a device, answers now."""
        return await self._once(f"recorder {recorder_id}", lambda: self._find_out(recorder_id))

    async def site_answers(self) -> bool:
        """Tell whether the gateway or any device of the site answers: else the agent is blind."""
        reached = await self._once("site", self._find_out_site)
        return reached.state == "up"

    async def _once(self, name: str, find_out: Callable[[], Coroutine[Any, Any, Reached]]) -> Reached:
        """Return the answer of a moment ago, or that of the question under way, or ask."""
        at, last = self._last.get(name, (float("-inf"), None))
        if last is not None and self._clock.monotonic() - at < FRESH_SECONDS:
            return last
        task = self._asking.get(name)
        if task is None:
            task = asyncio.create_task(self._answer(name, find_out))
            self._asking[name] = task
            task.add_done_callback(lambda _: self._asking.pop(name, None))
        return await asyncio.shield(task)

    async def _answer(self, name: str, find_out: Callable[[], Coroutine[Any, Any, Reached]]) -> Reached:
        reached = await find_out()
        self._last[name] = (self._clock.monotonic(), reached)
        return reached

    async def _find_out_site(self) -> Reached:
        recorders = (place for places in self._recorders.values() for place in places)
        endpoints = [*self._gateway, *recorders, *self._cameras]
        if not endpoints or await self._any_answer(endpoints):
            return Reached("up", None, "the site's line is whole")
        return Reached("unknown", StreamCause.BLIND, "no device of the site answers")

    async def _find_out(self, recorder_id: str) -> Reached:
        places = self._recorders[recorder_id]
        answers = await asyncio.gather(*(self._knock(*place) for place in places))
        opened = [place for place, answer in zip(places, answers, strict=True) if answer == "open"]
        if opened and await self._anything_comes_back(opened):
            return Reached("up", None, "the recorder answers")
        others = not opened and "refused" not in answers and await self._others_answer(recorder_id)
        if others and set(answers) == {"nameless"}:
            name = places[0][0]
            return Reached("unknown", StreamCause.NO_CONNECTION, f"the name {name} has no address: nobody was asked")
        if opened or "refused" in answers or others:
            what = "its services refuse the connection" if "refused" in answers else "it is silent"
            what = "it accepts connections and answers nothing" if opened else what
            return Reached("down", StreamCause.RECORDER_UNREACHABLE, f"{what} while the site's line is whole")
        return Reached("unknown", StreamCause.BLIND, "neither the gateway nor any device of the site answers")

    async def _anything_comes_back(self, places: Sequence[Endpoint]) -> bool:
        if self._greet is None:
            return True
        return any(await asyncio.gather(*(self._greet(*place) for place in places)))

    async def _others_answer(self, recorder_id: str) -> bool:
        others = [place for name, places in self._recorders.items() if name != recorder_id for place in places]
        hosts = {host for host, _ in self._recorders[recorder_id]}
        cameras = [place for place in self._cameras if place[0] not in hosts]
        return await self._any_answer([*self._gateway, *others, *cameras])

    async def _any_answer(self, places: Sequence[Endpoint]) -> bool:
        """Tell whether one of them answers at all; the first that does is enough."""
        knocks = [asyncio.create_task(self._knock(*place)) for place in places]
        try:
            for answer in asyncio.as_completed(knocks):
                if await answer in {"open", "refused"}:
                    return True
            return False
        finally:
            for knock in knocks:
                knock.cancel()
            await asyncio.gather(*knocks, return_exceptions=True)
