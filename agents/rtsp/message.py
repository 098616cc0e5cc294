"""RTSP messages as bytes and as values: pure, with a limit on every size."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from agents.rtsp.errors import MalformedError, Stage, StreamError
from monitor.model.observation import StreamCause

MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 64 * 1024
MAX_HEADERS = 100

_STATUS_LINE = re.compile(rb"RTSP/\d\.\d (\d{3})(?: |$)")
_REQUEST_LINE = re.compile(rb"([A-Z_]{1,20}) (\S{1,2048}) RTSP/\d\.\d$")
_METHOD_START = re.compile(rb"[A-Z_]{1,20}(?:$| (?:$|\*|r(?:$|t(?:$|s(?:$|p)))))")
"""A method, and the beginning of what it asks about: * or an RTSP URL."""
_PROTOCOL = b"RTSP/"
HEAD_END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True)
class Message:
    """An answer (with `status`) or a request from the server (with `method`). Header names are in lower case."""

    status: int | None
    method: str | None
    headers: dict[str, list[str]] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return the first value of the header, in any case of letters; None when it is absent."""
        values = self.headers.get(name.lower())
        return values[0] if values else None

    @property
    def cseq(self) -> int | None:
        """The sequence number, None when it is absent or no number."""
        return _number(self.header("CSeq"))

    @property
    def body_length(self) -> int:
        """Content-Length in bytes, 0 when it is absent. Raises MalformedError when it is no number or too large."""
        text = self.header("Content-Length")
        if text is None:
            return 0
        length = _number(text)
        if length is None:
            raise MalformedError("Content-Length is no number, or one without end")
        if length > MAX_BODY_BYTES:
            raise MalformedError(f"an answer's body is longer than {MAX_BODY_BYTES} bytes")
        return length


def parse_head(head: bytes) -> Message:
    """Read a message's first line and headers (the bytes before the empty line). Raises MalformedError."""
    lines = head.replace(b"\r\n", b"\n").split(b"\n")
    answer = _STATUS_LINE.match(lines[0])
    request = None if answer else _REQUEST_LINE.match(lines[0])
    if answer is None and request is None:
        raise MalformedError("a message begins with neither a status line nor a request line")
    if len(lines) > MAX_HEADERS:
        raise MalformedError(f"a message has more than {MAX_HEADERS} headers")
    headers: dict[str, list[str]] = {}
    for line in _unfolded(lines[1:]):
        name, colon, value = line.partition(b":")
        if colon:
            # Surrogates keep the device's bytes as they are: a digest over the realm needs them.
            text = value.strip().decode("utf-8", "surrogateescape")
            headers.setdefault(name.strip().decode("latin-1").lower(), []).append(text)
    return Message(
        status=int(answer[1]) if answer else None,
        method=request[1].decode("ascii") if request else None,
        headers=headers,
    )


def _unfolded(lines: list[bytes]) -> list[bytes]:
    """Return header lines, each with those that go on with it: they begin with a space or a tab (RFC 2326, 4)."""
    found: list[list[bytes]] = []
    for line in lines:
        if found and line[:1] in (b" ", b"\t"):
            found[-1].append(line.strip())
        else:
            found.append([line])
    return [b" ".join(parts) for parts in found]


def may_begin_message(start: bytes) -> bool:
    """Tell whether bytes may be the start of an RTSP message; false as early as that can be known."""
    if start[: len(_PROTOCOL)] == _PROTOCOL[: len(start)]:
        return True
    return _METHOD_START.match(start) is not None


def render_request(method: str, url: str, cseq: int, headers: dict[str, str]) -> bytes:
    """Return a request without a body. Raises ValueError when a value would break out of its line."""
    lines = [f"{method} {url} RTSP/1.0", f"CSeq: {cseq}", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line or "\0" in line for line in lines):
        raise ValueError("a request line or header holds a line break")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def render_refusal(cseq: int) -> bytes:
    """Return the answer to any request that a server sends: this client offers no method."""
    return f"RTSP/1.0 501 Not Implemented\r\nCSeq: {cseq}\r\n\r\n".encode()


NOT_INTERLEAVED = "the device does not send the stream over the RTSP connection (TCP interleaved)"
"""Whoever takes it by UDP may see the camera: that the agent doesn't is no outage."""


def status_error(status: int, stage: Stage) -> StreamError:
    """Return the error that an answer other than 2xx stands for. The server's own words are not repeated."""
    method = stage.upper()
    if status == 401:
        return StreamError(StreamCause.UNAUTHORIZED, stage, f"{method} was refused (401)")
    if status == 403:
        detail = f"{method} was refused (403): the login lacks the right, or the account is locked"
        return StreamError(StreamCause.NOT_PERMITTED, stage, detail)
    if status in (404, 457):
        what = "is no such stream" if status == 404 else "is nothing to play at that time"
        return StreamError(StreamCause.NOT_FOUND, stage, f"there {what} ({method} was answered {status})")
    if status in (453, 500, 503):
        detail = f"the device serves no further session ({method} was answered {status})"
        return StreamError(StreamCause.RECORDER_FULL, stage, detail)
    if status == 461:
        return StreamError(StreamCause.PROTOCOL_ERROR, stage, f"{NOT_INTERLEAVED}; it answered 461", inconclusive=True)
    if 300 <= status < 400:
        detail = (
            f"{method} was answered by a redirect ({status}) that leads elsewhere or on and on, and is not followed: "
            "where that is right, write it as the camera's stream"
        )  # whoever follows it may see the camera: that the agent doesn't is no outage
        return StreamError(StreamCause.PROTOCOL_ERROR, stage, detail, inconclusive=True)
    return StreamError(StreamCause.PROTOCOL_ERROR, stage, f"{method} was answered {status}")


USUAL_TIMEOUT_SECONDS = 60.0
"""Of a session whose device doesn't say (RFC 2326, 12.37)."""


def session_of(value: str) -> tuple[str, float]:
    """Read a Session header: the id and the timeout in seconds (60 when not given). Raises MalformedError."""
    session, *parameters = (part.strip() for part in value.split(";"))
    if not session or len(session) > 512 or not session.isprintable():
        raise MalformedError("the Session header holds no usable id")
    timeout = USUAL_TIMEOUT_SECONDS
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        seconds = _number(text.strip())
        if name.strip().lower() == "timeout" and seconds:
            timeout = float(seconds)
    return session, timeout


def interleaved_of(transport: str | None) -> int:
    """Return the channel of the RTP packets from a Transport header, 0 when there is no header.

    Raises MalformedError when the server chose something other than TCP interleaved.
    """
    if transport is None:
        return 0
    for parameter in transport.split(",")[0].split(";"):
        name, _, value = parameter.strip().partition("=")
        channel = _number(value.partition("-")[0].strip())
        if name.strip().lower() == "interleaved" and channel is not None and channel <= 255:
            return channel
    if "tcp" in transport.lower():
        return 0
    raise MalformedError(NOT_INTERLEAVED)


def _number(text: str | None) -> int | None:
    """Return a decimal number of at most ten ASCII digits, else None."""
    if text is not None and text.isascii() and text.isdigit() and len(text) <= 10:
        return int(text)
    return None
