"""Sets of whole numbers as ranges, written like 1-5,9: whole series take as little room as one number."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

PATTERN = r"^([1-9][0-9]{0,15}(-[1-9][0-9]{0,15})?(,[1-9][0-9]{0,15}(-[1-9][0-9]{0,15})?)*)?$"


@dataclass(frozen=True)
class Numbers:
    """Ranges [first, last] in order, none of which touch."""

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int]]) -> Numbers:
        """Join ranges that overlap or touch; what ends before it begins is none."""
        joined: list[tuple[int, int]] = []
        for first, last in sorted(item for item in ranges if item[0] <= item[1]):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], last))
            else:
                joined.append((first, last))
        return cls(tuple(joined))

    @classmethod
    def of_series(cls, numbers: Iterable[int]) -> Numbers:
        """Take numbers in ascending order: memory grows with the holes alone."""
        found: list[tuple[int, int]] = []
        for number in numbers:
            if found and number == found[-1][1] + 1:
                found[-1] = (found[-1][0], number)
            else:
                found.append((number, number))
        return cls(tuple(found))

    @classmethod
    def parse(cls, text: str) -> Numbers:
        """Read what `str` wrote."""
        return cls.of(_range(part) for part in text.split(",") if part)

    def __str__(self) -> str:
        """Return the ranges as text."""
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.ranges)

    def __len__(self) -> int:
        """Return how many numbers there are."""
        return sum(last - first + 1 for first, last in self.ranges)

    def __or__(self, other: Numbers) -> Numbers:
        """Return the numbers of either."""
        return Numbers.of((*self.ranges, *other.ranges))

    def __sub__(self, other: Numbers) -> Numbers:
        """Return the numbers that the other lacks."""
        return Numbers(tuple(self._without(other)))

    def __and__(self, other: Numbers) -> Numbers:
        """Return the numbers of both."""
        return self - (self - other)

    def run_to(self, number: int) -> tuple[int, int]:
        """Return the longest range that ends with this number and holds none of these; one without length where it is one of them."""
        at = bisect_right(self.ranges, number, key=lambda item: item[0]) - 1
        before = self.ranges[at][1] if at >= 0 else 0
        return min(before, number) + 1, number

    def count_in(self, first: int, last: int) -> int:
        """Return how many there are from one number to another."""
        at = max(0, bisect_right(self.ranges, (first, first)) - 1)
        count = 0
        for start, end in self.ranges[at:]:
            if start > last:
                break
            count += max(0, min(end, last) - max(start, first) + 1)
        return count

    def _without(self, other: Numbers) -> Iterator[tuple[int, int]]:
        taken = iter(other.ranges)
        gone = next(taken, None)
        for start, last in self.ranges:
            first = start
            while gone is not None and gone[0] <= last:
                if gone[1] >= first:
                    if first < gone[0]:
                        yield first, gone[0] - 1
                    first = gone[1] + 1
                if gone[1] > last:
                    break
                gone = next(taken, None)
            if first <= last:
                yield first, last


def _range(part: str) -> tuple[int, int]:
    first, _, last = part.partition("-")
    return int(first), int(last or first)
