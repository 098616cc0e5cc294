"""How long a file plays by FFmpeg's demuxers, asked of a process that may die of the file; from a thread, not a loop."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import socket
import subprocess
from typing import Any, BinaryIO

from agents.limited import command, environment
from monitor.model.clock import SystemClock

STILL_SECONDS = 10.0
"""So long nothing new may be read of a file, and nothing be said of it."""

LONGEST_SECONDS = 300.0
"""So long one file is read at most: eight gigabytes from a slow disk."""

START_SECONDS = 30.0
"""The first answer of a process may take so much longer: it loads FFmpeg."""

IDLE_SECONDS = 30.0
"""After so long without a file the process ends by itself, and half as long another one is started: it may be about to."""

MOST_FILES = 2000
"""Then another process goes on: what FFmpeg leaks, or a file has spoilt, ends with it."""

MAX_ANSWER = 4096

_REAL = SystemClock()
"""A process takes real time, whatever clock its driver goes by."""


class Unfinished(Exception):
    """The file has no index yet (it is being written), or never got one (its writer was cut off)."""


class BrokenError(Exception):
    """Nothing is known of the file: reading it took too long, too much, or the reading process's life. Says why."""


class Demuxer:
    """One process for the files of one recorder, one file at a time; started when first needed, and again after a kill.

    Used by one thread at a time. No looks at cameras wait for it: they have another process.
    """

    def __init__(self, still_seconds: float = STILL_SECONDS, longest_seconds: float = LONGEST_SECONDS) -> None:
        """Start nothing yet."""
        self._still_seconds, self._longest_seconds = still_seconds, longest_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._talk: socket.socket | None = None
        self._asked_at = -math.inf
        self._left = 0
        self.started = 0
        """How many processes there were so far."""

    def seconds(self, file: BinaryIO, suffix: str) -> float:
        """Return how long an open file plays; `suffix` is its name's, which tells FFmpeg formats apart that look alike.

        Raises Unfinished when the container does not say, OSError when the disk fails, and BrokenError.
        """
        try:
            answer = self._answer(file, suffix)
        except TimeoutError:
            self.close()
            raise BrokenError("that took longer than any recording takes") from None
        except (OSError, EOFError, ValueError, TypeError, LookupError, RecursionError) as error:
            self.close()
            raise BrokenError("the process that reads it died of it") from error
        if "failed" in answer:
            number = answer["failed"] if isinstance(answer["failed"], int) else errno.EIO
            raise OSError(number, os.strerror(number), file.name)
        if "unfinished" in answer:
            raise Unfinished(str(answer["unfinished"]))
        seconds = answer.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
            self.close()  # of memory, or of nonsense: the next file deserves a fresh one
            raise BrokenError(str(answer.get("broken", "the process that reads it answers nonsense"))[:200])
        return float(seconds)

    def close(self) -> None:
        """End the process, whatever it is at."""
        process, self._process = self._process, None
        talk, self._talk = self._talk, None
        if talk is not None:
            talk.close()
        if process is not None:
            process.kill()
            # One that waits for a disk that hangs dies when that answers; nobody waits with it.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)

    def _answer(self, file: BinaryIO, suffix: str) -> dict[str, Any]:
        """Ask, and wait for as long as the file is still being read. Raises TimeoutError and much else."""
        fresh = self._ready()
        talk = self._talk
        if talk is None:
            raise EOFError
        known = suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 8
        asked = {"name": f"recording{suffix if known else ''}", "idle_seconds": IDLE_SECONDS}
        talk.settimeout(self._still_seconds)
        socket.send_fds(talk, [json.dumps(asked).encode()], [file.fileno()])
        until = _REAL.monotonic() + self._longest_seconds
        talk.settimeout(self._still_seconds + (START_SECONDS if fresh else 0.0))
        size, read = os.fstat(file.fileno()).st_size, 0
        while True:
            answer = _object(talk.recv(MAX_ANSWER))
            self._asked_at = _REAL.monotonic()
            if "at" not in answer:
                return answer
            # What was taken over may say anything: so often as there is something to read, and so long.
            if not read < int(answer["at"]) <= size or _REAL.monotonic() > until:
                raise TimeoutError
            read = int(answer["at"])
            talk.settimeout(self._still_seconds)

    def _ready(self) -> bool:
        """Have a process that is alive and will be for this file; tell whether it is a fresh one."""
        idle = _REAL.monotonic() - self._asked_at > IDLE_SECONDS / 2
        if self._process is not None and self._process.poll() is None and not idle and self._left > 0:
            self._left -= 1
            return False
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._talk = ours
            self._process = subprocess.Popen(
                command("agents.recorders.demuxer_child"),
                stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=environment(),
            )  # fmt: skip
        self.started += 1
        self._left = MOST_FILES - 1
        return True


def _object(packet: bytes) -> dict[str, Any]:
    """Read one answer. Raises EOFError when there is none any more, and TypeError or ValueError for nonsense."""
    if not packet:
        raise EOFError
    answer = json.loads(packet)
    if not isinstance(answer, dict):
        raise TypeError("an answer that is no object")
    return answer
