"""What secrets are called in addresses: what a site's file may not hold, and what is not shown of those that devices tell."""

from __future__ import annotations

from typing import Final

NAMES: Final = "pass(?:word|wd)?|psw|pwd|token|secret"
"""A part of a pattern, whatever the case."""
