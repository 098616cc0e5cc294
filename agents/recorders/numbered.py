"""Channels of recorders that number their inputs from 1."""

from __future__ import annotations

from agents.recorders.base import RecorderError
from monitor.model.observation import StreamCause


def is_number(channel: str) -> bool:
    """Tell whether a site's `channel` can be the number of an input."""
    return channel.isascii() and channel.isdigit() and 0 < int(channel) < 10_000


def plain(channel: str) -> str:
    """Return a number as recorders list it, without leading zeros; any other text as it is."""
    return str(int(channel)) if is_number(channel) else channel


def number_of(channel: str, make: str) -> int:
    """Return a channel's number. Raises RecorderError for one that is none; `make` is the maker's name for people."""
    if not is_number(channel):
        detail = (
            f"Channel {channel!r} is none of a {make} recorder: set `channel` to the number in its camera list, from 1."
        )
        raise RecorderError(StreamCause.NOT_FOUND, detail)
    return int(channel)
