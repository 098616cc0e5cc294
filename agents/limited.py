"""Processes that read what strangers wrote: with limits, without the agent's secrets, and what FFmpeg may do in them."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

MAX_PIXELS = 8192 * 8192 // 4
"""A larger picture is no camera's; it is refused before memory is taken for it."""

MAX_FILM_PIXELS = 200 << 20
"""Of frames that are decoded one after the other for one camera, while others wait: a second or two."""

LIMITS = {"max_pixels": str(MAX_PIXELS)}
"""Options of each decoder, and of the demuxer's own probing."""

FORMATS = "mpegts,mpeg,matroska,webm,avi,flv,mov,mp4,m4a,3gp,3g2,mj2,h264,hevc,mjpeg,asf"

ONE_FILE_ALONE = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
"""A recording is one file: a list of further files that only looks like one is not followed."""

MEMORY_BYTES = 2 << 30
OPEN_FILES = 64

_KEPT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


def command(module: str) -> list[str]:
    """Return what starts such a process; it looks for no module where it stands, for others may write there."""
    return [sys.executable, "-P", "-m", module]


def environment() -> dict[str, str]:
    """Return what such a process is told of this one's environment: where programs lie, and no secret."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def stay_small() -> None:
    """Limit this process in memory and files.

    It leaves no core, by the limit of the command that starts it: lowered to zero the kernel would hand its memory to a
    `core_pattern` that pipes.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


@contextmanager
def kept_small() -> Iterator[None]:
    """Let a command that a person calls read what strangers wrote, in its own process: limited in memory, without its secrets.

    As long as the block lasts, for the command goes on afterwards. A file that asks for more memory gets a MemoryError, before
    the machine has none left for the agent; what else the person may do, such a process may, too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    least = min((item for item in (soft, hard, MEMORY_BYTES) if item != resource.RLIM_INFINITY), default=MEMORY_BYTES)
    before = dict(os.environ)
    resource.setrlimit(resource.RLIMIT_AS, (least, hard))
    try:
        for name in before.keys() - environment().keys():
            del os.environ[name]
        yield
    finally:
        os.environ.update(before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
