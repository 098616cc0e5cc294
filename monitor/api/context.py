"""What the routes work on: the centre's context."""

from monitor.collector.context import Context

__all__ = ["Context"]
