"""Asking a Dahua's CGI: a whole 200 answer, or a RecorderError that says why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agents.recorders import dahua_parse as parse
from agents.recorders.base import NotOffered, RecorderError, lacking
from agents.recorders.http import JSON, Answer, DeviceHttp
from agents.recorders.menus import busy
from monitor.model.observation import StreamCause

SYSTEM = "System > Account: 'System' and 'Network'"
PLAYBACK = "System > Account: 'Playback' of the channel"
"""What the makers' menus call the rights that are needed."""

FINDER = "/cgi-bin/mediaFileFind.cgi?action="
OK = 200
BAD_REQUEST = 400
_FORBIDDEN = 403
_ABSENT = frozenset({404, 405, 501})
_BUSY = 503

T = TypeVar("T")


class Cgi:
    """One recorder's CGI, one question and its answer at a time."""

    def __init__(self, http: DeviceHttp, user: str) -> None:
        """Ask over `http`; `user` is named where a right is missing."""
        self.http, self._user = http, user

    async def body(self, path: str) -> bytes:
        """Return the body of a 200 answer. Raises RecorderError."""
        return (await self.answer(path, SYSTEM)).body

    async def get(self, reader: Callable[[bytes], T], path: str, content: bytes | None = None) -> T:
        """Ask and read the answer; an error of either names the request."""
        answer = await self.answer(path, SYSTEM, content)
        return self.read(reader, answer, f"{'GET' if content is None else 'POST'} {path}")

    def read(self, reader: Callable[[bytes], T], answer: Answer, asked: str) -> T:
        """Read an answer; an error names what was asked."""
        try:
            return reader(answer.body)
        except RecorderError as error:
            error.asked = asked
            raise

    async def answer(self, path: str, right: str, content: bytes | None = None) -> Answer:
        """Return a 200 answer; any other becomes a RecorderError. `right` is what its menu calls the need."""
        method = "GET" if content is None else "POST"
        answer = await self.http.fetch(method, path, content=content, content_type=JSON)
        self.check(answer, f"{method} {path}", right)
        return answer

    def check(self, answer: Answer, asked: str, right: str) -> None:
        """Raise RecorderError for an answer that is an error."""
        if answer.status != OK:
            raise _refused(answer, self.http.host, self._user, asked, right)
        if parse.says_error(answer.body) and not parse.says_no_events(answer.body):
            raise _error(answer, self.http.host, asked)


def _refused(answer: Answer, host: str, user: str, asked: str, right: str) -> RecorderError:
    """Say why an answer with an error status is none."""
    locked = parse.locked_seconds(answer.body)
    if locked is not None:
        detail = f"{host} has locked user {user} for {locked} s after wrong passwords: correct the password and wait."
        return RecorderError(StreamCause.UNAUTHORIZED, detail, asked)
    if answer.status == _FORBIDDEN:
        # The maker's firmware answers so to a name that it doesn't know as well: which of the two it is, it doesn't say.
        detail = f"User {user} may not ask this of {host}: give it the right {right}; older firmware may lack it."
        return RecorderError(StreamCause.NOT_PERMITTED, detail, asked)
    if answer.status in _ABSENT or (answer.status == BAD_REQUEST and FINDER not in asked):
        return NotOffered(lacking(host, asked), asked)
    if answer.status == _BUSY:
        return RecorderError(StreamCause.RECORDER_FULL, busy("dahua", host), asked)
    detail = f"{host} answered HTTP {answer.status}: note its model and firmware if this stays so."
    return RecorderError(StreamCause.RECORDER, detail, asked)


def _error(answer: Answer, host: str, asked: str) -> RecorderError:
    said = " ".join(answer.body[:120].decode("utf-8", "replace").split())
    return RecorderError(StreamCause.RECORDER, f"{host} answered {said!r}: note its model and firmware.", asked)
