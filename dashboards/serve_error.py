"""Why the collector can't be started, as one sentence. It imports nothing: workers start the sooner."""

from __future__ import annotations


class ServeError(Exception):
    """The collector can't be started; the sentence says why and what to do."""
