"""Starts GStreamer's RTSP server for a test, and ends it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.parts import DEBIAN_PYTHON

SCRIPT = Path(__file__).with_name("gst_rtsp_server.py")


@contextmanager
def gst_server(mounts: dict[str, Any], **login: str) -> Iterator[int]:
    """Serve the mounts (as the script describes them) and give the port. `login` is auth, user and password."""
    spec = json.dumps({"mounts": mounts, **login})
    command = [DEBIAN_PYTHON, str(SCRIPT), spec]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            line = server.stdout.readline()
            assert line, "GStreamer's RTSP server did not start"
            yield int(json.loads(line)["port"])
        finally:
            server.stdin.close()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def looped(source: Path, seconds: float, target: Path) -> Path:
    """Write `source` again and again into the MP4 file `target`, without encoding, until it is `seconds` long."""
    options = ["-t", str(seconds), "-c", "copy", "-an"]
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-stream_loop", "-1", "-i", str(source), *options, str(target)], check=True
    )
    return target
