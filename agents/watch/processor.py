"""How much processor time a process has used."""

from __future__ import annotations

import os
from pathlib import Path

_AFTER_NAME = 3
"""Of the fields of /proc/PID/stat, counted from 1, the first one after the process' name, which may hold anything."""
_USER, _SYSTEM = 14, 15
"""proc(5): time in user and in kernel mode, in ticks."""


def processor_seconds(pid: int) -> float | None:
    """Return how many seconds of processor time a process has used; None where the system doesn't tell (no Linux, no such process)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        ticks = sum(int(fields[number - _AFTER_NAME]) for number in (_USER, _SYSTEM))
        return ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
