"""The process in which FFmpeg's demuxers read recorded files: it has limits, no secret, and may be killed at any time.

Standard input is a socket of packets. A request is a JSON object and the open file itself, so that no path is opened here;
the answer is one JSON object: `seconds`; `unfinished`, where the container doesn't say how long it plays; `failed`, an
errno, where the disk did; or `broken`, where nothing is known. While a long file is read, `at` tells how far.
"""

from __future__ import annotations

import json
import os
import resource
import socket
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from agents.limited import LIMITS, ONE_FILE_ALONE, stay_small

MAX_REQUEST = 4096
PROGRESS_BYTES = 1 << 20
"""After so much that wasn't read before it is told how far the reading is."""

PROCESSOR_SECONDS = 120
"""So much of the processor one file may take: a process whose agent was killed doesn't go round for ever."""


def main() -> None:
    """Answer requests until the agent goes away, or asks for nothing for so many seconds as it says in the last one."""
    stay_small()
    with socket.socket(fileno=0) as talk:
        while True:
            try:
                message, files, *_ = socket.recv_fds(talk, MAX_REQUEST, 1)
            except TimeoutError:
                return
            if not message or not files:
                return
            asked = json.loads(message)
            talk.settimeout(float(asked["idle_seconds"]))
            _end_in_time()
            try:
                answer = duration(OpenFile(files[0], str(asked["name"]), talk))
            finally:
                os.close(files[0])
            talk.send(json.dumps(answer).encode())


def _end_in_time() -> None:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    most, allowed = int(spent.ru_utime + spent.ru_stime) + PROCESSOR_SECONDS, resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (most if allowed < 0 else min(most, allowed), allowed))


def duration(file: OpenFile) -> dict[str, Any]:
    """Return what is said of an open file; what the disk failed to give says nothing about the file."""
    try:
        answer = _told(file)
    except MemoryError:
        answer = {"broken": "it takes more memory than a recording does"}
    except (OSError, EOFError, ValueError) as error:
        answer = {"unfinished": str(error)[:200]}
    return answer if file.failed is None else {"failed": file.failed}


def _told(file: OpenFile) -> dict[str, Any]:
    import av

    # Nothing but what was handed over is opened, and what a device wrote into titles is in any encoding.
    options = {**LIMITS, **ONE_FILE_ALONE, "protocol_whitelist": "none"}
    try:
        with av.open(file, mode="r", metadata_errors="replace", options=options) as container:
            if container.duration is not None and container.duration > 0:
                return {"seconds": container.duration / av.time_base}
            return {"seconds": _packet_seconds((one.pts, one.duration, one.time_base) for one in container.demux())}
    except av.error.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        return {"unfinished": str(error)[:200]}


def _packet_seconds(packets: Iterable[tuple[int | None, int | None, Fraction | None]]) -> float:
    """Return the span of the packets' (pts, duration, time base): for a file whose writer was cut off."""
    first = last = None
    for pts, length, time_base in packets:
        if pts is None or time_base is None:
            continue
        begin, end = float(pts * time_base), float((pts + (length or 0)) * time_base)
        first = begin if first is None else min(first, begin)
        last = end if last is None else max(last, end)
    if first is None or last is None or last <= first:
        msg = "no packet with a time"
        raise ValueError(msg)
    return last - first


class OpenFile:
    """An open file as PyAV reads one; tells the agent how far the reading is, and keeps what the disk said."""

    def __init__(self, number: int, name: str, talk: socket.socket) -> None:
        """Read the open file of this number, from its beginning on."""
        self.name = name
        self.failed: int | None = None
        self._number, self._talk = number, talk
        self._size = os.fstat(number).st_size
        self._at = self._told = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end."""
        try:
            data = os.pread(self._number, size, self._at)
        except OSError as error:
            self.failed = error.errno or 5
            raise
        self._at += len(data)
        if self._at >= self._told + PROGRESS_BYTES:
            self._told = self._at
            self._talk.send(json.dumps({"at": self._at}).encode())
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go on elsewhere in the file."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """Return where in the file the reading is."""
        return self._at


if __name__ == "__main__":
    main()
