"""A connection cut at once: the peer sees a reset, not an orderly end."""

import asyncio
import socket
import struct


def reset(writer: asyncio.StreamWriter) -> None:
    """Reset a TCP connection and forget what was still to be sent."""
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
