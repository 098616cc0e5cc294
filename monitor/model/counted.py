"""A count with its noun, for sentences in English: 1 camera, 2 cameras."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """Return `1 camera` or `N cameras`; `many` is for what takes more than an s."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
