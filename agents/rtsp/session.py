"""Requests with a login where one is asked for, and the session that SETUP made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from agents.breaker import Attempt, Breaker, LoginHeld
from agents.rtsp.auth import Authenticator, choose_challenge
from agents.rtsp.connection import Connection
from agents.rtsp.errors import MalformedError, StreamError
from agents.rtsp.habit import Habit, KeepAlive
from agents.rtsp.message import Message
from agents.rtsp.request import Login, StreamRequest
from monitor.model.observation import StreamCause

MOST_REFUSALS = 2
"""Of one login in a row: the first may have been one channel's, and a device that has another password now locks an account after a few."""

_IN_THE_CLEAR = (
    "the device asks for the password in the clear (Basic) where a digest was enough before: it was not sent, for somebody may"
    " stand between; start the agent anew if the device was set so"
)

LONG_WAIT_SECONDS = 1.0
"""For the turn to log in: what is short of time after that was not made so by the device."""

Trace = Callable[[str], None]
"""Takes one line for each step, without secrets: what was asked, what was answered."""


class Requester:
    """Asks on one connection, and logs in once if the device wants that and the breaker allows it."""

    def __init__(
        self,
        connection: Connection,
        request: StreamRequest,
        address: str,
        breaker: Breaker | None,
        habit: Habit,
        answer_seconds: float,
        until: float,
        trace: Trace,
    ) -> None:
        """Each answer may take `answer_seconds`, and all of them until `until` on the loop's clock."""
        self._connection = connection
        self._login = request.login
        self._aside = request.aside
        self._extra = dict(request.playback.headers) if request.playback is not None else {}
        self._address = address
        self._breaker = breaker
        self._habit = habit
        self._secure = request.secure
        self._answer_seconds = answer_seconds
        self._until = until
        self._trace = trace
        self._authenticator: Authenticator | None = None
        self._attempt: Attempt | None = None
        self._accepted = False
        """Whether the login was accepted on this connection."""
        self._renewed = False
        """Whether a fresh nonce was taken since, of a device that didn't say that the old one is stale."""

    async def ask(self, method: str, url: str, headers: dict[str, str] | None = None) -> Message:
        """Send a request and return its answer, after the login if the first answer is a challenge.

        Raises StreamError: unauthorized when the login is refused or missing, credentials_held when it may not be tried.
        """
        answer = await self.ask_once(method, url, headers)
        if answer.status != 401:
            return answer
        if self._authenticator is None:
            return await self._log_in(answer, method, url, headers)
        if self.renew(answer):
            answer = await self.ask_once(method, url, headers)
        if answer.status == 401:
            raise self.refused(method)
        return answer

    async def ask_once(self, method: str, url: str, headers: dict[str, str] | None = None) -> Message:
        """Send a request as it is and return whatever is answered."""
        left = self._until - asyncio.get_running_loop().time()
        full = self._headers(method, url, headers)
        answer = await self._connection.ask(method, url, full, min(self._answer_seconds, left))
        self._trace(f"{method}{' with login' if 'Authorization' in full else ''}: {answer.status}")
        self.answered(answer.status or 0)
        return answer

    def answered(self, status: int) -> None:
        """Take note of an answer: one that is no refusal accepts the login that went with the question."""
        if self._authenticator is not None and 200 <= status < 300:
            self._accepted, self._renewed = True, False
            self._habit.knows_digest |= self._authenticator.challenge.scheme == "digest"
            if self._attempt is not None:
                self._attempt.works()

    @property
    def logged_in(self) -> bool:
        """Whether the device has asked for a login, which has gone with each question since."""
        return self._authenticator is not None

    @property
    def is_held(self) -> bool:
        """Whether the login that plays was refused to others so often that it must not go out any more, not even as a sign of life."""
        return self._attempt is not None and self._attempt.doubted >= MOST_REFUSALS

    def doubt(self) -> bool:
        """Doubt the login, which has worked on this connection, for a sign of life that was refused; false where it is doubted already."""
        if self._attempt is None or not self._accepted or self._attempt.doubted:
            return False
        self._attempt.doubt()
        return True

    def tell(self, method: str, url: str, headers: dict[str, str]) -> None:
        """Send a request whose answer nobody waits for."""
        self._connection.tell(method, url, self._headers(method, url, headers))

    async def tear_down(self, url: str, headers: dict[str, str], seconds: float) -> None:
        """Send TEARDOWN and wait briefly; the answer doesn't matter."""
        with contextlib.suppress(StreamError):
            await self._connection.ask("TEARDOWN", url, self._headers("TEARDOWN", url, headers), seconds)

    def renew(self, answer: Message) -> bool:
        """Take the fresh nonce of a 401 that only says that the old one is stale; false when it is a refusal.

        Some devices don't say so. A login that was accepted on this connection is sent once more with their fresh nonce:
        taken for a refusal, it would hold all streams of the device for a day.
        """
        try:
            challenge = choose_challenge(answer.headers.get("www-authenticate", []))
        except MalformedError:
            return False
        authenticator = self._authenticator
        if authenticator is None:
            return False
        if not challenge.stale:
            fresh = challenge.scheme == "digest" and challenge.nonce != authenticator.challenge.nonce
            doubted = self._attempt is not None and self._attempt.doubted
            if not fresh or not self._accepted or self._renewed or doubted:
                return False
            self._renewed = True
        authenticator.renew(challenge)
        return True

    def refused(self, method: str, *, playing: bool = False) -> StreamError:
        """Tell the breaker, and return the error."""
        if self._attempt is not None and self._aside:
            self._attempt.forbidden()
        elif self._attempt is not None:
            self._attempt.refused(playing=playing)
        user = self._login.username if self._login else ""
        detail = f"the login of {user!r} was refused ({method} was answered 401 again)"
        return StreamError(StreamCause.UNAUTHORIZED, self._connection.stage, detail)

    def _headers(self, method: str, url: str, headers: dict[str, str] | None) -> dict[str, str]:
        plain = {**(headers or {}), **self._extra}
        if self._authenticator is None:
            return plain
        return {**plain, "Authorization": self._authenticator.authorization(method, url)}

    async def _log_in(self, challenged: Message, method: str, url: str, headers: dict[str, str] | None) -> Message:
        stage = self._connection.stage
        if self._login is None:
            detail = "the device asks for a login and none is configured: give username and password_file"
            raise StreamError(StreamCause.UNAUTHORIZED, stage, detail)
        try:
            challenge = choose_challenge(challenged.headers.get("www-authenticate", []))
        except MalformedError as error:
            # A login that can't be made says as little of the camera as one that is refused.
            raise StreamError(StreamCause.UNAUTHORIZED, stage, str(error)) from None
        self._trace(f"the device asks for a login: {challenge}")
        if challenge.scheme == "basic" and self._habit.knows_digest and not self._secure:
            raise StreamError(StreamCause.UNAUTHORIZED, stage, _IN_THE_CLEAR)
        async with self._turn(self._login) as attempt:
            self._authenticator = Authenticator(self._login, challenge)
            self._attempt = attempt
            answer = await self.ask_once(method, url, headers)
            if answer.status == 401 and self.renew(answer):
                answer = await self.ask_once(method, url, headers)
            if answer.status == 401:
                raise self.refused(method)
            _tell_outcome(attempt, answer.status or 0)
        return answer

    @contextlib.asynccontextmanager
    async def _turn(self, login: Login) -> AsyncIterator[Attempt | None]:
        """Wait for the breaker's leave to send the login."""
        if self._breaker is None:
            yield None
            return
        now = asyncio.get_running_loop().time
        asked = now()
        async with contextlib.AsyncExitStack() as stack:
            attempt = self._breaker.attempt(self._address, login.username, login.password)
            try:
                async with asyncio.timeout_at(self._until):
                    granted = await stack.enter_async_context(attempt)
            except LoginHeld as held:
                raise StreamError(StreamCause.CREDENTIALS_HELD, self._connection.stage, str(held)) from None
            except TimeoutError:
                detail = (
                    "the turn to log in did not come: another login to the same device, of which only one goes at a time,"
                    " had no outcome yet, or this machine's disk is too slow to note it down before"
                )
                raise StreamError(StreamCause.CREDENTIALS_HELD, self._connection.stage, detail) from None
            if now() - asked > LONG_WAIT_SECONDS and self._until - now() < self._answer_seconds:
                granted.unused()  # the device would be called too slow, whose answer nobody had waited for
                detail = "the turn to log in came too late to wait for the device's answer"
                raise StreamError(StreamCause.CREDENTIALS_HELD, self._connection.stage, detail)
            yield granted


def _tell_outcome(attempt: Attempt | None, status: int) -> None:
    if attempt is None:
        return
    if status < 300 or status == 404:
        attempt.accepted()
    elif status == 403:
        attempt.forbidden()
    else:
        attempt.unclear()


@dataclass
class Session:
    """What SETUP made: how to keep it, and how to end it."""

    requester: Requester
    url: str
    identifier: str
    timeout_seconds: float
    channel: int
    """The interleaved channel of the video's RTP packets."""
    keep_alive_method: KeepAlive
    habit: Habit
    _renewed: bool = field(default=False, init=False)
    """Whether the last sign of life was sent once more with a fresh nonce."""
    _doubted: bool = field(default=False, init=False)
    """Whether one was refused that may have been for its method."""

    def headers(self) -> dict[str, str]:
        """Return the Session header."""
        return {"Session": self.identifier} if self.identifier else {}

    def keep_alive(self) -> None:
        """Send a sign of life; media tells whether the session lives, so nobody waits for the answer."""
        self._renewed = False
        self._tell()

    def _tell(self) -> None:
        self.requester.tell(self.keep_alive_method, self.url, self.headers())

    @property
    def is_held(self) -> bool:
        """Whether no sign of life may be sent, since its login was refused to others."""
        return self.requester.is_held

    def not_understood(self) -> None:
        """The device doesn't know the method: the next sign of life is the other one."""
        self.keep_alive_method = self.habit.refused(self.keep_alive_method)

    def hung_up(self) -> None:
        """The device ended the connection right after a sign of life."""
        self.habit.hung_up(self.keep_alive_method)

    def goes_on(self, answer: Message) -> bool:
        """Take a sign of life's 401: whether the session goes on; where its login is no longer accepted the breaker is told."""
        if not self.requester.logged_in:  # the frames come without a login: none went out that could be refused
            self.not_understood()
        elif self.requester.renew(answer):
            if not self._renewed:  # once: a device that calls each nonce stale would be sent logins without end
                self._renewed = True
                self._tell()
        elif not self._doubted and self.requester.doubt():  # once: a wrong login must not go out every half minute
            self._doubted = True
            self.not_understood()
        else:
            self.requester.refused(self.keep_alive_method, playing=True)
            return False
        return True

    async def tear_down(self, seconds: float) -> None:
        """Send TEARDOWN and wait for its answer, at most `seconds`."""
        await self.requester.tear_down(self.url, self.headers(), seconds)
