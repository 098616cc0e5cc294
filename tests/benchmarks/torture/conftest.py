"""Fixtures of these tests."""

from support.databases import postgres_server

__all__ = ["postgres_server"]
