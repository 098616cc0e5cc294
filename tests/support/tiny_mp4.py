"""An mp4 that says how long it plays and holds nothing, written by hand: a hundred bytes and a hole."""

import struct


def tiny_mp4(seconds: float, size: int = 0) -> bytes:
    """Return ftyp and moov, and the head of an mdat that reaches to `size` bytes (the rest may be a hole)."""
    movie = struct.pack(">IIIII", 0, 0, 0, 1000, round(seconds * 1000)) + bytes(80)
    mvhd = struct.pack(">I4s", 8 + len(movie), b"mvhd") + movie
    head = struct.pack(">I4s8s", 16, b"ftyp", b"isom\0\0\0\0") + struct.pack(">I4s", 8 + len(mvhd), b"moov") + mvhd
    return head + struct.pack(">I4s", max(8, size - len(head)), b"mdat")
