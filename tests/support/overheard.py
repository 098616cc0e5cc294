"""What tests catch themselves, so that pytest captures none of it: output of commands and processes, and answers over HTTP."""

from __future__ import annotations

import subprocess
from asyncio.base_subprocess import BaseSubprocessTransport
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

MOST_BYTES = 64 * 1024 * 1024
"""Of one test; what comes after that is not kept."""


class Overheard:
    """What was caught in one test, by the way that it went."""

    def __init__(self) -> None:
        """Nothing was caught yet."""
        self._caught: dict[str, list[bytes]] = {}
        self._bytes = 0

    def add(self, way: str, content: bytes | bytearray | memoryview | str | None) -> None:
        """Keep what went out."""
        data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else bytes(content or b"")
        if data and self._bytes + len(data) <= MOST_BYTES:
            self._bytes += len(data)
            self._caught.setdefault(way, []).append(data)

    def take(self) -> dict[str, bytes]:
        """Return what was caught since the last time, the pieces of each way in a row as they came."""
        found = {way: b"".join(pieces) for way, pieces in self._caught.items()}
        self._caught, self._bytes = {}, 0
        return found


@contextmanager
def listening(heard: Overheard) -> Iterator[None]:
    """Listen until the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "communicate", _communicate(heard))
        patch.setattr(BaseSubprocessTransport, "_pipe_data_received", _piped(heard))
        patch.setattr(CliRunner, "invoke", _invoke(heard))
        patch.setattr(httpx2.Client, "send", _send(heard))
        patch.setattr(httpx2.AsyncClient, "send", _send_async(heard))
        yield


def _communicate(heard: Overheard) -> Any:
    original = subprocess.Popen.communicate

    @wraps(original)
    def communicate(self: Any, *words: Any, **named: Any) -> Any:
        try:
            found = original(self, *words, **named)
        except subprocess.TimeoutExpired as error:
            heard.add("a process's output", error.output)
            heard.add("a process's errors", error.stderr)
            raise
        heard.add("a process's output", found[0])
        heard.add("a process's errors", found[1])
        return found

    return communicate


def _piped(heard: Overheard) -> Any:
    original = BaseSubprocessTransport._pipe_data_received

    @wraps(original)
    def piped(self: Any, fd: int, data: bytes) -> None:
        heard.add(f"what process {self.get_pid()} wrote to {fd}", data)
        original(self, fd, data)

    return piped


def _invoke(heard: Overheard) -> Any:
    original = CliRunner.invoke

    @wraps(original)
    def invoke(self: Any, *words: Any, **named: Any) -> Any:
        result = original(self, *words, **named)
        heard.add("a command's output", result.output)
        heard.add("a command's exception", repr(result.exception))
        return result

    return invoke


def _heard(heard: Overheard, answer: httpx2.Response, content: bytes) -> None:
    heard.add("the head of an answer", repr(answer.headers.raw))
    heard.add("an answer", content)


def _send(heard: Overheard) -> Any:
    original = httpx2.Client.send

    @wraps(original)
    def send(self: Any, *words: Any, **named: Any) -> httpx2.Response:
        answer = original(self, *words, **named)
        _heard(heard, answer, b"" if named.get("stream") else answer.content)
        return answer

    return send


def _send_async(heard: Overheard) -> Any:
    original = httpx2.AsyncClient.send

    @wraps(original)
    async def send(self: Any, *words: Any, **named: Any) -> httpx2.Response:
        answer = await original(self, *words, **named)
        _heard(heard, answer, b"" if named.get("stream") else answer.content)
        return answer

    return send
