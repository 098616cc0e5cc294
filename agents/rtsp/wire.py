"""The connection's bytes: RTSP messages and interleaved packets out of one buffer for all connections, without copying packets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from asyncio.trsock import TransportSocket
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

from agents.rtsp.errors import MalformedError
from agents.rtsp.message import HEAD_END, MAX_BODY_BYTES, MAX_HEAD_BYTES, Message, may_begin_message, parse_head

MOST_LEFT_BYTES = MAX_HEAD_BYTES + MAX_BODY_BYTES + 4
"""An incomplete message is no longer, and the longest packet (64 KiB) is shorter."""
_BUFFER = bytearray(MOST_LEFT_BYTES + 128 * 1024)
"""What is read lies here until it has been split, whosever it is: one read is split before the next one begins, in the one thread that reads."""
_VIEW = memoryview(_BUFFER)
_DOLLAR = 0x24
MAX_GARBAGE_BYTES = 64 * 1024
"""So much between packets is skipped, until it is forgiven."""


@lru_cache(maxsize=32)
def _beginning(channel: int) -> re.Pattern[bytes]:
    """Return where sense may begin again: a packet of RTP or RTCP on one of the first channels, or on this one or the next, or an answer."""
    own = re.escape(bytes([channel, min(channel + 1, 255)]))
    return re.compile(rb"\$[\x00-\x07" + own + rb"]..[\x80\x81\x90\xa0\xb0]|RTSP/\d\.\d \d", re.DOTALL)


_BEGINNING_BYTES = 10
_PROTOCOL = b"RTSP/"
_LINE_BREAKS = re.compile(rb"[\r\n]+")
_FUTILE_BYTES = 256
"""What looked like an answer and is none counts as so much garbage: to look at it costs more than to pass by."""


class Receiver(Protocol):
    """Who is told what has arrived."""

    def on_bytes(self) -> None:
        """A read has come, and is about to be split."""

    def on_packet(self, channel: int, data: bytearray, start: int, end: int) -> None:
        """An interleaved packet: valid only during the call."""

    def on_plain(self, data: bytearray, start: int, end: int) -> int:
        """What begins with an interleaved packet, valid only during the call: return where those end that are taken at once, `start` for none."""

    def on_message(self, message: Message) -> None:
        """An answer or a server's request. May raise MalformedError."""

    def on_read(self) -> None:
        """All complete packets and messages of one read have been told."""

    def on_closed(self, error: Exception | None) -> None:
        """The connection has ended; `error` is what ended it."""


class _Gone:
    """Stands in for the receiver of a connection that has ended."""

    def on_bytes(self) -> None:
        """Tell nobody."""

    def on_packet(self, channel: int, data: bytearray, start: int, end: int) -> None:
        """Tell nobody."""

    def on_plain(self, data: bytearray, start: int, end: int) -> int:  # noqa: ARG002  (the receiver's signature)
        """Tell nobody."""
        return start

    def on_message(self, message: Message) -> None:
        """Tell nobody."""

    def on_read(self) -> None:
        """Tell nobody."""

    def on_closed(self, error: Exception | None) -> None:
        """Tell nobody."""


class Parser:
    """Splits a byte stream; holds no socket, so that arbitrary bytes can be tried on it."""

    def __init__(self, receiver: Receiver) -> None:
        """Tell `receiver` of what is complete."""
        self._receiver = receiver
        self._left = b""
        """The beginning of something whose rest hasn't come yet."""
        self._start = self._end = 0
        """What of the buffer is still to be split, while it is."""
        self._searched = 0
        self._head: Message | None = None
        self._body_bytes = 0
        self._flowing = False
        """Packets have come: some devices send stray bytes, or half a packet, between them."""
        self._skipped = 0
        self.channel = 0
        """On which the session's packets come, as the device has answered."""
        self.messages = 0
        """Complete messages so far."""

    def close(self) -> None:
        """Let go of what is left and of the receiver: no byte comes any more."""
        self._receiver = _Gone()
        self._left = b""

    @property
    def message_pending(self) -> bool:
        """Whether part of a message, and not of a packet, waits for its rest."""
        return self._head is not None or (bool(self._left) and self._left[0] != _DOLLAR)

    def forgive(self) -> None:
        """Begin anew to count garbage: time has passed."""
        self._skipped = 0

    def room(self) -> memoryview:
        """Return where the next bytes are to be put, and at once said to be `received`; never empty."""
        count = len(self._left)
        _VIEW[:count] = self._left
        return _VIEW[count:]

    def feed(self, data: bytes) -> None:
        """Take bytes that lie elsewhere, however many. Raises MalformedError."""
        position = 0
        while position < len(data):
            room = self.room()
            count = min(len(room), len(data) - position)
            room[:count] = data[position : position + count]
            position += count
            self.received(count)

    def received(self, count: int) -> None:
        """Split what is there now that `count` bytes have been put into `room`. Raises MalformedError."""
        data, on_packet, on_plain = _BUFFER, self._receiver.on_packet, self._receiver.on_plain
        start, end = 0, len(self._left) + count
        self._end = end
        while start < end:
            if self._head is None and data[start] == _DOLLAR:
                plain = on_plain(data, start, end)
                if plain > start:
                    start = plain
                    continue
                if end - start < 4:
                    break
                following = start + 4 + ((data[start + 2] << 8) | data[start + 3])
                if following > end:
                    break
                on_packet(data[start + 1], data, start + 4, following)
                start = following
                self._flowing = True
            else:
                self._start = start
                whole = self._message()
                start = self._start
                if not whole:
                    break
        self._left = bytes(_VIEW[start:end])
        self._searched = max(0, self._searched - start)

    def _message(self) -> bool:
        """Take one message, or the line breaks before it; false while it is incomplete."""
        if self._head is None and not self._take_head():
            return False
        head = self._head
        if head is None:
            return True
        if self._end - self._start < self._body_bytes:
            return False
        body = bytes(_VIEW[self._start : self._start + self._body_bytes])
        self._start += self._body_bytes
        self._searched = self._start
        self._head = None
        self.messages += 1
        self._receiver.on_message(replace(head, body=body) if body else head)
        return True

    def _take_head(self) -> bool:
        data, start, end = _BUFFER, self._start, self._end
        breaks = _LINE_BREAKS.match(data, start, end)
        if breaks is not None:  # some devices send a line break too many
            self._start = breaks.end()
            return True
        try:
            return self._read_head(data, start, end)
        except MalformedError:
            if not self._flowing:
                raise
        return self._skip_garbage(start, end)

    def _read_head(self, data: bytearray, start: int, end: int) -> bool:
        if not may_begin_message(bytes(_VIEW[start : min(end, start + 24)])):
            raise MalformedError("the device sends something other than RTSP")
        most = min(end, start + MAX_HEAD_BYTES + 4)
        found = HEAD_END.search(data, max(start, self._searched - 3), most)
        if found is None:
            # Kept also where this is no head: each byte is searched once, however many heads seem to begin before it.
            self._searched = max(self._searched, most)
            if end - start > MAX_HEAD_BYTES:
                raise MalformedError(f"a message's head is longer than {MAX_HEAD_BYTES} bytes")
            return False
        head = parse_head(bytes(_VIEW[start : found.start()]))
        self._body_bytes = head.body_length
        self._head = head
        self._start = found.end()
        return True

    def _skip_garbage(self, start: int, end: int) -> bool:
        """Go on where a packet or an answer may begin; false when none does yet. Raises MalformedError in the long run."""
        found = _beginning(self.channel).search(_BUFFER, start + 1, end)
        # Without one, the last bytes may be the first ones of a beginning.
        self._start = found.start() if found else max(start + 1, end - _BEGINNING_BYTES + 1)
        self._searched = max(self._searched, self._start)
        futile = _BUFFER.startswith(_PROTOCOL, start, end)
        self._skipped += max(self._start - start, _FUTILE_BYTES if futile else 0)
        if self._skipped > MAX_GARBAGE_BYTES:
            raise MalformedError("the device sends something other than packets and RTSP between them")
        return found is not None


class Wire(asyncio.BufferedProtocol):
    """The parser on an asyncio transport."""

    def __init__(self, receiver: Receiver) -> None:
        """Tell `receiver` of what arrives."""
        self.parser = Parser(receiver)
        self._receiver = receiver
        self._transport: asyncio.Transport | None = None
        self._plain: TransportSocket | None = None
        """The socket, where what it holds is what is parsed."""
        self.bytes_received = 0
        self.closed = asyncio.get_running_loop().create_future()
        """Done when the socket is closed."""
        self._woken_at = self._then = 1
        """Bytes that must wait in the socket now, and after the next read."""
        self._pause: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  (a stream transport: this is no datagram protocol)
        self._transport = transport
        if transport.get_extra_info("ssl_object") is None:
            self._plain = transport.get_extra_info("socket")

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  (asyncio's signature)
        """Let the transport read straight into the buffer that the parser splits."""
        return self.parser.room()

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what was read; what is not RTSP ends the connection."""
        self.bytes_received += nbytes
        self._wake_at(self._then)
        self._receiver.on_bytes()
        try:
            self.parser.received(nbytes)
        except MalformedError as error:
            self.abort()
            self._receiver.on_closed(error)
            return
        self._receiver.on_read()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the receiver, once the socket is gone."""
        if not self.closed.done():
            self.closed.set_result(None)
        self._receiver.on_closed(exc)
        self._let_go()

    def take(self, then: int = 1) -> None:
        """Read what waits in the socket, or let the next bytes that come be read at once.

        From then on the kernel wakes us only when `then` bytes wait or the connection ends; 1 is its usual way. A kernel that can't do
        it wakes us for each packet.
        """
        self._then = then
        if not self._read():
            self._wake_at(1)

    def _read(self) -> bool:
        """Read what waits, without the loop's being woken for it; false where nothing does, or only the loop can read it, or tell that it is the end."""
        transport, plain = self._transport, self._plain
        if transport is None or plain is None or transport.is_closing() or self._pause is not None:
            return False
        try:
            count = os.readv(plain.fileno(), [self.parser.room()])
        except BlockingIOError:
            return False
        except OSError as error:
            self.abort()
            self._receiver.on_closed(error)
            return True
        if count:
            self.buffer_updated(count)
        return bool(count)

    def pause(self, seconds: float) -> None:
        """Leave in the socket what comes in the next seconds: the sender waits, and so does nobody else."""
        transport = self._transport
        if transport is not None and not transport.is_closing() and self._pause is None:
            transport.pause_reading()
            self._pause = asyncio.get_running_loop().call_later(seconds, self.resume)

    def resume(self) -> None:
        """End the pause, if there is one."""
        if self._pause is None:
            return
        self._pause.cancel()
        self._pause = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _wake_at(self, count: int) -> None:
        if self._transport is not None and count != self._woken_at:
            self._woken_at = count
            with contextlib.suppress(OSError):
                self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection has ended or the device stopped reading."""
        transport = self._transport
        if transport is not None and not transport.is_closing() and transport.get_write_buffer_size() < MAX_BODY_BYTES:
            transport.write(data)

    def abort(self) -> None:
        """Close the socket now."""
        if self._transport is not None:
            self._transport.abort()
        else:
            self._let_go()

    def _let_go(self) -> None:
        """End the circle of the receiver, this and the parser: its memory is free at once, not when a collector passes by."""
        self._receiver, self._transport, self._plain = _Gone(), None, None
        self.resume()
        self.parser.close()
