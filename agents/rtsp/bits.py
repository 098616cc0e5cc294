"""Bits of a parameter set: Exp-Golomb codes, and the bytes without emulation prevention."""

from __future__ import annotations


class BitReader:
    """Reads bits, most significant first. Raises ValueError past the end."""

    def __init__(self, data: bytes) -> None:
        """Start at the first bit of `data`."""
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def bits(self, count: int) -> int:
        """Return the next `count` bits as a number."""
        if count > self._left:
            raise ValueError("a parameter set ends too early")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def unsigned(self) -> int:
        """Return the next ue(v) code, at most 32 bits long."""
        zeros = 0
        while not self.bits(1):
            zeros += 1
            if zeros > 31:
                raise ValueError("a parameter set holds a number that is too large")
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed(self) -> int:
        """Return the next se(v) code."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def without_emulation(data: bytes) -> bytes:
    """Return the payload of a NAL unit without its emulation prevention bytes (00 00 03)."""
    out = bytearray()
    zeros = 0
    for byte in data:
        if zeros >= 2 and byte == 3:
            zeros = 0
            continue
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)
