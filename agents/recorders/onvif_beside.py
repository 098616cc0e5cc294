"""Asking a maker's recorder by ONVIF, beside its own interface, where a channel's stream is; each answer is kept for a day."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from agents.recorders import onvif_parse as parse
from agents.recorders.base import Channel, Exchange, RecorderError
from agents.recorders.http import DeviceHttp
from agents.recorders.onvif_live import NO_STREAM, LiveStreams, own_profiles, source_of
from agents.recorders.onvif_soap import Service, Soap
from agents.recorders.settings import Attempt, Breaker, RecorderSettings
from monitor.model.observation import StreamCause

KEPT_SECONDS = 24 * 3600.0
"""How long an answer is kept, that there is none among them."""
AGAIN_SECONDS = 3600.0
"""After so long is asked again where nothing was answered: it may pass."""
REQUEST_SECONDS = 3.0
ASK_SECONDS = 6.0
"""All requests of one question; whoever asks wants to open a stream."""
DEVICE_PATH = "/onvif/device_service"

_SETTLED = NO_STREAM - {StreamCause.RECORDER} | {StreamCause.UNAUTHORIZED}
"""Refusals that say the same tomorrow."""

Listed = Callable[[], Awaitable[tuple[Channel, ...]]]


@dataclass(frozen=True)
class _Kept:
    """An address, or why there is none, and until when that counts."""

    url: str | None
    why: str
    until: float


class OnvifBeside:
    """One recorder that has an interface of its maker's, and perhaps ONVIF beside it.

    Many recorders keep ONVIF users of their own. So a login is only sent that the maker's interface took, once a day,
    and its refusal is a missing right that holds nothing.
    """

    def __init__(self, settings: RecorderSettings) -> None:
        """Prepare; no I/O."""
        self._settings = replace(settings, breaker=_ProvenAlone(settings.breaker), options={})
        self._http = DeviceHttp(self._settings, REQUEST_SECONDS)
        self._live = LiveStreams(self._settings, self._http, Soap(self._settings, self._http, DEVICE_PATH))
        self._one_at_a_time = asyncio.Lock()
        self._profiles: tuple[Service, tuple[parse.Profile, ...], float] | None = None
        self._kept: dict[str, _Kept] = {}

    @property
    def exchanges(self) -> deque[Exchange]:
        """The latest questions and answers."""
        return self._http.exchanges

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def forget(self) -> None:
        """Ask anew the next time: the password is another one."""
        self._kept.clear()
        self._profiles = None

    async def sub_stream(self, channel: str, listed: Listed) -> tuple[str | None, str]:
        """Return where the sub-stream of a numbered channel is, and else why that isn't known, in one sentence.

        `listed` returns the channels by the maker's interface.
        """
        async with self._one_at_a_time:
            kept = self._kept.get(channel)
            if kept is None or kept.until <= self._settings.clock.monotonic():
                kept = await self._ask(channel, listed)
                self._kept[channel] = kept
            return kept.url, kept.why

    async def _ask(self, channel: str, listed: Listed) -> _Kept:
        now = self._settings.clock.monotonic()
        try:
            async with asyncio.timeout(ASK_SECONDS):
                url, why = await self._found(channel, listed)
                return _Kept(url, why, now + KEPT_SECONDS)
        except TimeoutError:
            return _Kept(None, f"{self._http.host} didn't answer in {ASK_SECONDS:g} s.", now + AGAIN_SECONDS)
        except RecorderError as error:
            held = error.cause == StreamCause.CREDENTIALS_HELD  # nothing was sent, and nothing is known
            again = 0.0 if held else KEPT_SECONDS if error.cause in _SETTLED else AGAIN_SECONDS
            return _Kept(None, error.detail, now + again)

    async def _found(self, channel: str, listed: Listed) -> tuple[str | None, str]:
        channels = [one.id for one in await listed()]
        service, profiles = await self._known()
        source = source_of(channel, {one.source for one in profiles}, channels)
        own = own_profiles(profiles, source)
        if not own:
            return None, f"Which of {self._http.host}'s {len(profiles)} profiles is channel {channel} isn't told."
        url = await self._live.url_of(service, own[-1])
        return url, "" if url else f"{self._http.host} tells no address of profile {own[-1].token}."

    async def _known(self) -> tuple[Service, tuple[parse.Profile, ...]]:
        """Return the profiles, asked once a day for all channels. Raises RecorderError."""
        now = self._settings.clock.monotonic()
        if self._profiles is None or self._profiles[2] <= now:
            self._profiles = (*await self._live.profiles(), now + KEPT_SECONDS)
        return self._profiles[:2]


class _ProvenAlone:
    """The site's breaker, for a door that may know other users: it is tried with a proven password, and closes no other."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    @asynccontextmanager
    async def attempt(self, host: str, user: str, password: str) -> AsyncIterator[Attempt]:
        """Open one login. Raises RecorderError for a password that wasn't accepted yet, LoginHeld for one that was refused."""
        async with self._breaker.attempt(host, user, password) as attempt:
            if not attempt.proven:
                attempt.unused()
                detail = f"{host} isn't asked by ONVIF before it took the login of {user} elsewhere."
                raise RecorderError(StreamCause.CREDENTIALS_HELD, detail)
            yield _MissingRight(attempt)


class _MissingRight:
    """A login whose refusal is a missing right."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self.accepted = attempt.accepted
        self.forbidden = attempt.forbidden
        self.unclear = attempt.unclear
        self.unused = attempt.unused

    @property
    def proven(self) -> bool:
        return self._attempt.proven

    def refused(self) -> None:
        self._attempt.forbidden()
